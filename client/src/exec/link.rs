//! The task behind a run: one stream at a time, opened again where the last one was lost.
//!
//! It never waits for its caller while it could serve the wire: output is only read from the stream when
//! the caller has room for it, and input and signals go on meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::v1::exec_request::Request as Ask;
use cmdop_proto::v1::exec_response::Response as Answer;
use cmdop_proto::{ErrorKind, Refusal, v1};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::stdin::{Next, Unacked};
use super::{Event, Finished, Typed};
use crate::backoff::Backoff;
use crate::connection::{Connection, Relay};
use crate::dial::Lane;
use crate::error::Error;

/// Requests on their way to the connection. Few: what waits in front of a signal is stdin.
const QUEUE: usize = 4;

/// So many more bytes of output must have come before it is worth an acknowledgement: an eighth of what
/// the agent keeps.
const ACK_EVERY: u64 = 256 << 10;

/// One attempt to come back.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longer than any agent keeps a run whose caller is lost: its grace, and what the relay may take to
/// notice that the agent's own link is lost.
const LOST_FOR: Duration = Duration::from_secs(100);

/// A relay that was just started learns from others what there is.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// How long the relay may take to end a stream that we are done with.
const GOODBYE: Duration = Duration::from_secs(2);

/// Signals that wait for a connection; more would say nothing new.
const SIGNALS: usize = 8;

/// Turns of the runtime that the connection needs to put a request on the wire: the stream's task, the
/// connection's task, the socket. Spare ones cost nothing.
const TURNS: usize = 8;

/// Whose run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// The caller's: it ends when the caller leaves.
    Own,
    /// Nobody's: it stays.
    Detached,
}

/// What a run's caller keeps over reconnects.
pub(super) struct Client {
    connection: Connection,
    /// Empty: the relay knows where the run is.
    machine: String,
    run_id: String,
    tie: Tie,
    stdout: u64,
    stderr: u64,
    /// The sum of both, as it was acknowledged.
    acked: u64,
    stdin: Unacked,
    signals: VecDeque<u32>,
    /// The agent knows how to go on; not known before it started the program.
    resumes: Option<bool>,
}

/// One open stream.
pub(super) struct Link {
    pub(super) relay: Relay,
    pub(super) requests: mpsc::Sender<v1::ExecRequest>,
    pub(super) responses: tonic::Streaming<v1::ExecResponse>,
}

/// The caller's ends.
pub(super) struct Ends {
    pub(super) typed: mpsc::Receiver<Typed>,
    pub(super) signals: mpsc::Receiver<u32>,
    pub(super) events: mpsc::Sender<Result<Event, Error>>,
}

/// How a stream came to its end.
enum End {
    /// Nothing more is to come.
    Over,
    /// The caller does not want to know any more.
    Left,
    /// Open another one, after a wait.
    Lost(Error),
}

/// A request in a new queue, which the stream takes from.
pub(super) fn queue(
    first: Ask,
) -> (
    mpsc::Sender<v1::ExecRequest>,
    ReceiverStream<v1::ExecRequest>,
) {
    let (requests, stream) = mpsc::channel(QUEUE);
    // It cannot fail: the queue is new.
    let _ = requests.try_send(request(first));
    (requests, ReceiverStream::new(stream))
}

fn request(ask: Ask) -> v1::ExecRequest {
    v1::ExecRequest { request: Some(ask) }
}

impl Client {
    pub(super) fn new(connection: Connection, machine: String, run_id: String, tie: Tie) -> Self {
        Self {
            connection,
            machine,
            run_id,
            tie,
            stdout: 0,
            stderr: 0,
            acked: 0,
            stdin: Unacked::default(),
            signals: VecDeque::new(),
            resumes: None,
        }
    }

