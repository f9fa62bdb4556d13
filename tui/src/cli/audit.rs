//! `cmdop audit`: what was done in the workspace, by whom; and whether the record of it was changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use cmdop_client::audit::{self, Follow, Verdict};
use cmdop_client::clock::now_ms;
use cmdop_proto::audit::{Chain, Mark};
use cmdop_proto::text::shown;
use cmdop_proto::v1::{AuditActor, AuditFilter, AuditRecord};
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{pair, rfc3339};

/// The longest line of an export that is read: more than a record can be.
const MAX_LINE: u64 = 64 << 10;

/// Show the audit log, export it, or check that nobody changed it
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  cmdop audit --actor ada --since 1d\n  cmdop audit --follow\n  \
                  cmdop audit export > audit.jsonl\n  cmdop audit verify"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    which: Which,
    /// Go on with what is added
    #[arg(short, long)]
    follow: bool,
    /// The newest this many, at most 500
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    lines: u32,
}

#[derive(Debug, Subcommand)]
enum Action {
    Export(ExportArgs),
    Verify(VerifyArgs),
}

/// Print records as JSON, one a line, the oldest first; all of them, they can be verified later
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop audit export > audit.jsonl\n  cmdop audit verify --file audit.jsonl --workspace ID"
)]
struct ExportArgs {
    #[command(flatten)]
    which: Which,
}

/// Find the first record that was altered, is missing, or stands elsewhere; exit 1 if there is one
///
/// It prints the last record's number and hash. Whoever can write to the database can cut the end off, or make a whole
/// new log that holds: keep what was printed elsewhere, and give it to --expect the next time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop audit verify\n  cmdop audit verify --expect 1042:8f0c…")]
struct VerifyArgs {
    /// Check an export instead of the log itself
    #[arg(long, value_name = "FILE", requires = "workspace")]
    file: Option<PathBuf>,
    /// The workspace's id that the export is of (`cmdop whoami --json` tells it)
    #[arg(long, value_name = "ID", requires = "file")]
    workspace: Option<String>,
    /// Where a former check ended, as it printed it: the log has to go through that record
    #[arg(long, value_name = "NUMBER:HASH")]
    expect: Option<Mark>,
}

/// Which records: all that is given must match
#[derive(Clone, Debug, Default, clap::Args)]
struct Which {
    /// Only this action, for example `session-attached`
    #[arg(long)]
    action: Option<String>,
    /// Only what this account, key, machine or relay did (name or id)
    #[arg(long)]
    actor: Option<String>,
    /// Only what was done to this
    #[arg(long)]
    target: Option<String>,
    /// Only what was allowed, denied, or failed
    #[arg(long, value_parser = ["allowed", "denied", "failed"])]
    outcome: Option<String>,
    /// Only what is younger than this, for example 2h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only what is older than this
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    until: Option<Duration>,
}

impl Which {
    fn filter(&self) -> AuditFilter {
        let ago = |age: Option<Duration>| {
            age.map_or(0, |age| now_ms().saturating_sub(age.as_millis() as u64))
        };
        AuditFilter {
            action: self.action.clone().unwrap_or_default(),
            actor: self.actor.clone().unwrap_or_default(),
            target: self.target.clone().unwrap_or_default(),
            outcome: self.outcome.clone().unwrap_or_default(),
            since_ms: ago(self.since),
            until_ms: ago(self.until),
        }
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.action {
        None if args.follow => follow(context, &args.which.filter(), args.lines).await,
        None => list(context, &args.which.filter(), args.lines).await,
        Some(Action::Export(args)) => export(context, args.which.filter()).await,
        Some(Action::Verify(args)) => verify(context, &args).await,
    }
}

async fn list(context: &Context, filter: &AuditFilter, lines: u32) -> Result<u8, Failure> {
    let page = audit::newest(&context.connection()?, filter.clone(), lines).await?;
    let listed: Vec<_> = page.records.iter().map(Record::of).collect();
    output::listing(context.format(), &listed, &table(&page.records))?;
    Ok(0)
}

async fn follow(context: &Context, filter: &AuditFilter, lines: u32) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let page = audit::newest(&connection, filter.clone(), lines).await?;
    for record in &page.records {
        line(context, record)?;
    }
    let mut added = Follow::new(&connection, filter.clone(), page.head_seq);
    loop {
        line(context, &added.next().await?)?;
    }
}

/// One record as it comes: JSON on one line, or cells between tabs.
fn line(context: &Context, record: &AuditRecord) -> Result<(), Failure> {
    if context.globals.json {
        return json_line(record);
    }
    output::print(&table(std::slice::from_ref(record)).tsv(false))
}

fn json_line(record: &AuditRecord) -> Result<(), Failure> {
    let text = serde_json::to_string(&Record::of(record))
        .map_err(|error| Failure::internal(format!("cannot make JSON: {error}")))?;
    output::print(&format!("{}\n", output::escaped(&text)))
}

