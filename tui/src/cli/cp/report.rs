//! What a copy came to: the result, what failed and why, and the exit code.

use cmdop_client::transfer::{Failed, Report};
use cmdop_proto::text::shown;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::location::{hex, path, size};
use crate::cli::output;

/// Failures that are printed to a person; the rest is counted.
const MAX_PRINTED: usize = 100;

/// A result as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<String>,
    files: u64,
    bytes: u64,
    bytes_sent: u64,
    elapsed_ms: u64,
    cancelled: bool,
    failed: Vec<Fault>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would_copy: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Fault {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    reason: String,
    message: String,
}

impl Record {
    pub(super) fn of(report: &Report, is_dry: bool) -> Self {
        let fault = |failed: &Failed| {
            let refusal = failed.error.refusal();
            Fault {
                path: path(&failed.path),
                path_hex: hex(&failed.path),
                reason: refusal.reason,
                message: refusal.message,
            }
        };
        Self {
            kind: "result",
            machine: None,
            files: report.progress.files_done,
            bytes: report.progress.bytes_done,
            bytes_sent: report.progress.bytes_sent,
            elapsed_ms: report.progress.elapsed.as_millis() as u64,
            cancelled: report.cancelled,
            failed: report.failed.iter().map(fault).collect(),
            would_copy: if is_dry {
                report.planned.iter().map(|planned| path(planned)).collect()
            } else {
                Vec::new()
            },
        }
    }
}

/// Prints it: JSON on stdout, or what failed on stderr and how much it was.
pub(super) fn print(context: &Context, report: &Report, is_dry: bool) -> Result<(), Failure> {
    if context.globals.json {
        let record = Record::of(report, is_dry);
        let text = serde_json::to_string(&record)
            .map_err(|error| Failure::internal(format!("cannot make JSON: {error}")))?;
        return output::print(&format!("{}\n", output::escaped(&text)));
    }
    if is_dry {
        let lines: String = report.planned.iter().map(|one| path(one) + "\n").collect();
        output::print(&lines)?;
    }
    failures(&report.failed, "");
    if let [failed] = &report.failed[..] {
        let hint = failed.error.refusal().hint;
        if !hint.is_empty() {
            eprintln!("  {}", shown(&hint, 1024));
        }
    }
    let is_nothing = report.progress.files_done == 0 && !report.failed.is_empty();
    if !is_dry && !is_nothing {
        context.progress(&summary(report));
    }
    Ok(())
}

/// What failed, a line each.
pub(super) fn failures(failed: &[Failed], prefix: &str) {
    for failed in failed.iter().take(MAX_PRINTED) {
        let message = shown(&failed.error.to_string(), 1024);
        // Most messages name the path; a connection's do not.
        let name = path(&failed.path);
        let about = if message.contains(&name) || name.is_empty() {
            String::new()
        } else {
            format!("{name}: ")
        };
        eprintln!("cmdop: {prefix}{about}{message}");
    }
    if let Some(more) = failed
        .len()
        .checked_sub(MAX_PRINTED)
        .filter(|more| *more > 0)
    {
        eprintln!("cmdop: {prefix}{more} more could not be copied");
    }
}

fn summary(report: &Report) -> String {
    let progress = &report.progress;
    let seconds = progress.elapsed.as_secs_f64();
    let rate = (progress.bytes_sent as f64 / seconds.max(0.001)) as u64;
    let sent = if progress.bytes_sent == progress.bytes_done {
        String::new()
    } else {
        format!(", {} sent", size(progress.bytes_sent))
    };
    format!(
        "copied {} of {}, {}{sent}, in {seconds:.1} s ({}/s)",
        progress.files_done,
        files(progress.files_total),
        size(progress.bytes_done),
        size(rate),
    )
}

fn files(count: u64) -> String {
    if count == 1 {
        "1 file".into()
    } else {
        format!("{count} files")
    }
}

/// 0 if all was copied. One file that was not says why by its own code, several by 1.
pub(super) fn exit_code(report: Report, is_single: bool) -> u8 {
    if report.failed.is_empty() {
        return if report.cancelled { 130 } else { 0 };
    }
    let first = report.failed.into_iter().next();
    match first {
        Some(failed) if is_single => Failure::from(failed.error).code(),
        _ => 1,
    }
}
