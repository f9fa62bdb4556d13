//! What the control plane's audit log is told of changes to files: each one, and those that belong together as one.
//!
//! A copy of ten thousand files is ten thousand changes under way at the same time. Changes of one kind in one
//! directory, one after the other, are one event with their number, as long as more of the stream is under way;
//! what a person does, one thing and then another, is an event each. The name of every file is in the relay's
//! own record and in the agent's. A workspace has a share of events in a minute: what is beyond is told as one event
//! when its stream ends, so that copying trees pushes out nothing that others report.

use cmdop_proto::file_change::{Outcome, Record};

use crate::caller::Account;
use crate::report::{Event, Reporter};

/// Changes in one event: what is held back is lost when the relay is killed.
const MOST: u64 = 1000;

/// Changes that follow each other and are told as one.
#[derive(Debug)]
pub(super) struct Held {
    first: Record,
    directory: Vec<u8>,
    changes: u64,
    entries: u64,
    bytes: u64,
}

impl Held {
    fn of(record: &Record) -> Self {
        Self {
            first: record.clone(),
            directory: directory(&record.path).to_vec(),
            changes: 1,
            entries: record.count,
            bytes: record.bytes,
        }
    }

    /// Takes one more of the same. `false`: it is another thing.
    fn takes(&mut self, record: &Record) -> bool {
        let is_same = self.changes < MOST
            && record.verb == self.first.verb
            && record.outcome == self.first.outcome
            && record.from.is_empty()
            && self.first.from.is_empty()
            && directory(&record.path) == self.directory;
        if is_same {
            self.changes += 1;
            self.entries = self.entries.saturating_add(record.count);
            self.bytes = self.bytes.saturating_add(record.bytes);
        }
        is_same
    }

    fn event(self, machine: &str, stream: &str) -> Event {
        let Record {
            verb,
            path,
            from,
            outcome,
            ..
        } = self.first;
        let path = if self.changes > 1 {
            &self.directory
        } else {
            &path[..]
        };
        let mut event = Event::new("file-changed", machine)
            .detail("verb", verb)
            .detail("path", String::from_utf8_lossy(path))
            .detail("stream", stream);
        if !from.is_empty() {
            event = event.detail("from", String::from_utf8_lossy(&from));
        }
        if self.changes > 1 {
            event = event.detail("changes", self.changes.to_string());
        }
        if self.entries != self.changes {
            event = event.detail("entries", self.entries.to_string());
        }
        if self.bytes > 0 {
            event = event.detail("bytes", self.bytes.to_string());
        }
        match outcome {
            Outcome::Done => event,
            other => event.failed(other.as_str()),
        }
    }
}

/// What a path lies in: all up to its last slash.
fn directory(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/');
    &path[..end.map_or(0, |end| end + 1)]
}

/// The events of one stream.
#[derive(Debug)]
pub(super) struct Told {
    reporter: Reporter,
    account: Account,
    machine: String,
    stream: String,
    held: Option<Held>,
    /// What was beyond the share.
    beyond: Option<Beyond>,
}

/// Changes of every kind, of which only the number is told.
#[derive(Clone, Copy, Debug, Default)]
struct Beyond {
    changes: u64,
    bytes: u64,
}

impl Told {
    pub(super) fn new(
        reporter: Reporter,
        account: Account,
        machine: String,
        stream: String,
    ) -> Self {
        Self {
            reporter,
            account,
            machine,
            stream,
            held: None,
            beyond: None,
        }
    }

    /// What is known now. When nothing else is under way, nothing is held back.
    pub(super) fn tell(&mut self, records: &[Record], under_way: UnderWay) {
        if !self.reporter.is_heard() {
            return;
        }
        // Settling sets the times of directories that were told of when they were made.
        let is_news = |record: &&Record| record.verb != "settle" || record.outcome != Outcome::Done;
        for record in records.iter().filter(is_news) {
            if !self.held.as_mut().is_some_and(|held| held.takes(record)) {
                self.let_go();
                self.held = Some(Held::of(record));
            }
        }
        if under_way == UnderWay::Nothing {
            self.let_go();
        }
    }

