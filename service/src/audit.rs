//! The record of what callers changed: one kind of event, emitted in one place.
//!
//! For now an event is a line of the program's log (target `audit`). Whoever keeps events longer takes them
//! over here, and nowhere else. Texts come from callers and machines: they are stripped of controls.

use cmdop_proto::file_change::Record;
use cmdop_proto::{limits, text};

/// Who changed files, where, and over which stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The account's id.
    pub account_id: String,
    /// The account's name at that time.
    pub account: String,
    /// The machine's name.
    pub machine: String,
    /// The stream, by the number that relay and agent share.
    pub stream: String,
}

/// A file was changed, or was to be.
pub fn file_changed(actor: &Actor, record: &Record) {
    tracing::info!(
        target: "audit",
        event = "file-changed",
        account = actor.account,
        account_id = actor.account_id,
        machine = actor.machine,
        stream = actor.stream,
        verb = record.verb,
        path = shown(&record.path),
        from = shown(&record.from),
        bytes = record.bytes,
        count = record.count,
        outcome = record.outcome.as_str(),
        "a file was changed"
    );
}

fn shown(path: &[u8]) -> String {
    text::shown(&String::from_utf8_lossy(path), limits::MAX_PATH)
}
