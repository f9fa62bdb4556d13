//! What one stream moves: which contents go over it which way, and what becomes of the files that they are of.
//!
//! A client names the transfer that a stream is part of, and the way that its contents go there: from the first
//! file on it is one. What goes the other way, and on streams without a name, are looks into files, until it is
//! much: then it is a transfer too, whatever the client calls it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::file_change::{Outcome, Record};
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{MachineId, Refusal, TransferId, limits, v1};
use tokio::time::Instant;

use crate::caller::Account;
use crate::transfers::{Direction, Joined, Key, Leg, Transfers};

/// Contents that nobody called a transfer and that are one all the same: more than any look at a file takes, and
/// less than what is worth taking along.
pub(super) const MUCH: u64 = 8 << 20;

/// How long a transfer for which there is no room waits before it looks again.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Requests that read and wait for their answers, of which it is known what they were. More than any client of ours has.
const MAX_WAITING: usize = 4096;

/// Whose stream it is, and of what.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) transfers: Transfers,
    pub(super) account: Account,
    pub(super) machine: MachineId,
    pub(super) machine_name: String,
    /// What a transfer is called that the client did not name.
    pub(super) stream: TransferId,
    pub(super) named: Option<(TransferId, Direction)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Moved {
    whose: Whose,
    to: Way,
    from: Way,
    /// Requests that read and are not answered.
    waiting: VecDeque<(u64, Reads)>,
    /// Files that are open to be read.
    open: HashMap<u32, Reader>,
    /// Files that were put and have no names yet.
    staged: u64,
}

#[derive(Clone, Copy, Debug)]
enum Reads {
    Reader(u32),
    Read,
    Fetch,
    Close(u32),
}

#[derive(Debug)]
struct Reader {
    path: Bytes,
    is_read: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// The first file.
    path: Option<Bytes>,
    /// While there is no leg.
    untold: Untold,
    leg: Told,
}

/// What a leg is told of when there is one.
#[derive(Debug, Default)]
struct Untold {
    bytes: u64,
    files: u64,
    failures: u64,
    /// Of the first of them.
    reason: Option<String>,
}

#[derive(Debug, Default)]
enum Told {
    #[default]
    Nothing,
    /// There was no room; it is looked for again then.
    Waits(Instant),
    Leg(Arc<Leg>),
    /// It cannot be told.
    Never,
}

/// What the client says of the stream's part in a transfer, if it is part of one.
pub(crate) fn named(open: &v1::FilesOpen) -> Result<Option<(TransferId, Direction)>, Refusal> {
    if open.transfer.is_empty() {
        return Ok(None);
    }
    let direction = match open.direction() {
        v1::FileDirection::To => Direction::To,
        v1::FileDirection::From => Direction::From,
        v1::FileDirection::Unspecified => {
            return Err(Refusal::invalid(
                "bad-request",
                "a stream of a transfer says which way its contents go",
            ));
        }
    };
    Ok(Some((open.transfer.parse()?, direction)))
}

impl Moved {
    pub(super) fn new(whose: Whose) -> Self {
        Self {
            whose,
            to: Way::default(),
            from: Way::default(),
            waiting: VecDeque::new(),
            open: HashMap::new(),
            staged: 0,
        }
    }