    /// Opens another stream of the run, from what we have of it.
    pub(super) async fn come_back(&mut self) -> Result<Link, Error> {
        let resume = v1::ExecResume {
            machine: self.machine.clone(),
            run_id: self.run_id.clone(),
            stdout_from: self.stdout,
            stderr_from: self.stderr,
        };
        let newest = std::sync::Mutex::new(None);
        let opened = self
            .connection
            .stream(Lane::Bulk, "coming back to the run", |relay| {
                let (requests, stream) = queue(Ask::Resume(resume.clone()));
                *newest.lock().expect("nobody panics while holding it") = Some(requests);
                async move { relay.exec().run(stream).await }
            });
        let (relay, mut responses) = opened.await?;
        let no_stream = || Error::Protocol("no stream was opened".into());
        let requests = newest.into_inner().ok().flatten().ok_or_else(no_stream)?;
        let Some(Answer::Resumed(resumed)) = next(&mut responses).await? else {
            return Err(Error::Protocol(
                "the agent did not say where the run goes on".into(),
            ));
        };
        if !self.stdin.go_on_from(resumed.stdin_from) {
            return Err(Error::Protocol(format!(
                "the agent asks for stdin from byte {}, which was not sent or is not kept",
                resumed.stdin_from
            )));
        }
        self.resumes = Some(true);
        self.acked = self.stdout + self.stderr;
        Ok(Link {
            relay,
            requests,
            responses,
        })
    }

    /// Serves the run until it has finished, the caller leaves, or nothing helps any more.
    pub(super) async fn run(mut self, link: Result<Link, Error>, mut ends: Ends) {
        let mut opened = link;
        loop {
            let lost = match opened {
                Ok(mut link) => match self.serve(&mut link, &mut ends).await {
                    End::Over => return goodbye(link).await,
                    End::Left => return self.leave(link).await,
                    End::Lost(error) => {
                        self.connection.lost(&link.relay);
                        error
                    }
                },
                Err(error) => error,
            };
            tracing::info!(run = self.run_id, "lost a run's stream: {lost}");
            match self.reopen(lost, &mut ends).await {
                Some(link) => opened = Ok(link),
                None => return,
            }
        }
    }

    /// Opens a stream again and again; `None` when the caller left or it cannot help.
    async fn reopen(&mut self, lost: Error, ends: &mut Ends) -> Option<Link> {
        let mut backoff = Backoff::new();
        let lost_at = Instant::now();
        loop {
            let attempt = async {
                tokio::time::sleep(backoff.next_wait()).await;
                tokio::time::timeout(ATTEMPT_TIMEOUT, self.come_back()).await
            };
            let tried = tokio::select! {
                // Dropping an attempt drops its stream; the next one goes on all the same.
                tried = attempt => tried,
                () = ends.events.closed() => return None,
            };
            let error = match tried {
                Ok(Ok(link)) => {
                    tracing::info!(run = self.run_id, "a run goes on");
                    return Some(link);
                }
                Ok(Err(error)) => error,
                Err(_) => Error::Timeout {
                    what: "coming back to the run".into(),
                    after: ATTEMPT_TIMEOUT,
                },
            };
            let since = lost_at.elapsed();
            let is_too_long = self.tie == Tie::Own && since > LOST_FOR;
            if is_too_long || !may_pass(&error, self.tie, since) {
                let error = self.named(error, lost);
                let _ = ends.events.send(Err(error)).await;
                return None;
            }
        }
    }

    /// Why there is no coming back.
    fn named(&self, error: Error, lost: Error) -> Error {
        if error.exit_code() != ErrorKind::Unavailable.exit_code() {
            return error;
        }
        if self.resumes.is_none() && self.tie == Tie::Own {
            // It was not even started.
            return lost;
        }
        let machine = cmdop_proto::text::shown(&self.machine, 64);
        let on = if machine.is_empty() {
            String::new()
        } else {
            format!(" on {machine}")
        };
        Error::Refused(
            Refusal::unavailable(
                "run-lost",
                format!("the connection to the program{on} was lost, and it could not be resumed: {error}"),
            )
            .hint("the agent ends a program whose caller stays away, or when it is restarted itself"),
        )
    }

