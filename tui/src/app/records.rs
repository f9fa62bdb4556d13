//! Machines and sessions as the client keeps them: parsed and stripped at this edge.

use std::time::Duration;

use cmdop_proto::v1::{self, SessionStatus};
use cmdop_proto::{MachineId, SessionId, text};
use tokio::time::Instant;

use super::Now;

/// Longest text of a record that is kept; what is shown is cut to the room anyway.
const MAX_TEXT: usize = 256;

/// A machine that is linked but was not heard of for this long is shown as stale: one and a half
/// intervals of its heartbeat.
const STALE_AFTER: Duration = Duration::from_secs(45);

/// What the relay gives a session that asks for no grace period of its own.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Nobody watches a countdown of a year.
const AS_GOOD_AS_FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Its hostname, stripped.
    pub name: String,
    /// Operating system and architecture, stripped.
    pub system: String,
    /// The version of its agent, stripped.
    pub agent_version: String,
    /// `key=value`, stripped, sorted.
    pub labels: Vec<String>,
    /// How many sessions it has.
    pub sessions: u32,
    /// The newest readings.
    pub metrics: Option<v1::Metrics>,
    is_linked: bool,
    last_heartbeat_ms: u64,
    /// When its last heartbeat arrived, by our clock; never if there was none.
    heard: Option<Instant>,
}

/// Whether a machine is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Linked, and its heartbeats arrive.
    Online,
    /// Linked, but silent for longer than it should be.
    Stale,
    /// Not linked.
    Offline,
}

impl Machine {
    /// Reads a record; `None` if its id is none. `before` is what was known of the machine.
    pub fn read(record: &v1::Machine, before: Option<&Self>, now: Now) -> Option<Self> {
        let heard = match before {
            // By the arrival: the two clocks may differ.
            Some(before) if before.last_heartbeat_ms == record.last_heartbeat_ms => before.heard,
            Some(_) => Some(now.instant),
            None => heard_at(record.last_heartbeat_ms, now),
        };
        let mut labels: Vec<_> = record
            .labels
            .iter()
            .map(|(key, value)| shown(&format!("{key}={value}")))
            .collect();
        labels.sort();
        Some(Self {
            id: record.id.parse().ok()?,
            is_linked: record.presence() == v1::Presence::Online,
            name: shown(&record.name),
            system: shown(&format!("{} {}", record.os, record.arch))
                .trim()
                .to_owned(),
            agent_version: shown(&record.agent_version),
            labels,
            sessions: record.session_count,
            metrics: record.metrics,
            last_heartbeat_ms: record.last_heartbeat_ms,
            heard,
        })
    }

    /// Whether it is there.
    pub fn presence(&self, now: Instant) -> Presence {
        match self.age(now) {
            _ if !self.is_linked => Presence::Offline,
            Some(age) if age > STALE_AFTER => Presence::Stale,
            _ => Presence::Online,
        }
    }

    /// How long ago its last heartbeat arrived.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_duration_since(heard))
    }

    /// The share of its memory in use, 0 to 100.
    pub fn memory_percent(&self) -> Option<f32> {
        let metrics = self
            .metrics
            .as_ref()
            .filter(|metrics| metrics.memory_total_bytes > 0)?;
        Some(100.0 * metrics.memory_used_bytes as f32 / metrics.memory_total_bytes as f32)
    }
}

