//! What there is to say about one machine, line by line.

use cmdop_proto::MachineId;
use cmdop_proto::v1::SessionStatus;

use super::draw::charts_height;
use super::health::Severity;
use super::history::Series;
use super::host::{Figure, Host};
use super::{Dashboard, Thresholds};
use crate::app::{Presence, Session};
use crate::view::text::bytes;

/// A line of the detail view.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    /// A word, what there is to say about it, and how bad that is.
    Pair(&'static str, String, Severity),
    /// A curve in one row.
    Curve(&'static str, Series),
    /// What follows belongs together.
    Heading(String),
    /// A line as it stands.
    Text(String),
}

fn pair(label: &'static str, value: impl Into<String>) -> Fact {
    Fact::Pair(label, value.into(), Severity::Fine)
}

impl Dashboard {
    /// The lines about a machine; none if it is gone.
    pub(super) fn detail_lines(&self, id: MachineId) -> Vec<Fact> {
        let Some(host) = self.hosts.get(id) else {
            return Vec::new();
        };
        let mut facts = self.presence_facts(host);
        if charts_height(self.room) == 0 {
            facts.push(Fact::Curve("cpu 30m", Series::Cpu));
            facts.push(Fact::Curve("mem 30m", Series::Memory));
            facts.push(Fact::Curve("load 30m", Series::Load));
        }
        facts.extend(reading_facts(host, &self.settings.thresholds));
        facts.extend(record_facts(host));
        facts.extend(self.session_facts(id));
        facts
    }

    fn presence_facts(&self, host: &Host) -> Vec<Fact> {
        let (word, severity) = match host.machine.presence(self.now) {
            Presence::Online => ("online", Severity::Fine),
            Presence::Stale => ("stale: linked, but silent", Severity::Warn),
            Presence::Offline => ("offline", Severity::Critical),
        };
        let seen = host.machine.age(self.now).map_or_else(
            || "never, as far as this relay knows".to_owned(),
            |age| format!("{} s ago", age.as_secs()),
        );
        vec![
            Fact::Pair("state", word.into(), severity),
            pair("heartbeat", seen),
        ]
    }

    fn session_facts(&self, id: MachineId) -> Vec<Fact> {
        let mut sessions: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.machine == Some(id))
            .collect();
        sessions.sort_by_key(|session| (session.created_at_ms, session.id));
        let heading = match sessions.len() {
            0 => "no sessions".to_owned(),
            1 => "1 session".to_owned(),
            count => format!("{count} sessions"),
        };
        let lines = sessions
            .into_iter()
            .map(|session| Fact::Text(session_line(session)));
        [Fact::Heading(heading)].into_iter().chain(lines).collect()
    }
}

fn reading_facts(host: &Host, thresholds: &Thresholds) -> Vec<Fact> {
    let Some(metrics) = &host.machine.metrics else {
        return vec![pair("readings", "none yet")];
    };
    let share = |label, figure, used: u64, total: u64| {
        let percent = host.reading(figure)?;
        let value = format!("{percent:.0}%  {} of {}", bytes(used), bytes(total));
        Some(Fact::Pair(label, value, thresholds.severity(host, figure)))
    };
    let number = |label, figure, value: String| {
        host.reading(figure)?;
        Some(Fact::Pair(label, value, thresholds.severity(host, figure)))
    };
    let cpu = host.reading(Figure::Cpu).unwrap_or_default();
    let finite = |value: f32| {
        if value.is_finite() {
            value.clamp(0.0, 99_999.0)
        } else {
            0.0
        }
    };
    let [one, five, fifteen] = [metrics.load_1, metrics.load_5, metrics.load_15].map(finite);
    let battery = metrics.battery.as_ref().map(|battery| {
        let charging = if battery.charging { ", charging" } else { "" };
        format!(
            "{:.0}%{charging}",
            host.reading(Figure::Battery).unwrap_or_default()
        )
    });
    let facts = [
        number(
            "cpu",
            Figure::Cpu,
            format!("{cpu:.0}% of {} cores", metrics.cpu_cores),
        ),
        share(
            "memory",
            Figure::Memory,
            metrics.memory_used_bytes,
            metrics.memory_total_bytes,
        ),
        share(
            "disk",
            Figure::Disk,
            metrics.disk_used_bytes,
            metrics.disk_total_bytes,
        ),
        number(
            "load",
            Figure::Load,
            format!("{one:.2}  {five:.2}  {fifteen:.2}"),
        ),
        battery.and_then(|battery| number("battery", Figure::Battery, battery)),
        Some(pair("processes", metrics.process_count.to_string())),
        Some(pair("up for", long(metrics.uptime_ms / 1000))),
    ];
    facts.into_iter().flatten().collect()
}

fn record_facts(host: &Host) -> Vec<Fact> {
    let or_none = |texts: &[String]| {
        if texts.is_empty() {
            "none".to_owned()
        } else {
            texts.join(" ")
        }
    };
    vec![
        pair("system", host.machine.system.as_str()),
        pair("agent", host.machine.agent_version.as_str()),
        pair("fleets", or_none(&host.fleets)),
        pair("labels", or_none(&host.machine.labels)),
        pair("id", host.machine.id.to_string()),
    ]
}

fn session_line(session: &Session) -> String {
    let status = match session.status {
        SessionStatus::Connected => "connected",
        SessionStatus::Background => "background",
        SessionStatus::Pending => "pending",
        SessionStatus::GracePeriod => "grace period",
        SessionStatus::Disconnected => "ended",
        SessionStatus::Unspecified => "unknown",
    };
    let (operators, observers) = session.attached;
    let attached = match (operators, observers) {
        (0, 0) => "nobody attached".to_owned(),
        (operators, 0) => format!("{operators} attached"),
        (operators, observers) => format!("{operators} attached, {observers} watching"),
    };
    let keyboard = session.keyboard.as_ref();
    let keyboard = keyboard.map_or_else(String::new, |who| format!(", keyboard: {who}"));
    format!(
        "  {}  {}  {status}, {attached}{keyboard}",
        session.label(),
        session.command
    )
}

/// A time in its two largest units.
fn long(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {minutes} min"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}