    /// A request goes to the machine.
    pub(super) fn asked(&mut self, request: &v1::FileRequest) {
        let reads = match &request.request {
            Some(Ask::Create(create)) => return self.begins(Direction::To, &create.path),
            Some(Ask::Write(write)) => return self.carried(Direction::To, write.data.len()),
            Some(Ask::Put(put)) => {
                if let Some(first) = put.files.first() {
                    self.begins(Direction::To, &first.path);
                }
                return self.carried(Direction::To, contents(&put.files));
            }
            Some(Ask::Reader(reader)) if self.open.len() <= limits::FILE_HANDLES => {
                let opened = Reader {
                    path: Bytes::copy_from_slice(&reader.path),
                    is_read: false,
                };
                self.open.insert(reader.handle, opened);
                Reads::Reader(reader.handle)
            }
            Some(Ask::Read(read)) => {
                let Some(reader) = self.open.get_mut(&read.handle) else {
                    return;
                };
                if !std::mem::replace(&mut reader.is_read, true) {
                    let path = reader.path.clone();
                    self.begins(Direction::From, &path);
                }
                Reads::Read
            }
            Some(Ask::Fetch(fetch)) => {
                if let Some(first) = fetch.paths.first() {
                    self.begins(Direction::From, first);
                }
                Reads::Fetch
            }
            Some(Ask::Close(close)) => Reads::Close(close.handle),
            _ => return,
        };
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((request.id, reads));
        }
    }

    /// An answer of the machine, and what is known by it of changes.
    pub(super) fn answered(&mut self, response: &v1::FileResponse, known: &[Record]) {
        for record in known {
            self.changed(record);
        }
        match &response.response {
            Some(Response::Data(data)) => self.carried(Direction::From, data.data.len()),
            Some(Response::Batch(batch)) => {
                self.carried(Direction::From, contents(&batch.files));
                self.from.finished(batch.files.len() as u64);
            }
            _ => {}
        }
        // One that was passed over is not answered any more.
        while self
            .waiting
            .front()
            .is_some_and(|(id, _)| *id < response.id)
        {
            self.waiting.pop_front();
        }
        let first = self.waiting.front().filter(|(id, _)| *id == response.id);
        let Some((_, reads)) = first.copied() else {
            return;
        };
        if response.last {
            self.waiting.pop_front();
        }
        self.read(reads, response);
    }

    fn read(&mut self, reads: Reads, response: &v1::FileResponse) {
        match (reads, &response.response) {
            (Reads::Close(handle), Some(Response::Closed(closed))) => {
                let reader = self.open.remove(&handle);
                if !reader.is_some_and(|reader| reader.is_read) {
                    return;
                }
                if closed.changed {
                    self.from.failed(1, "file-changed");
                } else {
                    self.from.finished(1);
                }
            }
            (Reads::Fetch, Some(Response::Outcomes(outcomes))) => {
                for refused in &outcomes.refused {
                    self.from.failed(1, reason(refused));
                }
            }
            (reads, Some(Response::Refused(refused))) => {
                if let Reads::Reader(handle) = reads
                    && let Some(reader) = self.open.remove(&handle)
                {
                    self.begins(Direction::From, &reader.path);
                }
                self.from.failed(1, reason(refused));
            }
            _ => {}
        }
    }

    fn changed(&mut self, record: &Record) {
        match (record.verb, &record.outcome) {
            ("write", Outcome::Done) => self.to.finished(1),
            ("put", Outcome::Done) => self.staged += 1,
            ("settle", Outcome::Done) => {
                self.staged = 0;
                self.to.finished(record.count);
            }
            ("write" | "put" | "settle", Outcome::Refused(reason)) => self.to.failed(1, reason),
            ("give-up", _) => self.to.failed(1, "given-up"),
            _ => {}
        }
    }

    /// The stream is over. `left` is what was not answered; `why` it ended before its client wanted it to.
    pub(super) fn ended(&mut self, left: &[Record], why: Option<&str>) {
        let is_half_written = self.staged > 0 || !left.is_empty();
        let is_half_read = self.open.values().any(|reader| reader.is_read)
            || self
                .waiting
                .iter()
                .any(|(_, reads)| matches!(reads, Reads::Read | Reads::Fetch));
        for (way, is_half_done) in [
            (&mut self.to, is_half_written),
            (&mut self.from, is_half_read),
        ] {
            // What its client's side still asks, while the machine's side is over, begins nothing.
            match std::mem::replace(&mut way.leg, Told::Never) {
                Told::Leg(leg) => {
                    let broken = why.or(is_half_done.then_some("broken-off"));
                    leg.leave(broken.map(str::to_owned));
                }
                Told::Waits(_) => self.whose.transfers.is_lost(),
                Told::Nothing | Told::Never => {}
            }
        }
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::To => &mut self.to,
            Direction::From => &mut self.from,
        }
    }

    /// A file is under way.
    fn begins(&mut self, direction: Direction, path: &Bytes) {
        let way = self.way(direction);
        // A copy: what was decoded would keep the whole request.
        way.path.get_or_insert_with(|| Bytes::copy_from_slice(path));
        if self
            .whose
            .named
            .is_some_and(|(_, named)| named == direction)
        {
            self.tell(direction);
        }
    }

    fn carried(&mut self, direction: Direction, bytes: usize) {
        let way = self.way(direction);
        match &way.leg {
            Told::Leg(leg) => leg.carried(bytes as u64),
            Told::Never => {}
            Told::Nothing | Told::Waits(_) => {
                let untold = &mut way.untold;
                untold.bytes = untold.bytes.saturating_add(bytes as u64);
                if untold.bytes >= MUCH {
                    self.tell(direction);
                }
            }
        }
    }

    /// From now on it is a transfer.
    fn tell(&mut self, direction: Direction) {
        let is_due = match self.way(direction).leg {
            Told::Nothing => true,
            Told::Waits(until) => until <= Instant::now(),
            Told::Leg(_) | Told::Never => false,
        };
        if !is_due {
            return;
        }
        let named = self.whose.named.filter(|(_, named)| *named == direction);
        let key = Key {
            account: self.whose.account.claims.sub.clone(),
            transfer: named.map_or(self.whose.stream, |(transfer, _)| transfer),
            machine: self.whose.machine,
            direction,
        };
        let path = self.way(direction).path.clone().unwrap_or_default();
        let who = (&self.whose.account, self.whose.machine_name.as_str());
        let joined = self.whose.transfers.join(key, who, &path);
        let way = match direction {
            Direction::To => &mut self.to,
            Direction::From => &mut self.from,
        };
        way.leg = match joined {
            Joined::Leg(leg) => {
                std::mem::take(&mut way.untold).tell(&leg);
                Told::Leg(leg)
            }
            Joined::Unheard => Told::Never,
            Joined::Full => Told::Waits(Instant::now() + ROOM_AGAIN),
        };
    }
}

impl Way {
    fn finished(&mut self, files: u64) {
        match &self.leg {
            Told::Leg(leg) => leg.finished(files),
            Told::Nothing | Told::Waits(_) => {
                self.untold.files = self.untold.files.saturating_add(files);
            }
            Told::Never => {}
        }
    }

    fn failed(&mut self, count: u64, reason: &str) {
        match &self.leg {
            Told::Leg(leg) => leg.failed(count, reason),
            // A look that fails is no transfer that does.
            Told::Nothing | Told::Never => {}
            Told::Waits(_) => {
                let untold = &mut self.untold;
                untold.failures = untold.failures.saturating_add(count);
                untold.reason.get_or_insert_with(|| reason.to_owned());
            }
        }
    }
}

impl Untold {
    fn tell(self, leg: &Leg) {
        leg.carried(self.bytes);
        leg.finished(self.files);
        if let Some(reason) = &self.reason {
            leg.failed(self.failures, reason);
        }
    }
}

fn contents(files: &[v1::SmallFile]) -> usize {
    files.iter().map(|file| file.data.len()).sum()
}

fn reason(refused: &v1::FileRefused) -> &str {
    let reason = refused.detail.as_ref().map_or("", |d| d.reason.as_str());
    if reason.is_empty() { "refused" } else { reason }
}

#[cfg(test)]
mod tests;