/// The first record of a machine says when it was heard of, by the server's clock.
fn heard_at(last_heartbeat_ms: u64, now: Now) -> Option<Instant> {
    if last_heartbeat_ms == 0 {
        return None;
    }
    let ago = Duration::from_millis(now.wall_ms.saturating_sub(last_heartbeat_ms));
    // A clock that is years off is as good as "at the start of this machine".
    Some(now.instant.checked_sub(ago).unwrap_or(now.instant))
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its machine; it may be unknown to us.
    pub machine: Option<MachineId>,
    /// The machine's name, stripped.
    pub machine_name: String,
    /// Its own name, stripped; may be empty.
    pub name: String,
    /// The program, stripped; `shell` for the login shell.
    pub command: String,
    /// Its status.
    pub status: SessionStatus,
    /// When its grace period is over; `None` outside of one, and in one without end.
    pub grace_until: Option<Instant>,
    /// When it was made.
    pub created_at_ms: u64,
    /// Who is attached: operators and observers.
    pub attached: (u32, u32),
    /// Where its keyboard is exclusive, who holds it, stripped; `nobody` if nobody does.
    pub keyboard: Option<String>,
    /// The client that asked first for the keyboard, as the relay names it.
    pub asks_for_keyboard: Option<String>,
    /// How it ended.
    pub exit: Exit,
}

/// How a session ended, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Code or signal, if it was seen.
    pub outcome: Option<v1::exit::Outcome>,
    /// The sentence that came with it, stripped; may be empty.
    pub reason: String,
}

impl Session {
    /// Reads a record; `None` if its id is none.
    pub fn read(record: &v1::Session, now: Now) -> Option<Self> {
        let status = record.status();
        let command = shown(&record.command.join(" "));
        Some(Self {
            id: record.id.parse().ok()?,
            machine: record.machine_id.parse().ok(),
            machine_name: shown(&record.machine_name),
            name: shown(&record.name),
            command: if command.is_empty() {
                "shell".into()
            } else {
                command
            },
            status,
            grace_until: grace_until(record, now),
            created_at_ms: record.created_at_ms,
            attached: (record.operator_count, record.observer_count),
            keyboard: record.keyboard.as_ref().and_then(holder),
            asks_for_keyboard: record
                .keyboard
                .as_ref()
                .and_then(|keyboard| Some(keyboard.requests.first()?.client_id.clone())),
            exit: Exit {
                outcome: record.exit.as_ref().and_then(|exit| exit.outcome),
                reason: shown(&record.reason),
            },
        })
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        self.status == SessionStatus::Disconnected
    }

    /// What people call it: its name, or the beginning of its id.
    pub fn label(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        short(self.id)
    }

    /// Where it is and what people call it.
    pub fn place(&self) -> String {
        format!("{}/{}", self.machine_name, self.label())
    }
}

/// The beginning of an id: the millisecond of its making, so that it names one session, also on the
/// command line.
fn short(id: SessionId) -> String {
    let mut id = id.to_string();
    id.truncate(13);
    id
}

/// Who holds an exclusive keyboard.
fn holder(keyboard: &v1::Keyboard) -> Option<String> {
    if keyboard.mode() != v1::KeyboardMode::Exclusive {
        return None;
    }
    let holder = keyboard.holder.as_ref();
    Some(holder.map_or_else(|| "nobody".into(), |who| shown(&who.account_name)))
}

fn grace_until(record: &v1::Session, now: Now) -> Option<Instant> {
    if record.status() != SessionStatus::GracePeriod {
        return None;
    }
    let length = match record.grace.as_ref().and_then(|grace| grace.limit) {
        Some(v1::grace::Limit::Forever(true)) => return None,
        Some(v1::grace::Limit::DurationMs(length)) => Duration::from_millis(length),
        _ => DEFAULT_GRACE,
    };
    if length > AS_GOOD_AS_FOREVER {
        return None;
    }
    let gone = Duration::from_millis(
        now.wall_ms
            .saturating_sub(record.grace_period_started_at_ms),
    );
    Some(now.instant + length.saturating_sub(gone))
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.outcome {
            Some(v1::exit::Outcome::Code(code)) => write!(f, "exit code {code}")?,
            Some(v1::exit::Outcome::Signal(signal)) => write!(f, "killed by signal {signal}")?,
            None if self.reason.is_empty() => f.write_str("its end was not seen")?,
            None => return f.write_str(&self.reason),
        }
        if self.reason.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.reason)
        }
    }
}

