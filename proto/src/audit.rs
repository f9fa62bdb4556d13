//! The chain of the audit log: what a record's hash is made of, and how to find the first record that
//! is not what was written. Who keeps the records, and who may read them, is not decided here.
//!
//! A record's hash is SHA-256 over these fields, each as its length in bytes in decimal digits, a
//! colon and its UTF-8 bytes: the word `cmdop-audit-1`, the workspace's id, the hash of the record before
//! it, then number, time, action, the actor's kind, id and name, target, outcome, source, and key and
//! value of each detail in the order of the keys' bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::v1::AuditRecord;

/// What stands for the hash of the record before the first.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The first word of what is hashed; another order of fields would be another word.
const VERSION: &str = "cmdop-audit-1";

/// The hash that `record` must have in `workspace`, 64 hexadecimal digits.
pub fn hash(workspace: &str, record: &AuditRecord) -> String {
    let mut hasher = Sha256::new();
    let mut add = |field: &str| {
        hasher.update(field.len().to_string());
        hasher.update(b":");
        hasher.update(field);
    };
    add(VERSION);
    add(workspace);
    add(&record.previous_hash);
    add(&record.seq.to_string());
    add(&record.at_ms.to_string());
    add(&record.action);
    let actor = record.actor.clone().unwrap_or_default();
    add(&actor.kind);
    add(&actor.id);
    add(&actor.name);
    add(&record.target);
    add(&record.outcome);
    add(&record.source);
    let detail: BTreeMap<_, _> = record.detail.iter().collect();
    for (key, value) in detail {
        add(key);
        add(value);
    }
    let digest = hasher.finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the control plane does when it drops the beginning of a chain because of its age. The record says after which
/// number and hash the rest begins (`through`, `hash`): so the chain itself says what is not there any more.
pub const TRIMMED: &str = "audit-trimmed";

/// Why a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Records are not there.
    #[error("record {first} is missing")]
    Missing {
        /// The first of them.
        first: u64,
    },
    /// A record stands where another one belongs.
    #[error("record {found} stands where record {expected} belongs")]
    Reordered {
        /// The number that comes next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// A record does not say what was written, or was not written by the control plane.
    #[error("record {seq} was altered")]
    Altered {
        /// Its number.
        seq: u64,
    },
    /// A record is another one than is known from elsewhere.
    #[error(
        "record {seq} is not the one that is expected: the chain was made anew, or another way on"
    )]
    Unexpected {
        /// Its number.
        seq: u64,
    },
    /// What is known from elsewhere is older than everything that is there.
    #[error("record {seq} is not there any more: expect a later one")]
    Dropped {
        /// Its number.
        seq: u64,
    },
    /// A record does not follow the one before: one of the two was replaced by a whole new one.
    #[error("record {seq} does not follow the record before it: one of the two was replaced")]
    Unlinked {
        /// Its number.
        seq: u64,
    },
}

/// A record by its number and hash: whoever keeps one elsewhere notices a chain that was cut or made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Mark {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = "it is not NUMBER:HASH, as `cmdop audit verify` prints it";
        let (seq, hash) = text.split_once(':').ok_or(bad)?;
        let is_hash = hash.len() == GENESIS.len()
            && hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        match seq.parse() {
            Ok(seq) if is_hash && seq > 0 => Ok(Self {
                seq,
                hash: hash.to_owned(),
            }),
            _ => Err(bad),
        }
    }
}

/// A chain that is walked from its beginning.
#[derive(Clone, Debug)]
pub struct Chain {
    workspace: String,
    seq: u64,
    hash: String,
    /// How many records are not there before the first that is.
    before: u64,
    /// The last of them, as long as no record says that they were dropped.
    unexplained: Option<(u64, String)>,
    expected: Option<Mark>,
}

impl Chain {
    /// The chain of a workspace, before its first record.
    pub fn new(workspace: impl Into<String>) -> Self {
        Self {
            workspace: workspace.into(),
            seq: 0,
            hash: GENESIS.to_owned(),
            before: 0,
            unexplained: None,
            expected: None,
        }
    }

    /// The same, if it has to go through this record.
    #[must_use]
    pub fn expecting(self, expected: Option<Mark>) -> Self {
        Self { expected, ..self }
    }

    /// The last record that held.
    pub fn end(&self) -> Mark {
        Mark {
            seq: self.seq,
            hash: self.hash.clone(),
        }
    }

    /// The number of the last record that held.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many records held.
    pub fn held(&self) -> u64 {
        self.seq - self.before
    }

    /// Begins where the first record does, which has to be explained by a later one.
    fn begin_at(&mut self, first: &AuditRecord) {
        if self.seq == 0 && first.seq > 1 {
            self.before = first.seq - 1;
            self.seq = self.before;
            self.hash.clone_from(&first.previous_hash);
            self.unexplained = Some((self.before, first.previous_hash.clone()));
        }
    }

