//! The relay's side of one session's stream.

use cmdop_proto::v1::session_down::Message as Down;
use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{ClientId, v1};
use tonic::Status;

use super::{Call, PATIENCE, within};

/// A session as the test sees it.
pub(crate) struct SessionStream {
    pub(crate) hello: v1::SessionSummary,
    call: Call<v1::SessionUp, v1::SessionDown>,
    pub(crate) client: ClientId,
    next_seq: u64,
    /// All output so far, without a gap from `from` on.
    pub(crate) output: Vec<u8>,
    pub(crate) from: u64,
    /// The newest command id that output carried.
    pub(crate) tag: u64,
    pub(crate) acks: Vec<v1::AgentInputAck>,
}

impl SessionStream {
    pub(crate) async fn new(mut call: Call<v1::SessionUp, v1::SessionDown>) -> Self {
        assert_eq!(call.metadata["x-cmdop-stream-token"], "stream-token");
        let hello = within("hello", call.up.message()).await.unwrap().unwrap();
        let Some(Up::Hello(hello)) = hello.message else {
            panic!("the first word was {hello:?}");
        };
        Self {
            hello: hello.summary.unwrap(),
            call,
            client: ClientId::new(),
            next_seq: 1,
            output: Vec::new(),
            from: 0,
            tag: 0,
            acks: Vec::new(),
        }
    }

    /// A stream on which output flows from the beginning.
    pub(crate) async fn flowing(mut self) -> Self {
        self.say(Down::SendFrom(0)).await;
        self
    }

    /// Goes on where `earlier` was cut.
    pub(crate) async fn resuming(mut self, earlier: Self) -> Self {
        self.client = earlier.client;
        self.next_seq = earlier.next_seq;
        self.from = earlier.from;
        self.output = earlier.output;
        self.say(Down::SendFrom(self.from + self.output.len() as u64))
            .await;
        self
    }

    pub(crate) async fn say(&mut self, message: Down) {
        let message = v1::SessionDown {
            message: Some(message),
        };
        self.call.down.send(Ok(message)).await.unwrap();
    }

    /// Types.
    pub(crate) async fn input(&mut self, data: &[u8]) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.replay(seq, data).await;
    }

    /// Types under a number of its own, as a replay does.
    pub(crate) async fn replay(&mut self, seq: u64, data: &[u8]) {
        self.say(Down::Input(v1::AgentInput {
            client_id: self.client.to_string(),
            input_seq: seq,
            command_id: seq,
            data: data.to_vec().into(),
        }))
        .await;
    }

    /// The next message, or the end. Output is checked and kept before it is returned.
    pub(crate) async fn next(&mut self) -> Result<Option<Up>, Status> {
        let Some(message) = self.call.up.message().await? else {
            return Ok(None);
        };
        let message = message.message.unwrap();
        match &message {
            Up::Output(output) => {
                assert_eq!(output.offset, self.from + self.output.len() as u64, "a gap");
                assert!(output.command_id >= self.tag, "a tag went back");
                self.tag = output.command_id;
                self.output.extend_from_slice(&output.data);
            }
            Up::LogStartsAt(offset) => {
                self.from = *offset;
                self.output.clear();
            }
            Up::InputAck(ack) => self.acks.push(ack.clone()),
            _ => {}
        }
        Ok(Some(message))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Reads until the output holds `wanted`.
    pub(crate) async fn until(&mut self, wanted: &str) {
        while !self.text().contains(wanted) {
            let next = tokio::time::timeout(PATIENCE, self.next()).await;
            assert!(
                matches!(next, Ok(Ok(Some(_)))),
                "{next:?} instead of {wanted:?}, after {:?}",
                self.text()
            );
        }
    }

    /// Reads until a message that `wanted` takes.
    pub(crate) async fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(Up) -> Option<T>) -> T {
        loop {
            let next = within(what, self.next()).await.unwrap();
            let message = next.unwrap_or_else(|| panic!("the stream ended before {what}"));
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Reads to the end of the session.
    pub(crate) async fn exit(&mut self) -> v1::SessionExited {
        let exited = self
            .wait_for("the end of the session", |message| match message {
                Up::Exited(exited) => Some(exited),
                _ => None,
            })
            .await;
        assert_eq!(exited.end_offset, self.from + self.output.len() as u64);
        exited
    }
}
