//! Ways to machines' files that are open: where the client's stream and the agent's stream meet.
//!
//! As with runs, the two are handed to each other whole, and nothing is kept between them but the changes that
//! wait for their answers, for the record. What a caller may do on one is decided when it is opened, and looked
//! up on every message.

pub(crate) mod moved;
mod told;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cmdop_proto::file_change::{Record, Trail};
use cmdop_proto::{MachineId, Refusal, RunId, TransferId, v1};
use cmdop_service::audit::{self, Actor};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::by_machine::ByMachine;
use crate::caller::Account;
use crate::carry::Carried;
use crate::feed::{Owner, Reader};
use crate::file_access;
use crate::incoming;
use crate::machines::Link;
use crate::meeting::{Meeting, Opener};
use crate::report::Reporter;
use crate::transfers::{Direction, Transfers};
use moved::{Moved, Whose};
use told::{Told, UnderWay};

/// What the agent's stream is opened with.
pub(crate) type Opened = Result<Streaming<v1::FilesUp>, Refusal>;

/// Whose stream it is, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account's name, for the record.
    pub(crate) account: String,
    pub(crate) owner: Owner,
    /// The role allows more than the token's scope.
    pub(crate) is_narrowed: bool,
    pub(crate) access: v1::FileAccess,
}

/// One open stream.
#[derive(Debug)]
pub(crate) struct FileStream {
    pub(crate) id: RunId,
    pub(crate) machine_name: String,
    pub(crate) caller: Caller,
    pub(crate) meeting: Meeting<Left, Streaming<v1::FilesUp>>,
    /// Its place in a feed.
    pub(crate) reader: Option<Reader>,
    /// Requests whose answers go into a feed.
    pub(crate) carried: Carried,
    changes: Mutex<Changes>,
    actor: Actor,
    /// The client has nothing more to ask.
    is_closed: AtomicBool,
}

/// What the client leaves for the agent's stream to take.
pub(crate) struct Left {
    /// `open`, which is passed on too: the agent answers it.
    pub(crate) first: v1::FileRequest,
    pub(crate) requests: Streaming<v1::FileRequest>,
}

/// What a stream changes: what is under way, and what is told of it.
#[derive(Debug)]
struct Changes {
    trail: Trail,
    told: Told,
    moved: Moved,
}

impl FileStream {
    /// A request of the client, wherever it came from, on its way to the agent: checked and remembered.
    pub(crate) fn asks(&self, request: &mut v1::FileRequest) -> Result<(), Refusal> {
        file_access::check(self, request).inspect_err(|refusal| {
            audit::request_refused(&self.actor, refusal);
            self.changes().told.denied(refusal);
        })?;
        let mut changes = self.changes();
        changes.trail.asked(request)?;
        changes.moved.asked(request);
        drop(changes);
        self.carried.asked(request)
    }

    /// An answer of the agent: what is known now goes on record.
    pub(crate) fn answers(&self, response: &v1::FileResponse) {
        let mut changes = self.changes();
        let known = changes.trail.answered(response);
        changes.moved.answered(response, &known);
        self.record(&mut changes, &known);
    }

    /// The stream is over: what was not answered goes on record as well. `why` it was ended, if its client did not
    /// want it.
    fn ended(&self, why: Option<&str>) {
        let mut changes = self.changes();
        let left = changes.trail.ended();
        changes.moved.ended(&left, why);
        self.record(&mut changes, &left);
        changes.told.end();
    }

