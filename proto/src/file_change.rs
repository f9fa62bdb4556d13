//! What requests on files change, and what became of them: the record that a relay and an agent both keep of
//! every change.
//!
//! Pure: requests and answers of one stream come in, in their order; records come out. It believes the
//! answers, so the record of a relay is as good as its agent's word, and the agent keeps one of its own.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::error::Refusal;
use crate::limits;
use crate::v1::file_request::Request as Ask;
use crate::v1::file_response::Response;
use crate::v1::{FileOutcomes, FileRefused, FileRequest, FileResponse};

/// What the changes that wait for their answers may take: more than any client has under way.
const MAX_WAITING: usize = 8 << 20;

/// What one of them takes beside its paths.
const ENVELOPE: usize = 128;

/// What a request does to files, as a word; `None`: it only reads.
pub fn verb(ask: &Ask) -> Option<&'static str> {
    Some(match ask {
        Ask::Create(_) | Ask::Write(_) | Ask::Commit(_) => "write",
        Ask::Put(_) => "put",
        Ask::Settle(_) => "settle",
        Ask::Mkdir(_) => "mkdir",
        Ask::Remove(_) => "remove",
        Ask::Rename(_) => "rename",
        Ask::Copy(_) => "copy",
        Ask::Attributes(_) => "attributes",
        Ask::Symlink(_) => "symlink",
        // Closing gives up only what this stream was writing itself; a piece is looked at when it is there.
        Ask::Open(_)
        | Ask::Piece(_)
        | Ask::Stat(_)
        | Ask::List(_)
        | Ask::Reader(_)
        | Ask::Read(_)
        | Ask::Map(_)
        | Ask::Digest(_)
        | Ask::Close(_)
        | Ask::Fetch(_)
        | Ask::Search(_)
        | Ask::Watch(_)
        | Ask::Usage(_) => return None,
    })
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, for this reason.
    Refused(String),
    /// The caller gave it up: nothing got the name.
    GivenUp,
    /// The stream ended before it was answered.
    Unknown,
}

impl Outcome {
    /// The word that stands in records.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::Refused(reason) => reason,
            Self::GivenUp => "given-up",
            Self::Unknown => "unknown",
        }
    }
}

/// One change of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// See [`verb`].
    pub verb: &'static str,
    /// What was changed, as the caller named it; of a `settle`, nothing.
    pub path: Bytes,
    /// The other path of a `rename` or `copy`.
    pub from: Bytes,
    /// The content that was written, bytes.
    pub bytes: u64,
    /// How many entries it was about, where that is known.
    pub count: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Record {
    fn new(verb: &'static str, path: &Bytes) -> Self {
        Self {
            verb,
            path: path.clone(),
            from: Bytes::new(),
            bytes: 0,
            count: 1,
            outcome: Outcome::Unknown,
        }
    }

    fn cost(&self) -> usize {
        ENVELOPE + self.path.len() + self.from.len()
    }
}

/// The changes of one stream that are under way.
#[derive(Debug, Default)]
pub struct Trail {
    newest: Option<u64>,
    waiting: VecDeque<Waiting>,
    cost: usize,
    /// Files that are being written, by their handles.
    open: HashMap<u32, Record>,
}

/// A request whose last answer is still to come.
#[derive(Debug)]
struct Waiting {
    id: u64,
    records: Vec<Record>,
    /// Of a `create`: the handle under which the file is written if it is not refused.
    opens: Option<u32>,
}

impl Trail {
    /// A request goes to the machine. Refused where its number was used before: its answer could be taken
    /// for that of another one.
    pub fn asked(&mut self, request: &FileRequest) -> Result<(), Refusal> {
        if self.newest.is_some_and(|newest| request.id <= newest) {
            return Err(Refusal::invalid(
                "bad-request",
                "the numbers of requests must rise",
            ));
        }
        self.newest = Some(request.id);
        let Some(ask) = &request.request else {
            return Ok(());
        };
        match ask {
            Ask::Write(write) => {
                if let Some(open) = self.open.get_mut(&write.handle) {
                    open.bytes += write.data.len() as u64;
                }
                Ok(())
            }
            Ask::Create(create) => {
                if self.open.len() > limits::FILE_HANDLES {
                    return Err(too_many());
                }
                let record = Record::new("write", &create.path);
                let free = !self.open.contains_key(&create.handle);
                if free {
                    self.open.insert(create.handle, record.clone());
                }
                self.wait(request.id, vec![record], free.then_some(create.handle))
            }
            Ask::Commit(commit) => {
                let record = self.open.remove(&commit.handle);
                self.wait(request.id, record.into_iter().collect(), None)
            }
            Ask::Close(close) => {
                let record = self.open.remove(&close.handle).map(|open| Record {
                    verb: "give-up",
                    ..open
                });
                self.wait(request.id, record.into_iter().collect(), None)
            }
            changing => self.wait(request.id, records(changing), None),
        }
    }