    /// Whether a record of this number may have this hash.
    fn is_expected(&self, seq: u64, hash: &str) -> bool {
        let mark = self.expected.as_ref().filter(|mark| mark.seq == seq);
        mark.is_none_or(|mark| mark.hash == hash)
    }

    /// A relay cannot say it, only the control plane itself.
    fn explain(&mut self, record: &AuditRecord) {
        let is_ours = record.action == TRIMMED && record.source == "control";
        let Some((through, hash)) = self.unexplained.as_ref().filter(|_| is_ours) else {
            return;
        };
        let says = |key: &str, value: &str| record.detail.get(key).is_some_and(|v| v == value);
        if says("through", &through.to_string()) && says("hash", hash) {
            self.unexplained = None;
        }
    }

    /// Takes the next record, if it is the next and is what was written. The first may have any number: see
    /// [`Chain::whole`].
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), Fault> {
        self.begin_at(record);
        if !self.is_expected(self.seq, &self.hash) {
            return Err(Fault::Unexpected { seq: self.seq });
        }
        let expected = self.seq + 1;
        if record.seq > expected {
            return Err(Fault::Missing { first: expected });
        }
        if record.seq < expected {
            return Err(Fault::Reordered {
                expected,
                found: record.seq,
            });
        }
        if record.hash != hash(&self.workspace, record) {
            return Err(Fault::Altered { seq: record.seq });
        }
        if record.previous_hash != self.hash {
            return Err(Fault::Unlinked { seq: record.seq });
        }
        if !self.is_expected(record.seq, &record.hash) {
            return Err(Fault::Unexpected { seq: record.seq });
        }
        self.seq = record.seq;
        self.hash.clone_from(&record.hash);
        self.explain(record);
        Ok(())
    }

    /// Whether nothing is missing: before the first record, but what a later one says was dropped, nor of what is
    /// expected. Every workspace has a record from its first moment on.
    pub fn whole(&self) -> Result<(), Fault> {
        if self.unexplained.is_some() || self.seq == 0 {
            return Err(Fault::Missing { first: 1 });
        }
        match self.expected.as_ref().map(|mark| mark.seq) {
            Some(seq) if seq > self.seq => Err(Fault::Missing {
                first: self.seq + 1,
            }),
            Some(seq) if seq < self.before => Err(Fault::Dropped { seq }),
            _ => Ok(()),
        }
    }

    /// Whether the chain is whole, and ends where it was said to end: with this number and hash.
    pub fn ends_at(&self, seq: u64, hash: &str) -> Result<(), Fault> {
        self.whole()?;
        if seq > self.seq {
            return Err(Fault::Missing {
                first: self.seq + 1,
            });
        }
        if seq == self.seq && hash != self.hash {
            return Err(Fault::Altered { seq });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::AuditActor;

    const WORKSPACE: &str = "w";

    fn chain(length: u64) -> Vec<AuditRecord> {
        let mut previous = GENESIS.to_owned();
        let record = |seq| {
            let mut record = AuditRecord {
                seq,
                at_ms: 1_800_000_000_000 + seq,
                action: "exec-started".into(),
                actor: Some(AuditActor {
                    kind: "account".into(),
                    id: "a".into(),
                    name: "ada".into(),
                }),
                target: "web-1".into(),
                outcome: "allowed".into(),
                detail: [("command".into(), format!("echo {seq}"))].into(),
                source: "control".into(),
                previous_hash: previous.clone(),
                hash: String::new(),
            };
            record.hash = hash(WORKSPACE, &record);
            previous.clone_from(&record.hash);
            record
        };
        (1..=length).map(record).collect()
    }

    fn first_fault(records: &[AuditRecord]) -> Option<Fault> {
        let mut chain = Chain::new(WORKSPACE);
        records.iter().find_map(|record| chain.take(record).err())
    }

    #[test]
    fn what_was_written_holds() {
        let records = chain(5);
        assert_eq!(first_fault(&records), None);
        let mut walked = Chain::new(WORKSPACE);
        for record in &records {
            walked.take(record).unwrap();
        }
        assert_eq!(walked.ends_at(5, &records[4].hash), Ok(()));
        assert_eq!(walked.ends_at(6, "x"), Err(Fault::Missing { first: 6 }));
        assert_eq!(walked.ends_at(5, "x"), Err(Fault::Altered { seq: 5 }));
    }

    #[test]
    fn what_is_known_from_elsewhere_finds_a_chain_that_was_cut_or_made_anew() {
        let records = chain(5);
        let mark: Mark = format!("4:{}", records[3].hash).parse().unwrap();
        let walk = |records: &[AuditRecord]| {
            let mut walked = Chain::new(WORKSPACE).expecting(Some(mark.clone()));
            records.iter().try_for_each(|record| walked.take(record))?;
            walked.whole()
        };
        assert_eq!(walk(&records), Ok(()));
        assert_eq!(walk(&records[..4]), Ok(()));
        assert_eq!(walk(&records[..3]), Err(Fault::Missing { first: 4 }));
        assert_eq!(walk(&[]), Err(Fault::Missing { first: 1 }));
        let mut anew = chain(3);
        let mut previous = anew[2].hash.clone();
        for mut record in records[3..].iter().cloned() {
            record.target = "web-2".into();
            record.previous_hash.clone_from(&previous);
            record.hash = hash(WORKSPACE, &record);
            previous.clone_from(&record.hash);
            anew.push(record);
        }
        assert_eq!(first_fault(&anew), None, "by itself it holds");
        assert_eq!(walk(&anew), Err(Fault::Unexpected { seq: 4 }));
        for bad in [
            "",
            "4",
            "4:",
            "x:y",
            "0:0",
            &format!("4:{}", "g".repeat(64)),
        ] {
            assert!(bad.parse::<Mark>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_field_of_every_record_is_held() {
        type Change = fn(&mut AuditRecord);
        let changes: [Change; 10] = [
            |r| r.at_ms += 1,
            |r| r.action = "exec-ended".into(),
            |r| r.actor.as_mut().unwrap().kind = "key".into(),
            |r| r.actor.as_mut().unwrap().id.push('b'),
            |r| r.actor.as_mut().unwrap().name = "eve".into(),
            |r| r.target = String::new(),
            |r| r.outcome = "denied".into(),
            |r| r.source = "relay".into(),
            |r| drop(r.detail.insert("more".into(), String::new())),
            |r| drop(r.detail.insert("command".into(), "rm".into())),
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut records = chain(4);
            change(&mut records[2]);
            assert_eq!(
                first_fault(&records),
                Some(Fault::Altered { seq: 3 }),
                "{n}"
            );
        }
    }

    #[test]
    fn the_first_missing_or_moved_record_is_named() {
        let mut records = chain(5);
        records.remove(2);
        assert_eq!(first_fault(&records), Some(Fault::Missing { first: 3 }));
        let mut records = chain(5);
        records.swap(1, 2);
        assert_eq!(first_fault(&records), Some(Fault::Missing { first: 2 }));
        let mut records = chain(5);
        records.insert(3, records[1].clone());
        let again = Fault::Reordered {
            expected: 4,
            found: 2,
        };
        assert_eq!(first_fault(&records), Some(again));
    }

    #[test]
    fn a_record_that_was_written_anew_breaks_the_next_link() {
        let mut records = chain(5);
        records[2].target = "web-2".into();
        records[2].hash = hash(WORKSPACE, &records[2]);
        assert_eq!(first_fault(&records), Some(Fault::Unlinked { seq: 4 }));
    }

    /// The rest of a chain whose first `dropped` records are not there, and a record that says so.
    fn trimmed(length: u64, dropped: usize, says: impl FnOnce(&mut AuditRecord)) -> Chain {
        let mut records = chain(length);
        let last = records.last().unwrap().clone();
        let mut record = AuditRecord {
            seq: length + 1,
            action: TRIMMED.into(),
            previous_hash: last.hash.clone(),
            detail: [
                ("through".into(), dropped.to_string()),
                ("hash".into(), records[dropped - 1].hash.clone()),
            ]
            .into(),
            ..last
        };
        says(&mut record);
        record.hash = hash(WORKSPACE, &record);
        records.push(record);
        let mut walked = Chain::new(WORKSPACE);
        for record in &records[dropped..] {
            walked.take(record).unwrap();
        }
        walked
    }

    #[test]
    fn a_beginning_that_was_dropped_is_explained_by_the_chain_itself() {
        let walked = trimmed(5, 3, |_| {});
        assert_eq!(walked.whole(), Ok(()));
        assert_eq!((walked.seq(), walked.held()), (6, 3));
        assert_eq!(walked.ends_at(7, "x"), Err(Fault::Missing { first: 7 }));
    }

    #[test]
    fn a_beginning_that_nobody_explains_is_missing() {
        let lies: [fn(&mut AuditRecord); 4] = [
            |record| record.action = "exec-started".into(),
            // A relay reports it.
            |record| record.source = "0190".into(),
            |record| drop(record.detail.insert("through".into(), "2".into())),
            |record| drop(record.detail.insert("hash".into(), GENESIS.into())),
        ];
        for lie in lies {
            let walked = trimmed(5, 3, lie);
            assert_eq!(walked.whole(), Err(Fault::Missing { first: 1 }));
            let end = walked.ends_at(walked.seq(), "x");
            assert_eq!(end, Err(Fault::Missing { first: 1 }));
        }
    }

    #[test]
    fn a_record_of_another_workspace_is_not_taken() {
        let records = chain(1);
        let mut other = Chain::new("other");
        assert_eq!(other.take(&records[0]), Err(Fault::Altered { seq: 1 }));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let records = chain(1);
        let mut moved = records[0].clone();
        moved.target = "web-1allowed".into();
        moved.outcome = String::new();
        assert_ne!(hash(WORKSPACE, &moved), records[0].hash);
    }
}
