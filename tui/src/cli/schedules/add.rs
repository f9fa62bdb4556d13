//! `cmdop schedules add`: what is to be run, when and where, from the command line.

use std::time::Duration;

use cmdop_proto::v1;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use v1::schedule_spec::When;

use crate::cli::failure::Failure;
use crate::cli::values::{key_value, map};

/// Have a program run at its times, on the machines that there are then
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("time").required(true).args(["cron", "at", "every"])),
    after_help = "Example:\n  cmdop schedules add nightly --cron '0 3 * * *' --time-zone Europe/Berlin web-1 -- backup.sh\n  \
                  cmdop schedules add probe --every 15m -l role=web --retries 3 -- /usr/local/bin/probe\n  \
                  cmdop schedules add move --at 2026-12-01T09:00:00+01:00 --fleet eu -- systemctl restart app\n\n\
                  It runs for you, with the role that you have then. A time that the clocks skip is run when they go on, \
                  one that they show twice is run once."
)]
pub(super) struct Args {
    /// What to call it
    pub(super) name: String,
    /// Machines, by name or id
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// A cron expression: minute, hour, day of month, month, day of week; with six fields seconds come first
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// The time zone of the cron expression, as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<String>,
    /// Once, at this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = at)]
    at: Option<u64>,
    /// Again and again, from now on
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    every: Option<Duration>,
    /// Also all machines with this label; may be repeated, all must match
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Also all machines of this fleet
    #[arg(long)]
    fleet: Option<String>,
    /// The directory to run in [default: the home of the agent's user]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable to set; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// When a time comes while the run before goes on
    #[arg(long, value_enum, default_value_t = Overlap::Skip)]
    overlap: Overlap,
    /// When times passed while the control plane was away
    #[arg(long, value_enum, default_value_t = Misfire::Skip)]
    misfire: Misfire,
    /// How often a machine is tried again
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// What a machine is tried again for
    #[arg(long, value_enum, default_value_t = RetryOn::Unreachable)]
    retry_on: RetryOn,
    /// The wait before the first retry; it doubles
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    backoff: Duration,
    /// How long the program may run before it is ended
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Overlap {
    /// That time is passed over
    Skip,
    /// One run waits for the end; more are passed over
    Queue,
    /// They go on side by side, up to 16
    Allow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Misfire {
    /// They are passed over
    Skip,
    /// One run stands for all of them
    RunOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RetryOn {
    /// The program could not be started
    Unreachable,
    /// Also when it failed, took too long, or nobody knows how it ended
    Failure,
}

/// Reads a time.
fn at(text: &str) -> Result<u64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "it is no time such as 2026-12-01T09:00:00+01:00")?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| "it is before 1970".into())
}

impl Args {
    /// As it is asked for.
    pub(super) fn spec(self) -> Result<v1::ScheduleSpec, Failure> {
        if self.targets.is_empty() && self.labels.is_empty() && self.fleet.is_none() {
            return Err(Failure::usage("no machine was named").hint(
                "name machines after the schedule's name, or choose by label with -l KEY=VALUE",
            ));
        }
        let when = match (self.cron, self.at, self.every) {
            (Some(expression), _, _) => When::Cron(v1::ScheduleCron {
                expression,
                time_zone: self.time_zone.unwrap_or_default(),
            }),
            (_, Some(at_ms), _) => When::AtMs(at_ms),
            (_, _, every) => When::EveryMs(ms(every.unwrap_or_default())),
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
        Ok(v1::ScheduleSpec {
            when: Some(when),
            command: self.command,
            cwd: self.cwd.unwrap_or_default(),
            env: map(&self.env),
            machines: self.targets,
            fleet: self.fleet.unwrap_or_default(),
            labels: map(&self.labels),
            overlap: overlap.into(),
            misfire: misfire.into(),
            retries: self.retries,
            retry_on: retry_on.into(),
            backoff_ms: ms(self.backoff),
            timeout_ms: ms(self.limit),
        })
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset() {
        assert_eq!(at("2026-12-01T09:00:00+01:00"), Ok(1_796_112_000_000));
        for bad in ["", "tomorrow", "2026-12-01", "1960-01-01T00:00:00Z"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }
}