    fn wait(&mut self, id: u64, records: Vec<Record>, opens: Option<u32>) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        self.cost += records.iter().map(Record::cost).sum::<usize>();
        if self.cost > MAX_WAITING {
            return Err(too_many());
        }
        self.waiting.push_back(Waiting { id, records, opens });
        Ok(())
    }

    /// An answer of the machine: what is known now.
    pub fn answered(&mut self, response: &FileResponse) -> Vec<Record> {
        let mut known = Vec::new();
        // One that was passed over is not answered any more.
        while let Some(first) = self.waiting.front()
            && first.id < response.id
        {
            known.extend(self.pop());
        }
        let Some(first) = self.waiting.front_mut() else {
            return known;
        };
        if first.id != response.id {
            return known;
        }
        match &response.response {
            Some(Response::Refused(refused)) => {
                for record in &mut first.records {
                    record.outcome = Outcome::Refused(reason(refused));
                }
            }
            Some(Response::Outcomes(outcomes)) => first.outcomes(outcomes, response.last),
            Some(Response::Created(_)) if first.opens.is_some() => {
                // The file is told of when it gets its name.
                first.records.clear();
            }
            Some(Response::Done(done)) => first.done(done.count),
            Some(_) if response.last => first.done(1),
            _ => {}
        }
        if response.last {
            known.extend(self.pop());
        }
        known
    }

    fn pop(&mut self) -> Vec<Record> {
        let Some(first) = self.waiting.pop_front() else {
            return Vec::new();
        };
        if let (Some(handle), false) = (first.opens, first.records.is_empty()) {
            // It was refused, or not answered: nothing is written under this number.
            self.open.remove(&handle);
        }
        let cost: usize = first.records.iter().map(Record::cost).sum();
        self.cost = self.cost.saturating_sub(cost);
        if self.waiting.is_empty() {
            self.cost = 0;
        }
        first.records
    }

    /// Whether no change waits for its answer. (A file that is being written is none before its end.)
    pub fn is_answered(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The stream is over: what nobody will hear of any more.
    pub fn ended(&mut self) -> Vec<Record> {
        let mut left: Vec<Record> = std::mem::take(&mut self.waiting)
            .into_iter()
            .filter(|waiting| waiting.opens.is_none())
            .flat_map(|waiting| waiting.records)
            .collect();
        left.extend(std::mem::take(&mut self.open).into_values());
        self.cost = 0;
        left
    }
}

impl Waiting {
    fn done(&mut self, count: u64) {
        for record in &mut self.records {
            record.outcome = match record.verb {
                "give-up" => Outcome::GivenUp,
                _ => Outcome::Done,
            };
            record.count = count;
        }
    }

    fn outcomes(&mut self, outcomes: &FileOutcomes, last: bool) {
        for refused in &outcomes.refused {
            let about = self
                .records
                .iter_mut()
                .find(|record| record.path == refused.path);
            match about {
                Some(record) => record.outcome = Outcome::Refused(reason(refused)),
                // Of a settle: its files were named when they were put.
                None => self.records.push(Record {
                    outcome: Outcome::Refused(reason(refused)),
                    ..Record::new("settle", &refused.path)
                }),
            }
        }
        if !last {
            return;
        }
        for record in &mut self.records {
            if record.outcome == Outcome::Unknown {
                record.outcome = Outcome::Done;
                if record.verb == "settle" {
                    record.count = outcomes.done;
                }
            }
        }
    }
}

fn reason(refused: &FileRefused) -> String {
    let reason = refused.detail.as_ref().map_or("", |d| d.reason.as_str());
    let reason = crate::text::shown(reason, limits::MAX_NAME);
    if reason.is_empty() {
        "refused".into()
    } else {
        reason
    }
}

fn too_many() -> Refusal {
    Refusal::exhausted(
        "too-many-requests",
        "too many changes wait for their answers on this stream",
    )
}

/// What a request changes.
fn records(ask: &Ask) -> Vec<Record> {
    let Some(verb) = verb(ask) else {
        return Vec::new();
    };
    let one = |path: &Bytes| vec![Record::new(verb, path)];
    let two = |from: &Bytes, to: &Bytes| {
        vec![Record {
            from: from.clone(),
            ..Record::new(verb, to)
        }]
    };
    match ask {
        Ask::Put(put) => put
            .files
            .iter()
            .map(|file| Record {
                bytes: file.data.len() as u64,
                ..Record::new(verb, &file.path)
            })
            .collect(),
        Ask::Settle(_) => one(&Bytes::new()),
        Ask::Mkdir(mkdir) => mkdir.paths.iter().map(|p| Record::new(verb, p)).collect(),
        Ask::Remove(remove) => one(&remove.path),
        Ask::Rename(rename) => two(&rename.from, &rename.to),
        Ask::Copy(copy) => two(&copy.from, &copy.to),
        Ask::Attributes(attributes) => {
            let paths = attributes.attributes.iter();
            paths.map(|one| Record::new(verb, &one.path)).collect()
        }
        Ask::Symlink(symlink) => one(&symlink.path),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
