//! What the members of a group say to one question, and which of the answers counts. Pure.

use std::collections::BTreeSet;

use cmdop_proto::v1;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use tokio::time::Instant;

/// How many answers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quorum {
    /// The first yes counts: whoever says no later, leaves.
    First,
    /// Nobody answers unless it is a no: the piece ends no chunk.
    Silent,
    /// What most say counts. What comes next depends on it.
    Most,
}

impl Quorum {
    pub(super) fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Write(write) if write.blake3.is_empty() => Self::Silent,
            Ask::Piece(piece) if piece.is_silent => Self::Silent,
            // A directory that could not be made must not be written into, not even for a moment.
            Ask::Open(_) | Ask::Stat(_) | Ask::Mkdir(_) => Self::Most,
            _ => Self::First,
        }
    }
}

/// What one member said, in short: equal answers have equal ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    Yes,
    /// Yes, and it is one of these (`FileKind`).
    Kind(i32),
    /// Not to all: the paths that were refused.
    Partly(BTreeSet<Vec<u8>>),
    /// No, for this reason.
    No(String),
}

impl Said {
    pub(super) fn of(parts: &[v1::FileResponse], quorum: Quorum) -> Self {
        let mut paths = BTreeSet::new();
        for part in parts {
            match &part.response {
                Some(Response::Refused(refused)) => {
                    return Self::No(crate::files::refusal(refused).reason);
                }
                Some(Response::Entry(entry)) if quorum == Quorum::Most => {
                    return Self::Kind(entry.kind);
                }
                Some(Response::Outcomes(outcomes)) => {
                    paths.extend(outcomes.refused.iter().map(|one| one.path.to_vec()));
                }
                _ => {}
            }
        }
        if paths.is_empty() {
            Self::Yes
        } else {
            Self::Partly(paths)
        }
    }

    fn is_yes(&self) -> bool {
        matches!(self, Self::Yes | Self::Kind(_))
    }
}

/// A question, and what was said to it so far.
#[derive(Debug)]
pub(super) struct Question {
    /// Its number, as it was asked of the group.
    pub(super) id: u64,
    quorum: Quorum,
    waiting: BTreeSet<usize>,
    said: Vec<(usize, Said, Vec<v1::FileResponse>)>,
    since: Option<Instant>,
    counts: Option<Said>,
}

/// What follows from what was said.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Open,
    /// Nobody has anything to say.
    Silence,
    /// This is the answer.
    Answer(Vec<v1::FileResponse>),
}

impl Question {
    pub(super) fn new(id: u64, quorum: Quorum, members: impl Iterator<Item = usize>) -> Self {
        Self {
            id,
            quorum,
            waiting: members.collect(),
            said: Vec::new(),
            since: None,
            counts: (quorum == Quorum::Silent).then_some(Said::Yes),
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.quorum == Quorum::Silent
    }

    /// A member has answered.
    pub(super) fn said(&mut self, member: usize, parts: Vec<v1::FileResponse>, now: Instant) {
        if self.waiting.remove(&member) {
            let said = Said::of(&parts, self.quorum);
            self.said.push((member, said, parts));
            self.since.get_or_insert(now);
        }
    }

    /// A member went on to the next question without an answer: whether it may.
    pub(super) fn may_pass(&mut self, member: usize) -> bool {
        !self.waiting.remove(&member) || self.is_silent()
    }

    pub(super) fn left(&mut self, member: usize) {
        self.waiting.remove(&member);
        self.said.retain(|(who, ..)| *who != member);
    }

    /// Since when somebody waits for the others, and for whom.
    pub(super) fn late(&self) -> Option<(Instant, &BTreeSet<usize>)> {
        let is_open = self.counts.is_none() && !self.waiting.is_empty();
        self.since
            .filter(|_| is_open)
            .map(|since| (since, &self.waiting))
    }

    /// All members are done with it.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is answered, once.
    pub(super) fn verdict(&mut self) -> Verdict {
        let index = match self.quorum {
            Quorum::Silent => return Verdict::Silence,
            Quorum::First => {
                let yes = self.said.iter().position(|(_, said, _)| said.is_yes());
                yes.or_else(|| self.waiting.is_empty().then(|| self.most()).flatten())
            }
            Quorum::Most if self.waiting.is_empty() => self.most(),
            Quorum::Most => None,
        };
        let Some((_, said, parts)) = index.and_then(|index| self.said.get_mut(index)) else {
            return Verdict::Open;
        };
        self.counts = Some(said.clone());
        Verdict::Answer(std::mem::take(parts))
    }

    /// One of those whose answer most gave.
    fn most(&self) -> Option<usize> {
        let alike = |one: &Said| self.said.iter().filter(|(_, said, _)| said == one).count();
        (0..self.said.len()).max_by_key(|index| {
            let said = &self.said[*index].1;
            (alike(said), said.is_yes(), std::cmp::Reverse(*index))
        })
    }

    /// Those who said something else than what counts, if that is known.
    pub(super) fn different(&self) -> Vec<usize> {
        let Some(counts) = &self.counts else {
            return Vec::new();
        };
        let differs = |said: &Said| said != counts;
        let different = self.said.iter().filter(|(_, said, _)| differs(said));
        different.map(|(member, ..)| *member).collect()
    }
}

#[cfg(test)]
mod tests;
