//! What a relay tells the control plane: who did what with its sessions, how they fared, and which machines
//! are linked.
//!
//! Telling waits for nobody: a report goes into a bounded queue, from there to a spool on this disk, and
//! from the spool to the control plane whenever that is there. What finds the queue or the spool full
//! is counted, and the count is told. Nothing here decides anything.

pub(crate) mod deliver;
pub(crate) mod progress;
pub(crate) mod spool;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cmdop_proto::{LinkEpoch, MachineId, Refusal, WorkspaceId, limits, text, v1};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;
use v1::report::What;

use crate::caller::Account;
use crate::lock::Lock;
use spool::Spool;

/// Reports that wait for the disk: what a busy relay makes while one write takes a second.
const QUEUE: usize = 4096;

/// Reports that are written at once.
const AT_ONCE: usize = 512;

/// Refusals of one workspace that are reported in a minute. A program that was set up wrongly fills no disk with them.
const DENIALS_PER_MINUTE: u32 = 300;

/// Events about changed files of one workspace in a minute: a copy of a tree is one for each directory.
pub(crate) const CHANGES_PER_MINUTE: u32 = 600;

/// Events that only say how many changes one stream made beyond that share.
const SUMS_PER_MINUTE: u32 = 60;

/// Beginnings and ends of transfers of one workspace in a minute.
const TRANSFERS_PER_MINUTE: u32 = 600;

/// What a command may take in a report.
const MAX_COMMAND: usize = 2048;

/// A session's record above this goes with the name of its program only: the control plane keeps no more.
const MAX_RECORD: usize = 16 << 10;

/// The handle of those who have something to tell; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    queue: Option<mpsc::Sender<v1::Report>>,
    lost: Arc<AtomicU64>,
    denials: Arc<Lock<Minute>>,
    changes: Arc<Lock<Minute>>,
    sums: Arc<Lock<Minute>>,
    transfers: Arc<Lock<Minute>>,
}

/// How much each workspace had in the minute that began then: none uses up another's share.
#[derive(Debug, Default)]
struct Minute {
    since: Option<Instant>,
    counts: HashMap<WorkspaceId, u32>,
}

/// Something for the audit log.
#[derive(Debug)]
pub(crate) struct Event {
    action: &'static str,
    target: String,
    outcome: &'static str,
    detail: Vec<(&'static str, String)>,
}

impl Event {
    /// It was done.
    pub(crate) fn new(action: &'static str, target: impl std::fmt::Display) -> Self {
        Self {
            action,
            target: text::shown(&target.to_string(), limits::MAX_HOSTNAME),
            outcome: "allowed",
            detail: Vec::new(),
        }
    }

    /// It was tried, and this is why it was not done.
    pub(crate) fn failed(mut self, reason: &str) -> Self {
        self.outcome = "failed";
        self.detail("reason", reason)
    }

    /// More about it.
    pub(crate) fn detail(mut self, key: &'static str, value: impl AsRef<str>) -> Self {
        let value = text::shown(value.as_ref(), MAX_COMMAND);
        self.detail.push((key, value));
        self
    }

