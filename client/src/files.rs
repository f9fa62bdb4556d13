//! One end of file operations: a machine's files through its relay, or this computer's own. Both are asked
//! alike.
//!
//! Requests are done in the order in which they are asked, and answered in that order. A [`Files`] is one
//! stream; whoever wants two things at the same time opens two. A lost stream is not repaired here.

mod calls;
mod feed;

use std::path::Path;

pub use cmdop_files::stand_back;
use cmdop_files::{Roots, Scope, Service};
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, TransferId, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::connection::{Connection, Relay};
use crate::dial::Lane;
use crate::error::Error;

pub use calls::{Follow, Listing};
pub(crate) use feed::Feed;

/// Where files are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On this computer, as this user.
    Here,
    /// On a machine, by name or id.
    Machine(String),
}

/// A stream of requests and answers.
#[derive(Debug)]
pub struct Files {
    pub(crate) asker: Asker,
    pub(crate) answers: Answers,
    home: Vec<u8>,
    access: v1::FileAccess,
}

/// How a stream to a machine's files is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) machine: &'a str,
    /// The feed that it takes from; empty: none.
    pub(crate) feed: &'a str,
    /// Whose contents go over it.
    pub(crate) part: Option<Part>,
    /// Requests that may wait here.
    pub(crate) queue: usize,
}

/// A stream's part in a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) transfer: TransferId,
    pub(crate) direction: v1::FileDirection,
}

impl Opening<'_> {
    /// How whoever is not a machine is opened.
    fn here() -> Self {
        Self {
            machine: "",
            feed: "",
            part: None,
            queue: cmdop_files::QUEUE,
        }
    }

    /// The first request.
    fn request(&self) -> v1::FileRequest {
        let direction = self
            .part
            .map_or_else(Default::default, |part| part.direction);
        let open = v1::FilesOpen {
            machine: self.machine.to_owned(),
            feed: self.feed.to_owned(),
            transfer: self
                .part
                .map_or_else(String::new, |part| part.transfer.to_string()),
            direction: direction.into(),
        };
        v1::FileRequest {
            id: 0,
            request: Some(Ask::Open(open)),
        }
    }
}

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Asker {
    requests: mpsc::Sender<v1::FileRequest>,
    count: u64,
}

/// Where answers come from.
#[derive(Debug)]
pub(crate) struct Answers {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Here(mpsc::Receiver<v1::FileResponse>),
    Machine(Box<Remote>),
}

#[derive(Debug)]
struct Remote {
    responses: Streaming<v1::FileResponse>,
    relay: Relay,
    connection: Connection,
}

impl Files {
    /// Opens a stream to where the files are.
    pub async fn open(connection: &Connection, place: &Place) -> Result<Self, Error> {
        match place {
            Place::Here => Self::here().await,
            Place::Machine(machine) => {
                let open = Opening {
                    machine,
                    feed: "",
                    part: None,
                    queue: cmdop_files::QUEUE,
                };
                Self::remote(connection, open).await
            }
        }
    }

    /// Opens a stream to a machine's files.
    pub(crate) async fn remote(connection: &Connection, open: Opening<'_>) -> Result<Self, Error> {
        let (requests, answers) = remote(connection, open).await?;
        Self::opened(Asker { requests, count: 0 }, answers).await
    }

    /// Whoever answers these requests: the first of them is `open`.
    pub(crate) async fn of(
        requests: mpsc::Sender<v1::FileRequest>,
        answers: mpsc::Receiver<v1::FileResponse>,
    ) -> Result<Self, Error> {
        // It cannot fail: the queue is new.
        let _ = requests.try_send(Opening::here().request());
        let source = Source::Here(answers);
        Self::opened(Asker { requests, count: 0 }, Answers { source }).await
    }

    /// This computer's files; needs no connection.
    pub async fn here() -> Result<Self, Error> {
        let (requests, answers) = here();
        Self::opened(Asker { requests, count: 0 }, answers).await
    }

    async fn opened(asker: Asker, mut answers: Answers) -> Result<Self, Error> {
        match answers.next().await?.response {
            Some(Response::Opened(opened)) => Ok(Self {
                asker,
                answers,
                access: opened.access(),
                home: opened.home.into(),
            }),
            _ => Err(unexpected()),
        }
    }

