//! Values on the command line, and how values are shown: labels, signals, times, sizes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use cmdop_client::clock::now_ms;
use cmdop_proto::v1;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Signals by name, with their numbers on Linux.
const SIGNALS: [(&str, u32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// Reads `KEY=VALUE`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is not KEY=VALUE".into()),
    }
}

/// Pairs as the messages hold them; the last of a key counts.
pub(super) fn map(pairs: &[(String, String)]) -> HashMap<String, String> {
    pairs.iter().cloned().collect()
}

/// `KEY=VALUE` for people; the value in quotes where else nobody could tell what belongs to it.
pub(super) fn pair(key: &str, value: &str) -> String {
    if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("{key}={value:?}")
    } else {
        format!("{key}={value}")
    }
}

/// Reads a signal: `INT`, `SIGINT`, `int` or `2`.
pub(super) fn signal(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse::<u32>() {
        return match number {
            1..=64 => Ok(number),
            _ => Err("signals count from 1 to 64".into()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
        .ok_or_else(|| "it is no signal; for example INT, TERM or 9".into())
}

/// A signal's name, or its number.
pub(super) fn signal_name(number: u32) -> String {
    SIGNALS
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| number.to_string(), |(name, _)| format!("SIG{name}"))
}

/// Reads a grace period: a duration or `forever`.
pub(super) fn grace(text: &str) -> Result<v1::Grace, String> {
    let limit = if text == "forever" {
        v1::grace::Limit::Forever(true)
    } else {
        let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
        v1::grace::Limit::DurationMs(duration.as_millis() as u64)
    };
    Ok(v1::Grace { limit: Some(limit) })
}

/// Whose terminal decides the size of a session's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SizePolicy {
    /// The operator who attached or resized last
    Latest,
    /// The fewest rows and the fewest columns of all operators
    Smallest,
    /// The most rows and the most columns of all operators
    Largest,
    /// Nobody's: only `cmdop resize` changes it
    Manual,
}

impl From<SizePolicy> for v1::SizePolicy {
    fn from(policy: SizePolicy) -> Self {
        match policy {
            SizePolicy::Latest => Self::Latest,
            SizePolicy::Smallest => Self::Smallest,
            SizePolicy::Largest => Self::Largest,
            SizePolicy::Manual => Self::Manual,
        }
    }
}

/// A size policy in a word.
pub(super) fn size_policy(policy: v1::SizePolicy) -> &'static str {
    match policy {
        v1::SizePolicy::Latest | v1::SizePolicy::Unspecified => "latest",
        v1::SizePolicy::Smallest => "smallest",
        v1::SizePolicy::Largest => "largest",
        v1::SizePolicy::Manual => "manual",
    }
}

/// RFC 3339 in UTC; `None` for "not known".
pub(super) fn rfc3339(ms: u64) -> Option<String> {
    if ms == 0 {
        return None;
    }
    let nanos = i128::from(ms) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// How long ago, roughly: `3s`, `5m`, `2h`, `9d`; empty for "not known".
pub(super) fn ago(ms: u64) -> String {
    if ms == 0 {
        return String::new();
    }
    rough(Duration::from_millis(now_ms().saturating_sub(ms)))
}

/// A duration in its largest unit.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// A share of a whole as people read it: `1.5/7.8G`.
pub(super) fn share(used: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    format!("{:.1}/{:.1}G", gib(used), gib(total))
}

/// Labels in one cell, sorted.
pub(super) fn labels(labels: &HashMap<String, String>) -> String {
    let sorted: BTreeMap<_, _> = labels.iter().collect();
    let pairs: Vec<_> = sorted
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_says_cannot_pass_for_another_pair() {
        assert_eq!(pair("verb", "write"), "verb=write");
        assert_eq!(pair("command", "ls -l run=7"), r#"command="ls -l run=7""#);
        assert_eq!(pair("path", "a\"b"), r#"path="a\"b""#);
        assert_eq!(pair("path", ""), r#"path="""#);
    }

    #[test]
    fn a_signal_has_many_spellings() {
        for text in ["INT", "SIGINT", "sigint", "2"] {
            assert_eq!(signal(text), Ok(2), "{text}");
        }
        assert!(signal("65").is_err());
        assert!(signal("NOPE").is_err());
        assert_eq!(signal_name(9), "SIGKILL");
    }

    #[test]
    fn times_are_utc_and_rfc_3339() {
        assert_eq!(
            rfc3339(1_763_800_000_500).as_deref(),
            Some("2025-11-22T08:26:40.5Z")
        );
        assert_eq!(rfc3339(0), None);
    }

    #[test]
    fn a_label_may_hold_an_equals_sign_in_its_value() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(key_value("=b").is_err());
        assert!(key_value("a").is_err());
    }

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        assert_eq!(rough(Duration::from_secs(59)), "59s");
        assert_eq!(rough(Duration::from_secs(3600)), "60m");
        assert_eq!(rough(Duration::from_secs(200_000)), "2d");
    }
}