    /// The stream is over.
    pub(super) fn end(&mut self) {
        self.let_go();
        let Some(beyond) = self.beyond.take() else {
            return;
        };
        if !self.reporter.has_share_of_sums(&self.account) {
            return;
        }
        let event = Event::new("file-changed", &self.machine)
            .detail("verb", "various")
            .detail("stream", &self.stream)
            .detail("changes", beyond.changes.to_string())
            .detail("bytes", beyond.bytes.to_string());
        self.reporter.event(&self.account, event);
    }

    /// A request was refused on its way.
    pub(super) fn denied(&self, refusal: &cmdop_proto::Refusal) {
        self.reporter.denied(&self.account, "change files", refusal);
    }

    fn let_go(&mut self) {
        let Some(held) = self.held.take() else {
            return;
        };
        if !self.reporter.has_share_of_changes(&self.account) {
            let beyond = self.beyond.get_or_insert_default();
            beyond.changes = beyond.changes.saturating_add(held.changes);
            beyond.bytes = beyond.bytes.saturating_add(held.bytes);
            return;
        }
        let event = held.event(&self.machine, &self.stream);
        self.reporter.event(&self.account, event);
    }
}

/// Whether more answers of a stream are awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnderWay {
    Something,
    Nothing,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(verb: &'static str, path: &'static str) -> Record {
        Record {
            verb,
            path: Bytes::from_static(path.as_bytes()),
            from: Bytes::new(),
            bytes: 4,
            count: 1,
            outcome: Outcome::Done,
        }
    }

    #[test]
    fn changes_of_one_kind_in_one_directory_are_told_as_one() {
        let mut held = Held::of(&record("put", "/srv/a/1"));
        assert!(held.takes(&record("put", "/srv/a/2")));
        assert!(held.takes(&record("put", "/srv/a/3")));
        assert!(!held.takes(&record("put", "/srv/b/1")), "elsewhere");
        assert!(!held.takes(&record("mkdir", "/srv/a/4")), "of another kind");
        let failed = Record {
            outcome: Outcome::Refused("disk-full".into()),
            ..record("put", "/srv/a/4")
        };
        assert!(!held.takes(&failed), "with another end");
        let event = format!("{:?}", held.event("web-1", "s"));
        for part in [
            r#"("path", "/srv/a/")"#,
            r#"("changes", "3")"#,
            r#"("bytes", "12")"#,
        ] {
            assert!(event.contains(part), "{part} in {event}");
        }
    }

    #[test]
    fn one_change_is_told_by_its_own_path_and_a_failure_by_its_reason() {
        let refused = Record {
            outcome: Outcome::Refused("file-denied".into()),
            from: Bytes::from_static(b"/srv/old"),
            ..record("rename", "/srv/\x1b[2Jnew")
        };
        let event = format!("{:?}", Held::of(&refused).event("web-1", "s"));
        for part in [
            r#"("path", "/srv/[2Jnew")"#,
            r#"("from", "/srv/old")"#,
            r#""failed""#,
            r#"("reason", "file-denied")"#,
        ] {
            assert!(event.contains(part), "{part} in {event}");
        }
    }

    #[tokio::test]
    async fn a_tree_of_many_directories_takes_its_share_and_the_rest_is_one_event() {
        const MANY: u64 = 10_000;
        let (reporter, mut reports) = crate::report::heard_by_a_test();
        let account = Account::of_a_test();
        let mut told = Told::new(reporter, account, "web-1".into(), "s".into());
        for n in 0..MANY {
            let path = Bytes::from(format!("/srv/{n}/file"));
            let record = Record {
                path,
                ..record("put", "")
            };
            told.tell(&[record], UnderWay::Nothing);
        }
        told.end();
        let mut changes = 0;
        let mut events = 0;
        while let Ok(report) = reports.try_recv() {
            let Some(cmdop_proto::v1::report::What::Event(event)) = report.what else {
                panic!("an event");
            };
            let told = event.detail.get("changes");
            changes += told.map_or(1, |changes| changes.parse().unwrap());
            events += 1;
        }
        assert_eq!(changes, MANY);
        assert_eq!(events, crate::report::CHANGES_PER_MINUTE + 1);
    }

    #[test]
    fn an_event_holds_back_no_more_than_a_bound() {
        let mut held = Held::of(&record("put", "/srv/a/1"));
        let taken = (0..10 * MOST).take_while(|_| held.takes(&record("put", "/srv/a/x")));
        assert_eq!(taken.count() as u64, MOST - 1);
    }
}
