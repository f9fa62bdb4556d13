//! What clients are told as it happens, as JSON. Names are those of `cmdop … --json`; times are RFC 3339, UTC.
//!
//! Everybody who may see machines and sessions reads the same words, save that names of files are only for
//! those who may read files. Nothing here knows a database, a channel or a socket.

use std::collections::BTreeMap;

use cmdop_proto::v1::{self, AuditRecord, Presence, SessionStatus};
use cmdop_proto::{MachineId, SessionId};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Details of what was done to files that name none: all that others than readers of files get to see.
const NAMELESS: [&str; 14] = [
    "bytes",
    "changes",
    "count",
    "direction",
    "entries",
    "failures",
    "files",
    "key",
    "machine",
    "reason",
    "stream",
    "took_ms",
    "transfer",
    "verb",
];

/// Something that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Whose it is, besides the workspace's.
    pub session: Option<SessionId>,
    /// A JSON object.
    pub told: String,
    /// The same for those who may read files, where there is more to tell them.
    pub told_with_paths: Option<String>,
}

impl Publication {
    fn new(told: &Value) -> Self {
        Self {
            session: None,
            told: told.to_string(),
            told_with_paths: None,
        }
    }
}

/// A session is another one than it was: `before` is its state until then, nothing if it is new.
pub(crate) fn session(
    id: SessionId,
    before: Option<i32>,
    session: &v1::Session,
    at_ms: u64,
) -> Publication {
    let change = match before {
        _ if session.ended_at_ms > 0 => "ended",
        None => "created",
        Some(before) if before != session.status => "status",
        Some(_) => "renamed",
    };
    let outcome = session.exit.and_then(|exit| exit.outcome);
    let told = json!({
        "type": "session",
        "change": change,
        "at": rfc3339(at_ms),
        "at_ms": at_ms,
        "session": {
            "id": session.id,
            "name": session.name,
            "status": status(session.status()),
            "machine_id": session.machine_id,
            "machine_name": session.machine_name,
            "created_by": session.created_by,
            "created_at": rfc3339(session.created_at_ms),
            "ended_at": rfc3339(session.ended_at_ms),
            "exit_code": match outcome {
                Some(v1::exit::Outcome::Code(code)) => Some(code),
                _ => None,
            },
            "exit_signal": match outcome {
                Some(v1::exit::Outcome::Signal(signal)) => Some(signal),
                _ => None,
            },
            "reason": session.reason,
        },
    });
    Publication {
        session: Some(id),
        ..Publication::new(&told)
    }
}

/// A machine came or went.
pub(crate) fn presence(
    (id, name): (MachineId, &str),
    presence: Presence,
    reason: &str,
    at_ms: u64,
) -> Publication {
    Publication::new(&json!({
        "type": "presence",
        "presence": if presence == Presence::Online { "online" } else { "offline" },
        "at": rfc3339(at_ms),
        "at_ms": at_ms,
        "machine_id": id.to_string(),
        "machine_name": name,
        "reason": reason,
    }))
}

/// What others than those who read the audit log are told of a record of it, if anything.
pub(crate) fn audited(record: &AuditRecord) -> Option<Publication> {
    match record.action.split_once(['-', '.']) {
        Some(("machine", change)) if record.source == "control" => machine(change, record),
        Some((kind @ ("file" | "transfer"), _)) => Some(files(kind, record)),
        _ => None,
    }
}

/// How far a transfer is. It is no record of the audit log; it has the words of one.
pub(crate) fn progress(record: &AuditRecord) -> Option<Publication> {
    (record.action == "transfer-progress").then(|| files("transfer", record))
}

/// The list of machines is another one.
fn machine(change: &str, record: &AuditRecord) -> Option<Publication> {
    let is_change = matches!(change, "enrolled" | "renamed" | "labelled" | "removed");
    is_change.then(|| {
        Publication::new(&json!({
            "type": "machine",
            "change": change,
            "at": rfc3339(record.at_ms),
            "at_ms": record.at_ms,
            "machine_name": record.target,
            "from": record.detail.get("from"),
        }))
    })
}

/// Relays' records of files, whose target is a machine.
const OF_MACHINES: [&str; 4] = [
    "file-changed",
    "transfer-began",
    "transfer-ended",
    "transfer-progress",
];

/// Something was done to files, or with them. What relays record names its machine as the target; of anything
/// else the target may be a file's name.
fn files(kind: &str, record: &AuditRecord) -> Publication {
    let actor = record.actor.clone().unwrap_or_default();
    let all: BTreeMap<_, _> = record.detail.iter().collect();
    let names_none =
        |key: &str, value: &str| NAMELESS.contains(&key) && !value.contains(['/', '\\']);
    let nameless: BTreeMap<_, _> = all
        .iter()
        .filter(|(key, value)| names_none(key, value))
        .collect();
    let mut told = json!({
        "type": kind,
        "action": record.action,
        "at": rfc3339(record.at_ms),
        "at_ms": record.at_ms,
        "actor_kind": actor.kind,
        "actor_name": actor.name,
        "outcome": record.outcome,
        "detail": nameless,
    });
    let is_machine = OF_MACHINES.contains(&record.action.as_str());
    if is_machine {
        told["machine_name"] = json!(record.target);
    }
    let nameless = Publication::new(&told);
    if !is_machine {
        told["target"] = json!(record.target);
    }
    told["detail"] = json!(all);
    Publication {
        told_with_paths: Some(told.to_string()),
        ..nameless
    }
}