    /// Moves bytes both ways until the stream ends.
    async fn serve(&mut self, link: &mut Link, ends: &mut Ends) -> End {
        let mut room: Option<OwnedPermit<Result<Event, Error>>> = None;
        let (mut typing, mut signalling, mut open) = (true, true, true);
        loop {
            let waiting = !self.send(&link.requests);
            // All branches are cancel-safe: receiving, reserving and reading one message lose nothing
            // when another branch wins.
            tokio::select! {
                biased;
                signal = ends.signals.recv(), if signalling && self.signals.len() < SIGNALS => match signal {
                    Some(signal) => self.signals.push_back(signal),
                    None => signalling = false,
                },
                typed = ends.typed.recv(), if typing && self.stdin.has_room() => match typed {
                    Some(Typed::Data(data)) => self.stdin.push(data),
                    // A caller that drops its end has no more.
                    Some(Typed::End) | None => {
                        self.stdin.complete();
                        typing = false;
                    }
                },
                // There is room again, or the stream is gone: then its other half says why.
                room = link.requests.reserve(), if waiting && open => open = room.is_ok(),
                () = ends.events.closed() => return End::Left,
                reserved = ends.events.clone().reserve_owned(), if room.is_none() => match reserved {
                    Ok(permit) => room = Some(permit),
                    Err(_) => return End::Left,
                },
                answer = next(&mut link.responses), if room.is_some() => {
                    let event = match answer {
                        Ok(Some(answer)) => self.read(answer),
                        Ok(None) => return End::Lost(Error::Lost("the run ended without a result".into())),
                        Err(error) if self.resumes == Some(false) || !breaks(&error) => Err(error),
                        Err(error) => return End::Lost(error),
                    };
                    let is_last = matches!(event, Ok(Some(Event::Finished(_))) | Err(_));
                    if matches!(event, Ok(Some(Event::Finished(_)))) {
                        said(&link.requests, Ask::Done(true)).await;
                    }
                    if let Some(event) = event.transpose()
                        && let Some(permit) = room.take()
                    {
                        permit.send(event);
                    }
                    if is_last {
                        return End::Over;
                    }
                }
            }
        }
    }

    /// Sends what the connection takes now. `false`: something is left.
    fn send(&mut self, requests: &mpsc::Sender<v1::ExecRequest>) -> bool {
        let ask = |ask: Ask| requests.try_send(request(ask)).is_ok();
        while let Some(signal) = self.signals.front() {
            if !ask(Ask::Signal(*signal)) {
                return false;
            }
            self.signals.pop_front();
        }
        let had = self.stdout + self.stderr;
        if self.resumes == Some(true) && had - self.acked >= ACK_EVERY {
            let (stdout, stderr) = (self.stdout, self.stderr);
            if !ask(Ask::Ack(v1::ExecAck { stdout, stderr })) {
                return false;
            }
            self.acked = had;
        }
        while let Some(next) = self.stdin.next() {
            let sent = match &next {
                Next::Data(data) => ask(Ask::Stdin(data.clone())),
                Next::Closed => ask(Ask::StdinClosed(true)),
            };
            if !sent {
                return false;
            }
            self.stdin.went_out(&next);
            if self.resumes == Some(false) {
                self.stdin.all_sent_is_taken();
            }
        }
        true
    }

    fn read(&mut self, answer: Answer) -> Result<Option<Event>, Error> {
        Ok(Some(match answer {
            Answer::Started(started) => {
                self.resumes = Some(started.resumes);
                if !started.resumes {
                    self.stdin.all_sent_is_taken();
                }
                Event::Started { pid: started.pid }
            }
            Answer::Stdout(piece) => Event::Stdout(advance(&mut self.stdout, piece, "stdout")?),
            Answer::Stderr(piece) => Event::Stderr(advance(&mut self.stderr, piece, "stderr")?),
            Answer::Finished(finished) => {
                self.check(&finished)?;
                Event::Finished(Finished::read(&finished))
            }
            Answer::StdinAck(offset) => {
                self.stdin.acked(offset);
                return Ok(None);
            }
            // It comes first, and only then.
            Answer::Resumed(_) => return Ok(None),
        }))
    }

