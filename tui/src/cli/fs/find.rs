//! `fs find` and `fs watch`.

use std::ffi::OsString;
use std::io::Write as _;

use cmdop_proto::text::shown;
use cmdop_proto::v1;
use serde::Serialize;

use super::list::Record;
use super::open;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::location::{self, hex, on_machine};
use crate::cli::output::{escaped, print};

/// Find files by name or by what is in them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop fs find web-1:/etc --name '*.conf'\n  cmdop fs find web-1:src --content 'fn main' --gitignore"
)]
pub(in crate::cli) struct Args {
    /// MACHINE:PATH of a directory
    path: OsString,
    /// Names that match this glob, or paths if it has a slash; may be repeated
    #[arg(long, value_name = "GLOB")]
    name: Vec<String>,
    /// Paths that match this regular expression
    #[arg(long, value_name = "REGEX")]
    regex: Option<String>,
    /// Lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    content: Option<String>,
    /// Upper and lower case are the same
    #[arg(short, long)]
    ignore_case: bool,
    /// Leave out what .gitignore and .ignore files leave out
    #[arg(long)]
    gitignore: bool,
    /// At most so many matches
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max: u32,
}

/// Print what changes in a directory, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs watch -r web-1:/etc --json")]
pub(in crate::cli) struct WatchArgs {
    /// MACHINE:PATH of a directory
    path: OsString,
    /// With all that is in it
    #[arg(short, long)]
    recursive: bool,
}

/// A match as `--json` prints it.
#[derive(Debug, Serialize)]
struct Match {
    #[serde(flatten)]
    entry: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let (machine, path) = on_machine(&args.path)?;
    let mut files = open(context, machine).await?;
    let search = v1::FileSearch {
        path,
        glob: args.name,
        name_regex: args.regex.unwrap_or_default(),
        content_regex: args.content.unwrap_or_default(),
        ignore_case: args.ignore_case,
        gitignore: args.gitignore,
        max: args.max,
    };
    let mut printed = Ok(());
    let mut unreadable = 0;
    let searching = files.search(search, |found| match found {
        Ok(found) if printed.is_ok() => printed = print(&line(context, &found)),
        Ok(_) => {}
        Err((_, refusal)) => {
            unreadable += 1;
            eprintln!("cmdop: {}", shown(&refusal.message, 1024));
        }
    });
    searching.await?;
    printed?;
    Ok(u8::from(unreadable > 0))
}

/// A line each as they come: JSON, or as find and grep print them.
fn line(context: &Context, found: &v1::FileMatch) -> String {
    let entry = found.entry.clone().unwrap_or_default();
    let has_line = found.line > 0;
    if context.globals.json {
        let record = Match {
            entry: Record::of(&entry),
            line: has_line.then_some(found.line),
            text: has_line.then(|| String::from_utf8_lossy(&found.text).into_owned()),
        };
        let json = serde_json::to_string(&record).expect("text and numbers are JSON");
        return escaped(&json) + "\n";
    }
    let path = location::path(&entry.path);
    if has_line {
        format!("{path}:{}:{}\n", found.line, location::path(&found.text))
    } else {
        path + "\n"
    }
}

/// A change as `--json` prints it.
#[derive(Debug, Serialize)]
struct Change {
    change: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

pub(super) async fn watch(context: &Context, args: WatchArgs) -> Result<u8, Failure> {
    let (machine, path) = on_machine(&args.path)?;
    let mut files = open(context, machine).await?;
    files.watch(&path, args.recursive).await?;
    context.progress("watching; ctrl-c ends it");
    loop {
        let changes = files.changes().await?;
        if changes.overflowed {
            context.warn("some changes were not told: look again at everything");
        }
        for change in &changes.changes {
            let word = match change.kind() {
                v1::file_change::Kind::Created => "created",
                v1::file_change::Kind::Removed => "removed",
                _ => "changed",
            };
            let text = if context.globals.json {
                let record = Change {
                    change: word,
                    path: String::from_utf8_lossy(&change.path).into_owned(),
                    path_hex: hex(&change.path),
                };
                escaped(&serde_json::to_string(&record).expect("text is JSON"))
            } else {
                format!("{word}\t{}", location::path(&change.path))
            };
            let mut stdout = std::io::stdout().lock();
            let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
            if written.is_err() {
                return Ok(0);
            }
        }
    }
}
