//! What is to be run, when, and where: as it is kept, and as it travels. It is checked where it comes in,
//! so that nothing further in has to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use cmdop_proto::limits::{MAX_HOSTNAME, MAX_NAME, MAX_PATH};
use cmdop_proto::{Refusal, text, v1};
use serde::{Deserialize, Serialize};
use v1::schedule_spec::When as OnWire;

use crate::names;

/// A cron expression: a line of a crontab is far shorter.
const MAX_EXPRESSION: usize = 128;

/// Words of a command; a script of more belongs into a file.
const MAX_WORDS: usize = 256;

/// Bytes of a command, and of its variables: what is kept of each schedule.
const MAX_COMMAND: usize = 16 << 10;

/// Variables.
const MAX_ENV: usize = 64;

/// Machines that a schedule names, and that one run reaches.
pub(crate) const MAX_MACHINES: usize = 256;

/// The bounds of an interval.
const EVERY: std::ops::RangeInclusive<u64> = 1000..=366 * 24 * 60 * 60 * 1000;

/// Tries of one machine after the first.
const MAX_RETRIES: u32 = 10;

/// The first wait before a retry, unless the schedule says otherwise.
const BACKOFF: Duration = Duration::from_secs(10);

/// The longest wait before a retry.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// How long a program may run, unless the schedule says otherwise.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it may at most.
const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What decides when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// A cron expression in a zone.
    Cron { expression: String, zone: String },
    /// Once.
    At { at_ms: u64 },
    /// Again and again.
    Every { every_ms: u64 },
}

/// When a time comes while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Overlap {
    /// It is passed over.
    Skip,
    /// One run waits.
    Queue,
    /// They go on side by side.
    Allow,
}

impl Overlap {
    /// The word that is kept.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

/// When times passed while nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Misfire {
    /// They are passed over.
    Skip,
    /// One run stands for all.
    RunOnce,
}

/// What a machine is tried again for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RetryOn {
    /// The program was not started.
    Unreachable,
    /// Also when it did not succeed.
    Failure,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) when: When,
    pub(crate) command: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) machines: Vec<String>,
    pub(crate) fleet: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) overlap: Overlap,
    pub(crate) misfire: Misfire,
    pub(crate) retries: u32,
    pub(crate) retry_on: RetryOn,
    pub(crate) backoff_ms: u64,
    pub(crate) timeout_ms: u64,
}

impl Spec {
    /// Reads and checks what a caller sent.
    pub(crate) fn read(wire: v1::ScheduleSpec) -> Result<Self, Refusal> {
        let (overlap, misfire, retry_on) = (wire.overlap(), wire.misfire(), wire.retry_on());
        command(&wire.command)?;
        environment(&wire.env)?;
        if wire.cwd.len() > MAX_PATH || wire.cwd.contains('\0') {
            return Err(bad(format!(
                "the directory is not a path of at most {MAX_PATH} bytes"
            )));
        }
        if wire.retries > MAX_RETRIES {
            return Err(bad(format!(
                "a machine is tried again at most {MAX_RETRIES} times"
            )));
        }
        let labels = names::labels(wire.labels)?;
        targets(&wire.machines, &wire.fleet, &labels)?;
        Ok(Self {
            when: when(wire.when)?,
            command: wire.command,
            cwd: wire.cwd,
            env: wire.env.into_iter().collect(),
            machines: wire.machines,
            fleet: wire.fleet,
            labels,
            overlap: match overlap {
                v1::ScheduleOverlap::Queue => Overlap::Queue,
                v1::ScheduleOverlap::Allow => Overlap::Allow,
                v1::ScheduleOverlap::Skip | v1::ScheduleOverlap::Unspecified => Overlap::Skip,
            },
            misfire: match misfire {
                v1::ScheduleMisfire::RunOnce => Misfire::RunOnce,
                v1::ScheduleMisfire::Skip | v1::ScheduleMisfire::Unspecified => Misfire::Skip,
            },
            retries: wire.retries,
            retry_on: match retry_on {
                v1::ScheduleRetryOn::Failure => RetryOn::Failure,
                v1::ScheduleRetryOn::Unreachable | v1::ScheduleRetryOn::Unspecified => {
                    RetryOn::Unreachable
                }
            },
            backoff_ms: within("wait before a retry", wire.backoff_ms, BACKOFF, MAX_BACKOFF)?,
            timeout_ms: within("time of a program", wire.timeout_ms, TIMEOUT, MAX_TIMEOUT)?,
        })
    }