    /// What was run; empty: the login shell.
    pub(crate) fn command(self, command: &[String]) -> Self {
        let mut line = String::new();
        for word in command {
            if line.len() > MAX_COMMAND {
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.detail("command", line)
    }
}

impl Reporter {
    /// One whose reports go nowhere: a relay without a control plane.
    pub(crate) fn nowhere() -> Self {
        Self {
            queue: None,
            lost: Arc::default(),
            denials: Arc::default(),
            changes: Arc::default(),
            sums: Arc::default(),
            transfers: Arc::default(),
        }
    }

    /// A reporter, and the writer that its reports come to.
    pub(crate) fn spooled(spool: Spool) -> (Self, Writer) {
        let (queue, reports) = mpsc::channel(QUEUE);
        let reporter = Self {
            queue: Some(queue),
            ..Self::nowhere()
        };
        let writer = Writer {
            reports,
            lost: reporter.lost.clone(),
            spool,
        };
        (reporter, writer)
    }

    /// An account did something.
    pub(crate) fn event(&self, account: &Account, event: Event) {
        if self.queue.is_some() {
            self.tell(account.workspace(), What::Event(reported(account, event)));
        }
    }

    /// An account may not do what it asked for.
    pub(crate) fn denied(&self, account: &Account, what: &str, refusal: &Refusal) {
        if !self.is_heard() {
            return;
        }
        let (workspace, now) = (account.workspace(), Instant::now());
        let mut denials = self.denials.lock();
        let has_room = denials.has_room(workspace, DENIALS_PER_MINUTE, now);
        drop(denials);
        if !has_room {
            self.is_lost();
            return;
        }
        let mut event = Event::new("denied", what).detail("reason", &refusal.reason);
        event.outcome = "denied";
        self.event(account, event);
    }

    /// Whether one more event about changed files may be told this minute.
    pub(crate) fn has_share_of_changes(&self, account: &Account) -> bool {
        let (workspace, now) = (account.workspace(), Instant::now());
        self.changes
            .lock()
            .has_room(workspace, CHANGES_PER_MINUTE, now)
    }

    /// Whether one more sum of changes beyond that may be told this minute; if not, that is counted.
    pub(crate) fn has_share_of_sums(&self, account: &Account) -> bool {
        let (workspace, now) = (account.workspace(), Instant::now());
        let has_room = self.sums.lock().has_room(workspace, SUMS_PER_MINUTE, now);
        if !has_room {
            self.is_lost();
        }
        has_room
    }

    /// Something is not told: the log says that something is missing.
    pub(crate) fn is_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more beginning or end of a transfer may be told this minute; if not, that is counted.
    pub(crate) fn has_share_of_transfers(&self, account: &Account) -> bool {
        let (workspace, now) = (account.workspace(), Instant::now());
        let mut transfers = self.transfers.lock();
        let has_room = transfers.has_room(workspace, TRANSFERS_PER_MINUTE, now);
        if !has_room {
            self.is_lost();
        }
        has_room
    }

    /// A session's record changed.
    pub(crate) fn session(&self, workspace: WorkspaceId, record: v1::Session) {
        self.tell(workspace, What::Session(bounded(record)));
    }

    /// A machine's agent is linked now; or that link is over, and why.
    pub(crate) fn presence(
        &self,
        workspace: WorkspaceId,
        (machine, link): (MachineId, LinkEpoch),
        now: Result<(), &str>,
    ) {
        let presence = match now {
            Ok(()) => v1::Presence::Online,
            Err(_) => v1::Presence::Offline,
        };
        let told = v1::ReportedPresence {
            machine_id: machine.to_string(),
            presence: presence.into(),
            link_epoch: link.0,
            reason: now.err().unwrap_or_default().to_owned(),
        };
        self.tell(workspace, What::Presence(told));
    }

    /// Whether anybody hears.
    pub(crate) fn is_heard(&self) -> bool {
        self.queue.is_some()
    }

    fn tell(&self, workspace: WorkspaceId, what: What) {
        let Some(queue) = &self.queue else {
            return;
        };
        let report = v1::Report {
            key: Uuid::now_v7().to_string(),
            workspace_id: workspace.to_string(),
            at_ms: cmdop_service::now_ms(),
            what: Some(what),
        };
        if queue.try_send(report).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An event as a report that is told by another way than the others, and kept nowhere.
pub(crate) fn unkept(account: &Account, event: Event) -> v1::Report {
    v1::Report {
        key: String::new(),
        workspace_id: account.workspace().to_string(),
        at_ms: cmdop_service::now_ms(),
        what: Some(What::Event(reported(account, event))),
    }
}

/// An event as the control plane is told of it.
fn reported(account: &Account, event: Event) -> v1::ReportedEvent {
    let claims = &account.claims;
    let mut detail: HashMap<_, _> = event
        .detail
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    // A token that names scopes came of an API key; its login is the key.
    let kind = if let (Some(_), Some(key)) = (claims.scope, claims.sid) {
        detail.insert("key".into(), key.to_string());
        "key"
    } else {
        "account"
    };
    v1::ReportedEvent {
        action: event.action.into(),
        actor: Some(v1::AuditActor {
            kind: kind.into(),
            id: claims.sub.clone(),
            name: account.name(),
        }),
        target: event.target,
        outcome: event.outcome.into(),
        detail,
    }
}

/// A command may be longer than a report.
fn bounded(mut record: v1::Session) -> v1::Session {
    if record.encoded_len() > MAX_RECORD {
        record.command.truncate(1);
        if let Some(program) = record.command.first_mut() {
            *program = text::shown(program, MAX_COMMAND);
        }
    }
    record
}

impl Minute {
    fn has_room(&mut self, workspace: WorkspaceId, most: u32, now: Instant) -> bool {
        let is_new = self
            .since
            .is_none_or(|since| now.duration_since(since) >= Duration::from_secs(60));
        if is_new {
            self.since = Some(now);
            self.counts.clear();
        }
        let count = self.counts.entry(workspace).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

/// Writes reports into the spool, many at once.
#[derive(Debug)]
pub(crate) struct Writer {
    reports: mpsc::Receiver<v1::Report>,
    lost: Arc<AtomicU64>,
    spool: Spool,
}

impl Writer {
    /// Goes on for ever. Cancelled anywhere, what it had taken is written all the same.
    pub(crate) async fn run(&mut self) {
        loop {
            let mut batch = Vec::with_capacity(AT_ONCE);
            if self.reports.recv_many(&mut batch, AT_ONCE).await == 0 {
                std::future::pending::<()>().await;
            }
            self.write(batch).await;
        }
    }

    /// Writes what is left; nobody tells anything any more.
    pub(crate) async fn finish(mut self) {
        self.reports.close();
        let mut batch = Vec::new();
        while self.reports.recv_many(&mut batch, AT_ONCE).await > 0 {
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&self, batch: Vec<v1::Report>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let spool = self.spool.clone();
        // The blocking task ends by itself, also when nobody waits for it any more.
        let written = tokio::task::spawn_blocking(move || spool.append(&batch, lost));
        if let Err(error) = written.await {
            tracing::error!(%error, "reports were not written");
        }
    }
}

/// A reporter whose reports a test takes from the queue.
#[cfg(test)]
pub(crate) fn heard_by_a_test() -> (Reporter, mpsc::Receiver<v1::Report>) {
    let (queue, reports) = mpsc::channel(QUEUE);
    let reporter = Reporter {
        queue: Some(queue),
        ..Reporter::nowhere()
    };
    (reporter, reports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_reported_up_to_a_bound_in_each_minute_and_workspace() {
        let mut denials = Minute::default();
        let (one, other) = (WorkspaceId::new(), WorkspaceId::new());
        let now = Instant::now();
        let told = (0..1000)
            .filter(|_| denials.has_room(one, DENIALS_PER_MINUTE, now))
            .count();
        assert_eq!(told, DENIALS_PER_MINUTE as usize);
        assert!(!denials.has_room(one, DENIALS_PER_MINUTE, now + Duration::from_secs(59)));
        assert!(denials.has_room(other, DENIALS_PER_MINUTE, now + Duration::from_secs(59)));
        assert!(denials.has_room(one, DENIALS_PER_MINUTE, now + Duration::from_secs(60)));
    }

    #[test]
    fn a_session_with_the_longest_command_still_makes_a_report() {
        let long = bounded(v1::Session {
            command: vec!["x".repeat(3000); 100],
            ..v1::Session::default()
        });
        assert!(long.command.len() == 1 && long.encoded_len() < MAX_RECORD);
        let short = v1::Session {
            command: vec!["make".into(), "check".into()],
            ..v1::Session::default()
        };
        assert_eq!(bounded(short.clone()), short);
    }

    #[test]
    fn a_command_in_a_report_is_bounded_and_harmless() {
        let words = vec!["echo".into(), "\x1b[2J".into(), "x".repeat(1 << 20)];
        let event = Event::new("exec-started", "web-1").command(&words);
        let (_, line) = &event.detail[0];
        assert!(line.len() <= MAX_COMMAND && line.starts_with("echo [2J xxx"));
    }
}