fn shown(text: &str) -> String {
    text::shown(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall_ms: u64) -> Now {
        Now {
            instant: Instant::now() + Duration::from_secs(1_000_000),
            wall_ms,
        }
    }

    fn machine(last_heartbeat_ms: u64) -> v1::Machine {
        v1::Machine {
            id: MachineId::new().to_string(),
            name: "web\x1b]0;x\x07-1".into(),
            presence: v1::Presence::Online.into(),
            last_heartbeat_ms,
            ..v1::Machine::default()
        }
    }

    #[test]
    fn a_record_is_stripped_and_its_id_parsed() {
        let record = Machine::read(&machine(0), None, now(0)).unwrap();
        assert_eq!(record.name, "web]0;x-1");
        let nameless = v1::Machine {
            id: "../../x".into(),
            ..machine(0)
        };
        assert!(Machine::read(&nameless, None, now(0)).is_none());
    }

    #[test]
    fn a_heartbeat_is_as_old_as_its_arrival_and_not_as_its_clock_says() {
        let start = now(1_000_000);
        let first = Machine::read(&machine(990_000), None, start).unwrap();
        assert_eq!(first.age(start.instant), Some(Duration::from_secs(10)));
        // The next one arrives from a clock that is an hour behind.
        let later = Now {
            instant: start.instant + Duration::from_secs(20),
            ..now(1_020_000)
        };
        let second = Machine::read(&machine(1_000), Some(&first), later).unwrap();
        assert_eq!(second.age(later.instant), Some(Duration::ZERO));
        // A change without a heartbeat changes nothing.
        let third = Machine::read(&machine(1_000), Some(&second), now(9)).unwrap();
        assert_eq!(third.age(later.instant), Some(Duration::ZERO));
    }

    #[test]
    fn silence_makes_a_linked_machine_stale() {
        let start = now(1_000);
        let record = Machine::read(&machine(1_000), None, start).unwrap();
        assert_eq!(
            record.presence(start.instant + STALE_AFTER),
            Presence::Online
        );
        let after = start.instant + STALE_AFTER + Duration::from_secs(1);
        assert_eq!(record.presence(after), Presence::Stale);
        let gone = v1::Machine {
            presence: v1::Presence::Offline.into(),
            ..machine(1_000)
        };
        let record = Machine::read(&gone, None, start).unwrap();
        assert_eq!(record.presence(start.instant), Presence::Offline);
    }

    fn in_grace(grace: Option<v1::Grace>) -> v1::Session {
        v1::Session {
            id: SessionId::new().to_string(),
            status: SessionStatus::GracePeriod.into(),
            grace_period_started_at_ms: 10_000,
            grace,
            ..v1::Session::default()
        }
    }

    #[test]
    fn a_grace_period_ends_when_the_record_says() {
        let now = now(15_000);
        let left = |grace| {
            let session = Session::read(&in_grace(grace), now).unwrap();
            session.grace_until.map(|until| until - now.instant)
        };
        let of = |limit| Some(v1::Grace { limit: Some(limit) });
        assert_eq!(left(None), Some(Duration::from_secs(25)));
        assert_eq!(
            left(of(v1::grace::Limit::DurationMs(6_000))),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            left(of(v1::grace::Limit::DurationMs(2_000))),
            Some(Duration::ZERO)
        );
        assert_eq!(left(of(v1::grace::Limit::Forever(true))), None);
        assert_eq!(left(of(v1::grace::Limit::DurationMs(u64::MAX))), None);
    }

    #[test]
    fn an_exit_is_told_in_words() {
        let exit = |outcome, reason: &str| {
            Exit {
                outcome,
                reason: reason.into(),
            }
            .to_string()
        };
        assert_eq!(exit(Some(v1::exit::Outcome::Code(3)), ""), "exit code 3");
        assert_eq!(
            exit(Some(v1::exit::Outcome::Signal(9)), "closed"),
            "killed by signal 9 (closed)"
        );
        assert_eq!(exit(None, "the machine left"), "the machine left");
        assert_eq!(exit(None, ""), "its end was not seen");
    }
}
