//! `cmdop schedules log`: what a schedule did, and what its programs wrote.
//!
//! Output that was kept is no live stream: it is shown without whatever could steer a terminal.

use std::fmt::Write as _;

use cmdop_client::{Connection, schedules};
use cmdop_proto::text::shown;
use cmdop_proto::v1;
use serde::Serialize;

use super::record::{self, Run, Target};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::table::Table;
use crate::cli::values::{ago, rfc3339, rough};

/// A line longer than this is cut where it is shown.
const MAX_LINE: usize = 64 << 10;

/// List a schedule's runs, the newest first; or show one with the end of its output
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop schedules log nightly\n  cmdop schedules log nightly last\n\n\
                  The last 64 KiB of what a program wrote on each machine are kept, and the newest 100 runs."
)]
pub(super) struct Args {
    /// Its name or id
    schedule: String,
    /// A run's id, or `last`
    run: Option<String>,
    /// How many runs to list
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=200), conflicts_with = "run")]
    lines: u32,
}

/// A run with its machines.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    run: Run,
    targets: Vec<Target>,
}

pub(super) async fn run(
    context: &Context,
    connection: &Connection,
    args: Args,
) -> Result<u8, Failure> {
    let Some(run) = args.run else {
        let runs = schedules::runs(connection, &args.schedule, args.lines).await?;
        let records: Vec<_> = runs.iter().map(Run::of).collect();
        output::listing(context.format(), &records, &table(&runs))?;
        return Ok(0);
    };
    let run = Some(run.as_str()).filter(|run| *run != "last");
    let (run, targets) = schedules::output(connection, &args.schedule, run).await?;
    if context.globals.json {
        output::json(&Whole {
            run: Run::of(&run),
            targets: targets.iter().map(Target::of).collect(),
        })?;
        return Ok(0);
    }
    for target in &targets {
        let prefix = match targets.len() {
            1 => String::new(),
            _ => format!("{}: ", shown(&target.machine, 253)),
        };
        output::print(&text(target, &prefix))?;
        context.progress(&summary(target));
    }
    if targets.is_empty() {
        context.progress(&format!(
            "{}: {}",
            record::state(run.state()),
            shown(&run.reason, 512)
        ));
    }
    Ok(0)
}

fn table(runs: &[v1::ScheduleRun]) -> Table {
    let mut table = Table::new(&[
        "DUE", "AGO", "STATE", "ON", "TOOK", "ASKED BY", "REASON", "ID",
    ]);
    for run in runs {
        let took = run.ended_at_ms.checked_sub(run.started_at_ms);
        let took = took.filter(|_| run.started_at_ms > 0);
        let on = match run.machines {
            0 => String::new(),
            all => format!("{}/{all}", run.succeeded),
        };
        table.row([
            rfc3339(run.due_at_ms).unwrap_or_default(),
            ago(run.due_at_ms),
            record::state(run.state()).into(),
            on,
            took.map(|ms| rough(std::time::Duration::from_millis(ms)))
                .unwrap_or_default(),
            run.requested_by.clone(),
            run.reason.clone(),
            run.id.clone(),
        ]);
    }
    table
}

/// What it wrote, line by line.
fn text(target: &v1::ScheduleTarget, prefix: &str) -> String {
    let pieces = target.tail.iter().flat_map(|tail| &tail.pieces);
    let bytes: Vec<u8> = pieces.flat_map(|piece| piece.data.to_vec()).collect();
    let mut text = String::with_capacity(bytes.len());
    for line in String::from_utf8_lossy(&bytes).lines() {
        text.push_str(prefix);
        text.push_str(&shown(&line.replace('\t', "    "), MAX_LINE));
        text.push('\n');
    }
    text
}

fn summary(target: &v1::ScheduleTarget) -> String {
    let machine = shown(&target.machine, 253);
    let mut summary = format!("{machine}: {}", record::state(target.state()));
    if !target.reason.is_empty() {
        summary.push_str(", ");
        summary.push_str(&shown(&target.reason, 512));
    }
    let kept: usize = target
        .tail
        .iter()
        .flat_map(|tail| &tail.pieces)
        .map(|piece| piece.data.len())
        .sum();
    let wrote = target.stdout_bytes + target.stderr_bytes;
    if wrote > kept as u64 {
        // Writing to a string cannot fail.
        let _ = write!(summary, "; the last {kept} of {wrote} bytes");
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_steers_no_terminal() {
        let piece = v1::OutputPiece {
            is_stderr: false,
            data: (&b"a\tb\x1b]0;owned\x07\nc\xff\n"[..]).into(),
        };
        let target = v1::ScheduleTarget {
            tail: Some(v1::OutputTail {
                pieces: vec![piece],
            }),
            ..v1::ScheduleTarget::default()
        };
        assert_eq!(text(&target, ""), "a    b]0;owned\nc\u{fffd}\n");
        assert_eq!(
            text(&target, "web-1: "),
            "web-1: a    b]0;owned\nweb-1: c\u{fffd}\n"
        );
    }
}