async fn export(context: &Context, filter: AuditFilter) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let mut seen = 0;
    loop {
        let page = audit::after(&connection, filter.clone(), seen).await?;
        for record in &page.records {
            json_line(record)?;
        }
        match page.records.last() {
            Some(last) if page.has_more => seen = last.seq,
            _ => return Ok(0),
        }
    }
}

async fn verify(context: &Context, args: &VerifyArgs) -> Result<u8, Failure> {
    let verdict = match (&args.file, &args.workspace) {
        (Some(file), Some(workspace)) => {
            let chain = Chain::new(workspace).expecting(args.expect.clone());
            verify_file(file, chain)?
        }
        _ => audit::verify(&context.connection()?, args.expect.clone()).await?,
    };
    told(context, &verdict)
}

/// Says what was found: 0 if the whole chain holds, 1 if not.
fn told(context: &Context, verdict: &Verdict) -> Result<u8, Failure> {
    #[derive(Serialize)]
    struct Told {
        holds: bool,
        records: u64,
        end: String,
        fault: Option<String>,
    }
    let fault = verdict.fault.as_ref().map(ToString::to_string);
    let code = u8::from(fault.is_some());
    if context.globals.json {
        output::json(&Told {
            holds: fault.is_none(),
            records: verdict.held,
            end: verdict.end.to_string(),
            fault,
        })?;
        return Ok(code);
    }
    output::print(&match fault {
        None => format!(
            "{} records hold; the last is {}\n",
            verdict.held, verdict.end
        ),
        Some(fault) => format!("{fault}; {} records before it hold\n", verdict.held),
    })?;
    Ok(code)
}

fn verify_file(path: &PathBuf, mut chain: Chain) -> Result<Verdict, Failure> {
    let unreadable = |reason: String| {
        let name = path.display();
        Failure::usage(format!(
            "{name} is not an export of the audit log: {reason}"
        ))
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut reader = BufReader::new(file);
    loop {
        let mut text = String::new();
        let read = reader.by_ref().take(MAX_LINE).read_line(&mut text);
        if read.map_err(|error| unreadable(error.to_string()))? == 0 {
            return Ok(Verdict {
                held: chain.held(),
                end: chain.end(),
                fault: chain.whole().err(),
            });
        }
        let line: Record = serde_json::from_str(&text)
            .map_err(|error| unreadable(format!("after record {}: {error}", chain.seq())))?;
        if let Err(fault) = chain.take(&line.into_record()) {
            return Ok(Verdict {
                held: chain.held(),
                end: chain.end(),
                fault: Some(fault),
            });
        }
    }
}

/// A record as `--json` and `export` print it: all that its hash is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    seq: u64,
    at: Option<String>,
    at_ms: u64,
    action: String,
    actor_kind: String,
    actor_id: String,
    actor_name: String,
    target: String,
    outcome: String,
    detail: BTreeMap<String, String>,
    source: String,
    previous_hash: String,
    hash: String,
}

impl Record {
    fn of(record: &AuditRecord) -> Self {
        let actor = record.actor.clone().unwrap_or_default();
        Self {
            seq: record.seq,
            at: rfc3339(record.at_ms),
            at_ms: record.at_ms,
            action: record.action.clone(),
            actor_kind: actor.kind,
            actor_id: actor.id,
            actor_name: actor.name,
            target: record.target.clone(),
            outcome: record.outcome.clone(),
            detail: record.detail.clone().into_iter().collect(),
            source: record.source.clone(),
            previous_hash: record.previous_hash.clone(),
            hash: record.hash.clone(),
        }
    }

    fn into_record(self) -> AuditRecord {
        AuditRecord {
            seq: self.seq,
            at_ms: self.at_ms,
            action: self.action,
            actor: Some(AuditActor {
                kind: self.actor_kind,
                id: self.actor_id,
                name: self.actor_name,
            }),
            target: self.target,
            outcome: self.outcome,
            detail: self.detail.into_iter().collect(),
            source: self.source,
            previous_hash: self.previous_hash,
            hash: self.hash,
        }
    }
}

fn table(records: &[AuditRecord]) -> Table {
    let mut table = Table::new(&["TIME", "WHO", "ACTION", "TARGET", "OUTCOME", "DETAIL"]);
    for record in records {
        let actor = record.actor.clone().unwrap_or_default();
        let who = if actor.name.is_empty() {
            actor.kind
        } else {
            format!("{} {}", actor.kind, actor.name)
        };
        let detail: BTreeMap<_, _> = record.detail.iter().collect();
        let detail: Vec<_> = detail.iter().map(|(key, value)| pair(key, value)).collect();
        table.row([
            rfc3339(record.at_ms).unwrap_or_default(),
            shown(&who, 128),
            record.action.clone(),
            record.target.clone(),
            record.outcome.clone(),
            detail.join(" "),
        ]);
    }
    table
}