    /// As it travels.
    pub(crate) fn on_the_wire(&self) -> v1::ScheduleSpec {
        let when = match &self.when {
            When::Cron { expression, zone } => OnWire::Cron(v1::ScheduleCron {
                expression: expression.clone(),
                time_zone: zone.clone(),
            }),
            When::At { at_ms } => OnWire::AtMs(*at_ms),
            When::Every { every_ms } => OnWire::EveryMs(*every_ms),
        };
        let overlap = match self.overlap {
            Overlap::Skip => v1::ScheduleOverlap::Skip,
            Overlap::Queue => v1::ScheduleOverlap::Queue,
            Overlap::Allow => v1::ScheduleOverlap::Allow,
        };
        let misfire = match self.misfire {
            Misfire::Skip => v1::ScheduleMisfire::Skip,
            Misfire::RunOnce => v1::ScheduleMisfire::RunOnce,
        };
        let retry_on = match self.retry_on {
            RetryOn::Unreachable => v1::ScheduleRetryOn::Unreachable,
            RetryOn::Failure => v1::ScheduleRetryOn::Failure,
        };
        v1::ScheduleSpec {
            when: Some(when),
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            env: self.env.clone().into_iter().collect(),
            machines: self.machines.clone(),
            fleet: self.fleet.clone(),
            labels: self.labels.clone().into_iter().collect(),
            overlap: overlap.into(),
            misfire: misfire.into(),
            retries: self.retries,
            retry_on: retry_on.into(),
            backoff_ms: self.backoff_ms,
            timeout_ms: self.timeout_ms,
        }
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::invalid("bad-request", message)
}

fn when(wire: Option<OnWire>) -> Result<When, Refusal> {
    Ok(match wire {
        None => return Err(bad("nothing says when to run it")),
        Some(OnWire::Cron(cron)) => {
            if cron.expression.len() > MAX_EXPRESSION || cron.time_zone.len() > MAX_NAME {
                return Err(bad(format!(
                    "a cron expression has at most {MAX_EXPRESSION} bytes, the name of a time zone {MAX_NAME}"
                )));
            }
            When::Cron {
                expression: cron.expression,
                zone: cron.time_zone,
            }
        }
        Some(OnWire::AtMs(at_ms)) => When::At { at_ms },
        Some(OnWire::EveryMs(every_ms)) if EVERY.contains(&every_ms) => When::Every { every_ms },
        Some(OnWire::EveryMs(_)) => {
            return Err(bad("an interval is between one second and 366 days long"));
        }
    })
}

fn command(words: &[String]) -> Result<(), Refusal> {
    let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
    if words.first().is_none_or(String::is_empty) {
        return Err(bad("there is no program to run"));
    }
    if words.len() > MAX_WORDS || bytes > MAX_COMMAND {
        return Err(bad(format!(
            "the command of a schedule has at most {MAX_WORDS} words and {} KiB",
            MAX_COMMAND >> 10
        ))
        .hint("put what is longer into a script on the machine"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(bad("the command holds a zero byte"));
    }
    Ok(())
}

fn environment(env: &HashMap<String, String>) -> Result<(), Refusal> {
    let bytes: usize = env.iter().map(|(key, value)| key.len() + value.len()).sum();
    if env.len() > MAX_ENV || bytes > MAX_COMMAND {
        return Err(bad(format!(
            "a schedule sets at most {MAX_ENV} variables of {} KiB in all",
            MAX_COMMAND >> 10
        )));
    }
    let is_bad = |(key, value): (&String, &String)| {
        key.is_empty() || key.contains(['=', '\0']) || value.contains('\0')
    };
    if env.iter().any(is_bad) {
        return Err(bad(
            "a variable has no name, or one with `=` in it, or holds a zero byte",
        ));
    }
    Ok(())
}

fn targets(
    machines: &[String],
    fleet: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    if machines.is_empty() && fleet.is_empty() && labels.is_empty() {
        return Err(
            bad("no machine was named").hint("name machines, or choose them by fleet or label")
        );
    }
    if machines.len() > MAX_MACHINES {
        return Err(
            bad(format!("a schedule names at most {MAX_MACHINES} machines"))
                .hint("choose them by fleet or label"),
        );
    }
    if let Some(name) = machines.iter().find(|name| !text::is_hostname(name)) {
        let name = text::shown(name, MAX_HOSTNAME);
        return Err(bad(format!("`{name}` cannot be the name of a machine")));
    }
    if fleet.is_empty() {
        return Ok(());
    }
    names::fleet(fleet).map(drop)
}

fn within(what: &str, ms: u64, otherwise: Duration, most: Duration) -> Result<u64, Refusal> {
    if ms == 0 {
        return Ok(otherwise.as_millis() as u64);
    }
    if (1000..=most.as_millis() as u64).contains(&ms) {
        return Ok(ms);
    }
    let most = humantime::format_duration(most);
    Err(bad(format!("the {what} is between one second and {most}")))
}
