//! The relay's side of one exec's stream.

use cmdop_proto::v1;
use cmdop_proto::v1::exec_request::Request;
use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::v1::exec_up::Message as Up;

use super::{Call, within};

/// An exec as the test sees it.
pub(crate) struct ExecStream {
    call: Call<v1::ExecUp, v1::ExecDown>,
    pub(crate) pid: u32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) failed: Option<v1::CommandFailed>,
    /// What the agent said of where the run goes on.
    pub(crate) resumed: Option<v1::ExecResumed>,
    /// How much stdin the program took, as far as it was told.
    pub(crate) stdin_ack: u64,
}

impl ExecStream {
    pub(crate) async fn new(mut call: Call<v1::ExecUp, v1::ExecDown>) -> Self {
        assert_eq!(call.metadata["x-cmdop-stream-token"], "stream-token");
        let hello = within("hello", call.up.message()).await.unwrap().unwrap();
        assert!(matches!(hello.message, Some(Up::Hello(_))), "{hello:?}");
        Self {
            call,
            pid: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            failed: None,
            resumed: None,
            stdin_ack: 0,
        }
    }

    /// What the caller had before is where it goes on.
    pub(crate) fn having(mut self, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        (self.stdout, self.stderr) = (stdout, stderr);
        self
    }

    pub(crate) async fn say(&mut self, request: Request) {
        let message = v1::ExecDown {
            request: Some(v1::ExecRequest {
                request: Some(request),
            }),
        };
        // The program may have ended.
        let _ = self.call.down.send(Ok(message)).await;
    }

    /// A caller that has all it wants; the agent ends its side then.
    pub(crate) async fn done(mut self) {
        self.say(Request::Done(true)).await;
        while within("the end", self.call.up.message())
            .await
            .is_ok_and(|up| up.is_some())
        {}
    }

    /// A sender for what follows while the output is read.
    pub(crate) fn sender(&self) -> tokio::sync::mpsc::Sender<Result<v1::ExecDown, tonic::Status>> {
        self.call.down.clone()
    }

    /// Reads one message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Option<v1::ExecFinished>> {
        let message = within("output or the end", self.call.up.message()).await;
        match message.unwrap()?.message.unwrap() {
            Up::Response(response) => match response.response.unwrap() {
                Response::Started(started) => self.pid = started.pid,
                Response::Stdout(output) => {
                    assert_eq!(output.offset, self.stdout.len() as u64);
                    self.stdout.extend_from_slice(&output.data);
                }
                Response::Stderr(output) => {
                    assert_eq!(output.offset, self.stderr.len() as u64);
                    self.stderr.extend_from_slice(&output.data);
                }
                Response::Finished(finished) => return Some(Some(finished)),
                Response::Resumed(resumed) => {
                    self.pid = resumed.pid;
                    self.resumed = Some(resumed);
                }
                Response::StdinAck(offset) => self.stdin_ack = offset,
            },
            Up::Failed(failed) => {
                self.failed = Some(failed);
                self.hang_up();
            }
            Up::Hello(_) => panic!("hello twice"),
        }
        Some(None)
    }

    /// A relay that has heard the end ends its side.
    fn hang_up(&mut self) {
        self.call.down = tokio::sync::mpsc::channel(1).0;
    }

    /// Reads to `finished`; all output was delivered before it.
    pub(crate) async fn finish(&mut self) -> v1::ExecFinished {
        loop {
            match self.next().await {
                Some(Some(finished)) => {
                    assert_eq!(finished.stdout_bytes, self.stdout.len() as u64);
                    assert_eq!(finished.stderr_bytes, self.stderr.len() as u64);
                    self.hang_up();
                    return finished;
                }
                Some(None) => {}
                None => panic!("the stream ended before the program: {:?}", self.failed),
            }
        }
    }

    /// Reads to the end of the stream, which nothing finished.
    pub(crate) async fn refused(&mut self) -> v1::CommandFailed {
        while let Some(finished) = self.next().await {
            assert_eq!(finished, None);
        }
        self.failed.take().expect("a refusal")
    }
}
