//! The stream of one exec to the relay. Frames may go out while it is still being opened: a program
//! that ends at once costs no round trip.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use cmdop_proto::v1::exec_request::Request as Down;
use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::v1::exec_up::Message as Up;
use cmdop_proto::{Refusal, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::lane::{BulkLane, Lease};
use crate::relay_call;
use crate::token::Tokens;

/// Frames between the program and the connection: with this much under way reading goes on while the
/// connection writes; more would only be memory.
const FRAMES_AHEAD: usize = 4;

/// Once for an expired token, once for a connection that died while nobody used it.
const ATTEMPTS: u32 = 3;

/// How long the relay may take to read the rest once all was sent: a slow line with full windows.
const GOODBYE: Duration = Duration::from_secs(300);

/// How to reach the relay for one stream of an exec.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(super) lane: BulkLane,
    pub(super) tokens: Tokens,
    pub(super) stream_token: String,
    /// By what the relay knows the stream: the run's id, or that of the visit.
    pub(super) stream_id: String,
}

/// What happened on the stream.
#[derive(Debug)]
pub(super) enum Event {
    /// The caller says something.
    Request(Down),
    /// There is room for what waits.
    Room,
    /// The stream is over.
    Gone(Gone),
}

/// Why a stream is over.
#[derive(Debug)]
pub(super) enum Gone {
    /// The relay ended it in order: its caller is lost.
    Caller,
    /// The connection to the relay broke.
    Link,
    /// It never came about.
    Refused(Refusal),
}

/// The stream, being opened or open.
pub(super) struct Talk {
    address: Address,
    up: Option<mpsc::Sender<v1::ExecUp>>,
    down: Link,
    frames: VecDeque<Up>,
    /// What went out before the relay answered, in case it must be said again. No more than the
    /// channel holds and the connection took.
    early: Vec<Up>,
    attempts: u32,
    /// The end that came while nobody asked for events.
    gone: Option<Event>,
}

enum Link {
    Opening(Pin<Box<dyn Future<Output = Result<Streaming<v1::ExecDown>, Failure>> + Send>>),
    Open(Box<Streaming<v1::ExecDown>>),
    Gone,
}

/// Why an attempt failed, and with what it was made.
struct Failure {
    status: Status,
    lease: Option<Lease>,
    token: Option<String>,
}

impl Talk {
    /// Begins to open the stream.
    pub(super) fn begin(address: Address) -> Self {
        let (up, down) = attempt(&address, None);
        Self {
            address,
            up: Some(up),
            down,
            frames: VecDeque::new(),
            early: Vec::new(),
            attempts: 1,
            gone: None,
        }
    }

    /// Puts a message for the caller behind those that wait.
    pub(super) fn say(&mut self, response: Response) {
        self.push(Up::Response(v1::ExecResponse {
            response: Some(response),
        }));
    }

    /// The program cannot be started.
    pub(super) fn refuse(&mut self, command_id: u64, refusal: &Refusal) {
        self.push(Up::Failed(super::failure(command_id, refusal)));
    }

    /// Whether all that was said has left: only then may more be read from the program.
    pub(super) fn is_flushed(&self) -> bool {
        self.frames.is_empty()
    }

    /// Drops what waits: nobody listens.
    pub(super) fn forget(&mut self) {
        self.frames.clear();
    }

    fn push(&mut self, message: Up) {
        self.frames.push_back(message);
        self.pump();
    }

    fn pump(&mut self) {
        while let (Some(up), Some(_)) = (&self.up, self.frames.front()) {
            let Ok(permit) = up.try_reserve() else { return };
            let message = self.frames.pop_front();
            if matches!(self.down, Link::Opening(_)) {
                self.early.extend(message.clone());
            }
            permit.send(v1::ExecUp { message });
        }
    }

    /// The next event; requests only if `takes_requests`. Cancel-safe.
    pub(super) async fn next(&mut self, intake: Intake) -> Event {
        if let Some(gone) = self.gone.take() {
            return gone;
        }
        loop {
            let has_frames = !self.frames.is_empty();
            let Self { up, down, .. } = self;
            match down {
                Link::Gone => std::future::pending::<()>().await,
                Link::Opening(opening) => tokio::select! {
                    biased;
                    opened = opening.as_mut() => match opened {
                        Ok(stream) => self.opened(stream),
                        Err(failure) => if let Some(refusal) = self.try_again(failure) {
                            return Event::Gone(Gone::Refused(refusal));
                        },
                    },
                    () = room(up.as_ref()), if has_frames => return self.has_room(),
                },
                Link::Open(stream) => {
                    let event = tokio::select! {
                        biased;
                        message = stream.message(), if intake == Intake::Open => Some(message),
                        () = closed(up.as_ref()) => Some(Err(Status::unavailable(""))),
                        () = room(up.as_ref()), if has_frames => None,
                    };
                    match event {
                        Some(Ok(Some(message))) => {
                            // A request of a newer caller is passed over.
                            if let Some(request) = message.request.and_then(|m| m.request) {
                                return Event::Request(request);
                            }
                        }
                        Some(end) => {
                            self.down = Link::Gone;
                            return Event::Gone(match end {
                                Ok(_) => Gone::Caller,
                                Err(_) => Gone::Link,
                            });
                        }
                        None => return self.has_room(),
                    }
                }
            }
        }
    }