    fn record(&self, changes: &mut Changes, records: &[Record]) {
        for record in records {
            audit::file_changed(&self.actor, record);
        }
        let under_way = if changes.trail.is_answered() {
            UnderWay::Nothing
        } else {
            UnderWay::Something
        };
        changes.told.tell(records, under_way);
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client has nothing more to ask: when all is answered, the end is no loss.
    pub(crate) fn closed(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Why it was ended; a stream that is cut for no reason of its own was revoked.
    pub(crate) fn reason(&self) -> Refusal {
        let behind = || self.reader.as_ref().and_then(Reader::refusal);
        let refusal = self.meeting.refusal().or_else(behind);
        refusal.unwrap_or_else(crate::directory::revoked)
    }
}

/// What a stream is made of.
pub(crate) struct New<'a> {
    pub(crate) machine_name: &'a str,
    pub(crate) account: Account,
    pub(crate) caller: Caller,
    pub(crate) left: Left,
    pub(crate) opened: Opener<Streaming<v1::FilesUp>>,
    /// The transfer that it is part of.
    pub(crate) named: Option<(TransferId, Direction)>,
    /// The feed that it takes from; `over` is what ends it.
    pub(crate) reader: Option<Reader>,
    pub(crate) over: CancellationToken,
}

/// All that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileStreams {
    open: ByMachine<FileStream>,
}

impl FileStreams {
    /// Enters a stream, at most `most` to one machine. It is over when the guard is dropped.
    pub(crate) fn enter(
        &self,
        link: &Arc<Link>,
        new: New<'_>,
        (reporter, transfers): (&Reporter, &Transfers),
        most: usize,
    ) -> Result<(FileStreamGuard, String), Refusal> {
        let (meeting, token) = Meeting::new(new.left, new.opened, new.over);
        let machine_name = new.machine_name;
        let id = RunId::new();
        let moved = Moved::new(Whose {
            transfers: transfers.clone(),
            account: new.account.clone(),
            machine: link.machine,
            machine_name: machine_name.to_owned(),
            stream: TransferId::from(*id.as_uuid()),
            named: new.named,
        });
        let told = Told::new(
            reporter.clone(),
            new.account,
            machine_name.to_owned(),
            id.to_string(),
        );
        let stream = Arc::new(FileStream {
            id,
            machine_name: machine_name.to_owned(),
            actor: Actor {
                account_id: new.caller.owner.account.clone(),
                account: new.caller.account.clone(),
                machine: machine_name.to_owned(),
                stream: id.to_string(),
            },
            caller: new.caller,
            meeting,
            reader: new.reader,
            carried: Carried::default(),
            changes: Mutex::new(Changes {
                trail: Trail::default(),
                told,
                moved,
            }),
            is_closed: AtomicBool::new(false),
        });
        let key = (link.machine, stream.id);
        // Its number was made a moment ago: all that can stand in its way is the limit.
        self.open.enter(key, stream.clone(), most).map_err(|_| {
            let what = format!(
                "{most} streams to the files of {machine_name} are open, which is the limit"
            );
            Refusal::exhausted("too-many-file-streams", what)
                .hint("wait until a transfer has ended")
        })?;
        let guard = FileStreamGuard {
            streams: self.clone(),
            link: link.clone(),
            stream,
        };
        Ok((guard, token))
    }

    /// The stream that an agent names; it can only name its own machine's.
    pub(crate) fn get(&self, machine: MachineId, id: RunId) -> Option<Arc<FileStream>> {
        self.open.get((machine, id))
    }

    /// Ends all.
    pub(crate) fn end_all(&self, refusal: &Refusal) {
        for stream in self.open.all() {
            stream.meeting.end(refusal.clone());
        }
    }
}

/// The client's hold on a stream: when it is gone, so is the stream.
#[derive(Debug)]
pub(crate) struct FileStreamGuard {
    streams: FileStreams,
    link: Arc<Link>,
    pub(crate) stream: Arc<FileStream>,
}

impl FileStreamGuard {
    /// The link over which the agent was asked.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for FileStreamGuard {
    fn drop(&mut self) {
        let is_cut = self.stream.meeting.over.is_cancelled();
        self.stream.meeting.over.cancel();
        let key = (self.link.machine, self.stream.id);
        self.streams.open.remove(key);
        // A client that is gone has not said whether it had more to do.
        let why = is_cut.then(|| self.stream.reason().reason);
        let why = why.filter(|why| why != incoming::BROKEN);
        self.stream.ended(why.as_deref());
    }
}
