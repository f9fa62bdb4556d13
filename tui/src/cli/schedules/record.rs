//! Schedules, runs and machines of runs as `--json` prints them, and the words for what they are.

use std::collections::BTreeMap;
use std::time::Duration;

use cmdop_proto::v1;
use serde::Serialize;
use v1::schedule_spec::When;

use crate::cli::values::rfc3339;

/// A schedule.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    id: String,
    name: String,
    owner: String,
    cron: Option<String>,
    time_zone: Option<String>,
    at: Option<String>,
    every_ms: Option<u64>,
    command: Vec<String>,
    cwd: String,
    env: BTreeMap<String, String>,
    machines: Vec<String>,
    fleet: String,
    labels: BTreeMap<String, String>,
    pub(super) overlap: &'static str,
    pub(super) misfire: &'static str,
    retries: u32,
    pub(super) retry_on: &'static str,
    backoff_ms: u64,
    limit_ms: u64,
    created_at: Option<String>,
    paused_at: Option<String>,
    next_due_at: Option<String>,
    last_run: Option<Run>,
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    id: String,
    due_at: Option<String>,
    requested_by: String,
    state: &'static str,
    reason: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    machines: u32,
    succeeded: u32,
}

/// A run on one machine.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    machine: String,
    state: &'static str,
    reason: String,
    attempts: u32,
    run_id: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    exit_code: Option<u32>,
    stdout_bytes: u64,
    stderr_bytes: u64,
    stdout: String,
    stderr: String,
}

impl Record {
    pub(super) fn of(schedule: &v1::Schedule) -> Self {
        let spec = schedule.spec.clone().unwrap_or_default();
        let (overlap, misfire, retry_on) = (spec.overlap(), spec.misfire(), spec.retry_on());
        let (mut cron, mut time_zone, mut at, mut every_ms) = (None, None, None, None);
        match spec.when {
            Some(When::Cron(wall)) => {
                let zone = Some(wall.time_zone).filter(|zone| !zone.is_empty());
                (cron, time_zone) = (Some(wall.expression), zone.or_else(|| Some("UTC".into())));
            }
            Some(When::AtMs(ms)) => at = rfc3339(ms),
            Some(When::EveryMs(ms)) => every_ms = Some(ms),
            None => {}
        }
        Self {
            id: schedule.id.clone(),
            name: schedule.name.clone(),
            owner: schedule.owner_name.clone(),
            cron,
            time_zone,
            at,
            every_ms,
            command: spec.command,
            cwd: spec.cwd,
            env: spec.env.into_iter().collect(),
            machines: spec.machines,
            fleet: spec.fleet,
            labels: spec.labels.into_iter().collect(),
            overlap: match overlap {
                v1::ScheduleOverlap::Queue => "queue",
                v1::ScheduleOverlap::Allow => "allow",
                v1::ScheduleOverlap::Skip | v1::ScheduleOverlap::Unspecified => "skip",
            },
            misfire: match misfire {
                v1::ScheduleMisfire::RunOnce => "run-once",
                v1::ScheduleMisfire::Skip | v1::ScheduleMisfire::Unspecified => "skip",
            },
            retries: spec.retries,
            retry_on: match retry_on {
                v1::ScheduleRetryOn::Failure => "failure",
                v1::ScheduleRetryOn::Unreachable | v1::ScheduleRetryOn::Unspecified => {
                    "unreachable"
                }
            },
            backoff_ms: spec.backoff_ms,
            limit_ms: spec.timeout_ms,
            created_at: rfc3339(schedule.created_at_ms),
            paused_at: rfc3339(schedule.paused_at_ms),
            next_due_at: rfc3339(schedule.next_due_ms),
            last_run: schedule.last_run.as_ref().map(Run::of),
        }
    }
}

impl Run {
    pub(super) fn of(run: &v1::ScheduleRun) -> Self {
        Self {
            id: run.id.clone(),
            due_at: rfc3339(run.due_at_ms),
            requested_by: run.requested_by.clone(),
            state: state(run.state()),
            reason: run.reason.clone(),
            started_at: rfc3339(run.started_at_ms),
            ended_at: rfc3339(run.ended_at_ms),
            machines: run.machines,
            succeeded: run.succeeded,
        }
    }
}

impl Target {
    pub(super) fn of(target: &v1::ScheduleTarget) -> Self {
        let stream = |is_stderr: bool| -> String {
            let tail = target.tail.iter().flat_map(|tail| &tail.pieces);
            let of_stream = tail.filter(|piece| piece.is_stderr == is_stderr);
            let bytes: Vec<u8> = of_stream.flat_map(|piece| piece.data.to_vec()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self {
            machine: target.machine.clone(),
            state: state(target.state()),
            reason: target.reason.clone(),
            attempts: target.attempts,
            run_id: target.run_id.clone(),
            started_at: rfc3339(target.started_at_ms),
            ended_at: rfc3339(target.ended_at_ms),
            exit_code: target.exit_code,
            stdout_bytes: target.stdout_bytes,
            stderr_bytes: target.stderr_bytes,
            stdout: stream(false),
            stderr: stream(true),
        }
    }
}

/// What has become of a run, in a word.
pub(super) fn state(state: v1::ScheduleRunState) -> &'static str {
    match state {
        v1::ScheduleRunState::Unspecified => "unknown",
        v1::ScheduleRunState::Waiting => "waiting",
        v1::ScheduleRunState::Running => "running",
        v1::ScheduleRunState::Succeeded => "succeeded",
        v1::ScheduleRunState::Failed => "failed",
        v1::ScheduleRunState::Unreachable => "unreachable",
        v1::ScheduleRunState::Refused => "refused",
        v1::ScheduleRunState::Skipped => "skipped",
        v1::ScheduleRunState::Lost => "lost",
    }
}

/// When it is due, in a few words.
pub(super) fn when(spec: &v1::ScheduleSpec) -> String {
    match &spec.when {
        Some(When::Cron(cron)) if cron.time_zone.is_empty() => format!("{} UTC", cron.expression),
        Some(When::Cron(cron)) => format!("{} {}", cron.expression, cron.time_zone),
        Some(When::AtMs(ms)) => rfc3339(*ms).unwrap_or_default(),
        Some(When::EveryMs(ms)) => format!("every {}", duration(*ms)),
        None => String::new(),
    }
}

/// A duration as people type it.
pub(super) fn duration(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}
