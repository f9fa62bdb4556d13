//! The record of changes to files, in the log of the program that carries them (target `audit`): at the relay and
//! at the agent.
//!
//! A copy changes a great many files, so each file by its name is told here; the audit log of the control plane
//! has what belongs together as one event. What else that one has (sessions, programs, refused calls, …) is not
//! here. Texts come from callers and machines: they are stripped of controls.

use cmdop_proto::file_change::Record;
use cmdop_proto::{Refusal, limits, text};

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

/// A request on files was refused on its way: its machine never saw it.
pub fn request_refused(actor: &Actor, refusal: &Refusal) {
    tracing::info!(
        target: "audit",
        event = "file-request-refused",
        account = actor.account,
        account_id = actor.account_id,
        machine = actor.machine,
        stream = actor.stream,
        reason = text::shown(&refusal.reason, limits::MAX_NAME),
        why = text::shown(&refusal.message, limits::MAX_PATH),
        "a request on files was refused"
    );
}

fn shown(path: &[u8]) -> String {
    text::shown(&String::from_utf8_lossy(path), limits::MAX_PATH)
}