    /// What relative paths are relative to.
    pub fn home(&self) -> &[u8] {
        &self.home
    }

    /// Whether files may be changed there.
    pub fn may_write(&self) -> bool {
        self.access == v1::FileAccess::Write
    }

    /// Asks, and waits for the one answer.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<Response, Error> {
        self.asker.ask(ask).await?;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Result<Response, Error> {
        let answer = self.answers.next().await?;
        read(answer).map(|(response, _)| response)
    }
}

impl Asker {
    /// Sends a request; waits for room.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        let permit = self.requests.reserve().await.map_err(|_| lost())?;
        self.count += 1;
        permit.send(v1::FileRequest {
            id: self.count,
            request: Some(ask),
        });
        Ok(())
    }

    /// Sends a request if there is room for it.
    pub(crate) fn try_ask(&mut self, ask: Ask) -> Result<(), Error> {
        let permit = self.requests.try_reserve().map_err(|_| lost())?;
        self.count += 1;
        permit.send(v1::FileRequest {
            id: self.count,
            request: Some(ask),
        });
        Ok(())
    }

    /// Waits until a request can be sent at once. Cancel-safe.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.requests.reserve().await.map(drop).map_err(|_| lost())
    }
}

impl Answers {
    /// The next answer, whatever it is. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<v1::FileResponse, Error> {
        match &mut self.source {
            Source::Here(answers) => answers.recv().await.ok_or_else(lost),
            Source::Machine(remote) => match remote.responses.message().await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(lost()),
                Err(status) => {
                    let error = Error::from(status);
                    if matches!(error, Error::Lost(_)) {
                        remote.connection.lost(&remote.relay);
                    }
                    Err(error)
                }
            },
        }
    }
}

/// An answer and whether it is the last of its request; a refusal is an error.
pub(crate) fn read(answer: v1::FileResponse) -> Result<(Response, bool), Error> {
    match answer.response {
        Some(Response::Refused(refused)) => Err(Error::Refused(refusal(&refused))),
        Some(response) => Ok((response, answer.last)),
        None => Err(unexpected()),
    }
}

/// What a refusal on the wire says.
pub fn refusal(refused: &v1::FileRefused) -> Refusal {
    let code = Code::from_i32(refused.grpc_code as i32);
    Refusal::from_parts(code, &refused.message, refused.detail.clone())
}

/// The other end does not keep to the protocol.
pub(crate) fn unexpected() -> Error {
    Error::Protocol("the other end gave an answer that does not belong to the question".into())
}

/// The end of a stream that still had something to say.
pub(crate) fn lost() -> Error {
    Error::Lost("the stream to the files is over".into())
}

fn here() -> (mpsc::Sender<v1::FileRequest>, Answers) {
    let (requests, asked) = mpsc::channel(cmdop_files::QUEUE);
    let (answers, answered) = mpsc::channel(cmdop_files::QUEUE);
    // It cannot fail: the queue is new.
    let _ = requests.try_send(Opening::here().request());
    let make = || {
        let roots = Roots::open(Path::new("."), &Scope::Whole);
        Service::new(roots, v1::FileAccess::Write)
    };
    if let Err(error) = cmdop_files::serve(make, asked, answers) {
        // Whoever asks hears that nobody answers.
        tracing::warn!(%error, "no thread for the files of this machine");
    }
    let source = Source::Here(answered);
    (requests, Answers { source })
}

async fn remote(
    connection: &Connection,
    open: Opening<'_>,
) -> Result<(mpsc::Sender<v1::FileRequest>, Answers), Error> {
    let newest = std::sync::Mutex::new(None);
    let opened = connection.stream(Lane::Bulk, "reaching the machine's files", |relay| {
        let (requests, stream) = mpsc::channel(open.queue);
        // It cannot fail: the queue is new.
        let _ = requests.try_send(open.request());
        *newest.lock().expect("nobody panics while holding it") = Some(requests);
        async move { relay.files().open(ReceiverStream::new(stream)).await }
    });
    let (relay, responses) = opened.await?;
    let requests = newest.into_inner().ok().flatten().ok_or_else(lost)?;
    let remote = Remote {
        responses,
        relay,
        connection: connection.clone(),
    };
    let source = Source::Machine(Box::new(remote));
    Ok((requests, Answers { source }))
}