    /// A result whose output is not whole is no result.
    fn check(&self, finished: &v1::ExecFinished) -> Result<(), Error> {
        let told = (finished.stdout_bytes, finished.stderr_bytes);
        if told == (self.stdout, self.stderr) {
            return Ok(());
        }
        Err(Error::Protocol(format!(
            "output is missing: the program wrote {} and {} bytes, {} and {} arrived",
            told.0, told.1, self.stdout, self.stderr
        )))
    }

    /// The caller left before the end: so does a program of its own.
    async fn leave(self, link: Link) {
        if self.tie == Tie::Own {
            let end = request(Ask::End(true));
            // Full of stdin that the program does not read: the end of the stream must say it.
            let _ = tokio::time::timeout(GOODBYE, link.requests.send(end)).await;
            goodbye(link).await;
        }
    }
}

/// Says it and lets the connection put it on the wire: our process may end in a moment.
async fn said(requests: &mpsc::Sender<v1::ExecRequest>, ask: Ask) {
    // A full queue leaves it unsaid: then the agent keeps the result until its grace is over.
    if requests.try_send(request(ask)).is_ok() {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }
}

/// A stream that is dropped too early is cut off with what is still under way.
async fn goodbye(link: Link) {
    let Link {
        requests,
        mut responses,
        ..
    } = link;
    drop(requests);
    let ended = async { while let Ok(Some(_)) = responses.message().await {} };
    let _ = tokio::time::timeout(GOODBYE, ended).await;
}

/// Whether a stream broke, rather than told its result.
fn breaks(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => refusal.kind == ErrorKind::Unavailable || error.voids_token(),
        error => error.is_connection(),
    }
}

/// Whether coming back can help, this long after the loss.
fn may_pass(error: &Error, tie: Tie, since: Duration) -> bool {
    match error {
        Error::Refused(refusal) => match refusal.kind {
            ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Internal => true,
            // Where a detached run is, the relay says itself; of any other the agent speaks.
            ErrorKind::NotFound => {
                let may_be_known_later = refusal.reason != "run-unknown" || tie == Tie::Detached;
                may_be_known_later && since < UNKNOWN_FOR
            }
            ErrorKind::Denied => refusal.reason == "token-expired",
            ErrorKind::Invalid => false,
        },
        error => error.is_connection(),
    }
}

async fn next(responses: &mut tonic::Streaming<v1::ExecResponse>) -> Result<Option<Answer>, Error> {
    loop {
        match responses.message().await? {
            None => return Ok(None),
            // An answer that this version does not know.
            Some(v1::ExecResponse { response: None }) => {}
            Some(v1::ExecResponse { response }) => return Ok(response),
        }
    }
}

fn advance(have: &mut u64, piece: v1::ExecOutput, stream: &str) -> Result<Bytes, Error> {
    if piece.offset != *have {
        return Err(Error::Protocol(format!(
            "{stream} has a gap: byte {} came after byte {have}",
            piece.offset
        )));
    }
    *have += piece.data.len() as u64;
    Ok(piece.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_output_is_an_error_and_not_a_silent_loss() {
        let mut have = 4;
        let piece = |offset| v1::ExecOutput {
            offset,
            data: Bytes::from_static(b"ab"),
        };
        advance(&mut have, piece(4), "stdout").unwrap();
        assert_eq!(have, 6);
        assert!(advance(&mut have, piece(7), "stdout").is_err());
    }

    #[test]
    fn a_run_that_its_agent_does_not_know_is_not_asked_for_again() {
        let unknown = Error::Refused(Refusal::not_found("run-unknown", "x"));
        assert!(!may_pass(&unknown, Tie::Own, Duration::ZERO));
        // A relay that was just started does not know where the detached ones are.
        assert!(may_pass(&unknown, Tie::Detached, Duration::ZERO));
        let offline = Error::Refused(Refusal::unavailable("machine-offline", "x"));
        assert!(may_pass(&offline, Tie::Own, Duration::from_secs(3600)));
        // Nor its machines.
        let machine = Error::Refused(Refusal::not_found("machine-unknown", "x"));
        assert!(may_pass(&machine, Tie::Own, Duration::ZERO));
        assert!(!may_pass(&machine, Tie::Own, UNKNOWN_FOR));
    }
}