/// A record of the audit log, for those who may read it: all that its hash is made of.
pub(crate) fn audit(record: &AuditRecord) -> String {
    let actor = record.actor.clone().unwrap_or_default();
    let detail: BTreeMap<_, _> = record.detail.iter().collect();
    json!({
        "type": "audit",
        "seq": record.seq,
        "at": rfc3339(record.at_ms),
        "at_ms": record.at_ms,
        "action": record.action,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "target": record.target,
        "outcome": record.outcome,
        "detail": detail,
        "source": record.source,
        "previous_hash": record.previous_hash,
        "hash": record.hash,
    })
    .to_string()
}

fn status(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Pending => "pending",
        SessionStatus::Connected => "connected",
        SessionStatus::Background => "background",
        SessionStatus::GracePeriod => "grace_period",
        SessionStatus::Disconnected => "disconnected",
        SessionStatus::Unspecified => "unknown",
    }
}

/// Nothing for 0, which stands for "not yet".
fn rfc3339(ms: u64) -> Option<String> {
    let nanos = i128::from(ms) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    (ms > 0).then(|| time.format(&Rfc3339).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn record(action: &str, source: &str) -> AuditRecord {
        let detail = [("path", "/etc/shadow"), ("bytes", "7"), ("verb", "../x")];
        AuditRecord {
            action: action.into(),
            at_ms: NOW,
            target: "secret.txt".into(),
            source: source.into(),
            detail: detail.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..AuditRecord::default()
        }
    }

    #[test]
    fn a_session_says_what_became_of_it() {
        let live = v1::Session {
            status: SessionStatus::Connected.into(),
            name: "build".into(),
            ..v1::Session::default()
        };
        let ended = v1::Session {
            status: SessionStatus::Disconnected.into(),
            ended_at_ms: NOW,
            exit: Some(v1::Exit {
                outcome: Some(v1::exit::Outcome::Code(3)),
            }),
            ..live.clone()
        };
        let pending = Some(SessionStatus::Pending.into());
        for (before, now, change) in [
            (None, &live, "created"),
            (pending, &live, "status"),
            (Some(live.status), &live, "renamed"),
            (Some(live.status), &ended, "ended"),
            (None, &ended, "ended"),
        ] {
            let told = read(&session(SessionId::new(), before, now, NOW).told);
            assert_eq!(told["change"], change);
            assert_eq!(told["at"], "2027-01-15T08:00:00Z");
        }
        let told = read(&session(SessionId::new(), None, &ended, NOW).told);
        assert_eq!(told["session"]["exit_code"], 3);
        assert_eq!(told["session"]["status"], "disconnected");
        assert_eq!(told["session"]["created_at"], Value::Null);
    }

    #[test]
    fn a_file_is_named_only_to_those_who_may_read_files() {
        for action in ["file-written", "file.written", "transfer.ended"] {
            let told = audited(&record(action, "relay")).unwrap();
            assert!(!told.told.contains("shadow") && !told.told.contains("secret"));
            assert_eq!(read(&told.told)["detail"], json!({"bytes": "7"}));
            let more = read(&told.told_with_paths.unwrap());
            assert_eq!(more["detail"]["path"], "/etc/shadow");
            assert_eq!(more["target"], "secret.txt");
        }
    }

    #[test]
    fn a_transfer_is_told_to_all_and_its_path_to_those_who_may_read_files() {
        let detail = [
            ("transfer", "0190"),
            ("direction", "from"),
            ("bytes", "7"),
            ("files", "1"),
            ("reason", "file-denied"),
        ];
        for action in ["transfer-began", "transfer-ended", "transfer-progress"] {
            let mut of_relay = record(action, "relay");
            of_relay.target = "web-1".into();
            let more = detail.map(|(key, value)| (key.to_owned(), value.to_owned()));
            of_relay.detail.extend(more);
            let told = if action == "transfer-progress" {
                progress(&of_relay)
            } else {
                audited(&of_relay)
            };
            let told = told.unwrap();
            let (all, more) = (read(&told.told), read(&told.told_with_paths.unwrap()));
            assert_eq!(
                (&all["type"], &all["machine_name"]),
                (&json!("transfer"), &json!("web-1"))
            );
            assert!(
                detail
                    .iter()
                    .all(|(key, value)| all["detail"][*key] == *value),
                "{all}"
            );
            assert_eq!(all["detail"]["path"], Value::Null);
            assert_eq!(more["detail"]["path"], "/etc/shadow");
        }
        assert_eq!(progress(&record("transfer-ended", "relay")), None);
    }

    #[test]
    fn what_relays_record_of_files_says_on_which_machine() {
        let mut changed = record("file-changed", "relay");
        changed.target = "web-1".into();
        changed.detail.insert("changes".into(), "12".into());
        let told = read(&audited(&changed).unwrap().told);
        assert_eq!(told["machine_name"], "web-1");
        assert_eq!(told["detail"]["changes"], "12");
    }

    #[test]
    fn of_the_audit_log_no_more_is_told_than_machines_and_files() {
        for action in ["login", "denied", "session-attached", "machine-token-made"] {
            assert_eq!(audited(&record(action, "control")), None);
        }
        let told = audited(&record("machine-enrolled", "control")).unwrap();
        assert_eq!(read(&told.told)["change"], "enrolled");
        // A relay does not say which machines there are.
        assert_eq!(audited(&record("machine-enrolled", "relay")), None);
    }
}