    fn has_room(&mut self) -> Event {
        self.pump();
        Event::Room
    }

    fn opened(&mut self, stream: Streaming<v1::ExecDown>) {
        self.down = Link::Open(Box::new(stream));
        self.early = Vec::new();
    }

    /// `None`: another attempt is under way.
    fn try_again(&mut self, failure: Failure) -> Option<Refusal> {
        let is_worth_it = relay_call::is_expired(&failure.status) || failure.is_transport();
        if self.attempts == ATTEMPTS || !is_worth_it {
            self.down = Link::Gone;
            self.up = None;
            return Some(Refusal::from(failure.status));
        }
        self.attempts += 1;
        let (up, down) = attempt(&self.address, Some(failure));
        self.up = Some(up);
        self.down = down;
        let unsaid = std::mem::take(&mut self.frames);
        self.frames = std::mem::take(&mut self.early).into();
        self.frames.extend(unsaid);
        self.pump();
        None
    }

    /// Waits for `work` while the stream is being opened. If the caller is gone before it is done, the
    /// next call of [`Talk::next`] says so.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        while self.gone.is_none() {
            tokio::select! {
                biased;
                done = &mut work => return done,
                event = self.next(Intake::Closed) => if let Event::Gone(_) = event {
                    self.gone = Some(event);
                },
            }
        }
        work.await
    }

    /// Sends what waits, ends our side, and waits until the relay has ended its own: a stream that
    /// is dropped earlier is cut off with what is still under way.
    pub(super) async fn goodbye(mut self) -> Result<(), Refusal> {
        let _ = tokio::time::timeout(GOODBYE, self.leave()).await;
        Ok(())
    }

    async fn leave(&mut self) {
        while !self.frames.is_empty() {
            if let Event::Gone(_) = self.next(Intake::Closed).await {
                return;
            }
        }
        self.up = None;
        while !matches!(self.down, Link::Gone) {
            if let Event::Gone(_) = self.next(Intake::Open).await {
                return;
            }
        }
    }
}

/// Whether requests are taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// Yes.
    Open,
    /// Not before the program has read what waits for it.
    Closed,
}

impl Failure {
    /// The relay itself names its reasons; what has none comes from the connection.
    fn is_transport(&self) -> bool {
        self.lease.is_some() && Refusal::from(&self.status).reason.is_empty()
    }
}

async fn room(up: Option<&mpsc::Sender<v1::ExecUp>>) {
    if let Some(up) = up
        && up.reserve().await.is_err()
    {
        // The end of the stream is told elsewhere; until then there is no room.
        std::future::pending::<()>().await;
    }
}

async fn closed(up: Option<&mpsc::Sender<v1::ExecUp>>) {
    match up {
        Some(up) => up.closed().await,
        None => std::future::pending().await,
    }
}

fn attempt(address: &Address, last: Option<Failure>) -> (mpsc::Sender<v1::ExecUp>, Link) {
    let (up, body) = mpsc::channel(FRAMES_AHEAD);
    let hello = Up::Hello(v1::ExecHello {
        run_id: address.stream_id.clone(),
    });
    let _ = up.try_send(v1::ExecUp {
        message: Some(hello),
    });
    (
        up,
        Link::Opening(Box::pin(open(address.clone(), last, body))),
    )
}

async fn open(
    address: Address,
    last: Option<Failure>,
    body: mpsc::Receiver<v1::ExecUp>,
) -> Result<Streaming<v1::ExecDown>, Failure> {
    let mut broken = None;
    if let Some(last) = last {
        if relay_call::is_expired(&last.status) {
            address.tokens.renewed_after(last.token).await;
        } else {
            broken = last.lease;
        }
    }
    let token = address.tokens.current();
    let failure = |status, lease| Failure {
        status,
        lease,
        token: token.clone(),
    };
    let lease = address
        .lane
        .lease(broken.as_ref())
        .await
        .map_err(|refusal| failure(Status::from(refusal), None))?;
    let body = ReceiverStream::new(body);
    let request = relay_call::stream_request(body, &address.tokens, &address.stream_token)
        .map_err(|refusal| failure(Status::from(refusal), None))?;
    match relay_call::client(lease.channel.clone())
        .exec(request)
        .await
    {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(failure(status, Some(lease))),
    }
}

#[cfg(test)]
pub(super) mod tests;
