//! `cmdop schedules`: programs that the control plane has run at their times.

mod add;
mod log;
mod record;

use clap::Subcommand;
use cmdop_client::schedules;
use cmdop_proto::text::shown;
use cmdop_proto::v1;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{ago, labels, rfc3339};
use record::Record;

/// Run programs on machines at their times: list schedules, make and manage them, read what they did
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop schedules add nightly --cron '0 3 * * *' --time-zone Europe/Berlin web-1 -- backup.sh\n  \
                  cmdop schedules log nightly"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(ListArgs),
    Add(Box<add::Args>),
    Show(ShowArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Rm(RemoveArgs),
    Run(RunArgs),
    Log(log::Args),
}

/// List schedules
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules ls --json")]
struct ListArgs {}

/// Show one with all that was said when it was made
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules show nightly")]
struct ShowArgs {
    /// Its name or id
    schedule: String,
}

/// Let its times pass; a run that goes on goes on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules pause nightly")]
struct PauseArgs {
    /// Its name or id
    schedule: String,
}

/// Let its times come again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules resume nightly")]
struct ResumeArgs {
    /// Its name or id
    schedule: String,
}

/// Forget it with its history; a program that runs runs on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules rm nightly")]
struct RemoveArgs {
    /// Its name or id
    schedule: String,
}

/// Run it once now, also while it is paused, and print the run's id
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop schedules run nightly")]
struct RunArgs {
    /// Its name or id
    schedule: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    match args.action.unwrap_or(Action::Ls(ListArgs::default())) {
        Action::Ls(_) => {
            let all = schedules::list(&connection).await?;
            let records: Vec<_> = all.iter().map(Record::of).collect();
            output::listing(context.format(), &records, &table(&all))?;
        }
        Action::Add(args) => {
            let name = args.name.clone();
            let made = schedules::create(&connection, &name, args.spec()?).await?;
            if context.globals.json {
                output::json(&Record::of(&made))?;
            } else {
                let next = rfc3339(made.next_due_ms).unwrap_or_default();
                context.progress(&format!("{} is due at {next}", shown(&made.name, 64)));
            }
        }
        Action::Show(args) => {
            let found = schedules::get(&connection, &args.schedule).await?;
            output::record(context.format(), &Record::of(&found), &fields(&found))?;
        }
        Action::Pause(args) => {
            let changed = schedules::pause(&connection, &args.schedule).await?;
            changed_to(context, &changed, "is paused")?;
        }
        Action::Resume(args) => {
            let changed = schedules::resume(&connection, &args.schedule).await?;
            changed_to(context, &changed, "goes on")?;
        }
        Action::Rm(args) => {
            schedules::remove(&connection, &args.schedule).await?;
            context.progress(&format!("removed {}", shown(&args.schedule, 64)));
        }
        Action::Run(args) => {
            let run = shown(&schedules::run(&connection, &args.schedule).await?, 64);
            if context.globals.json {
                output::json(&serde_json::json!({ "run_id": run }))?;
            } else {
                output::print(&format!("{run}\n"))?;
            }
        }
        Action::Log(args) => return log::run(context, &connection, args).await,
    }
    Ok(0)
}

fn changed_to(context: &Context, schedule: &v1::Schedule, what: &str) -> Result<(), Failure> {
    if context.globals.json {
        return output::json(&Record::of(schedule));
    }
    context.progress(&format!("{} {what}", shown(&schedule.name, 64)));
    Ok(())
}

fn table(schedules: &[v1::Schedule]) -> Table {
    let mut table = Table::new(&[
        "SCHEDULE", "WHEN", "NEXT", "LAST", "STATE", "ON", "OF", "COMMAND",
    ]);
    for schedule in schedules {
        let spec = schedule.spec.clone().unwrap_or_default();
        let last = schedule.last_run.clone().unwrap_or_default();
        table.row([
            schedule.name.clone(),
            record::when(&spec),
            next(schedule),
            ago(last.due_at_ms),
            state_of(schedule.last_run.as_ref()),
            on(&spec),
            schedule.owner_name.clone(),
            spec.command.join(" "),
        ]);
    }
    table
}

fn next(schedule: &v1::Schedule) -> String {
    match (schedule.paused_at_ms, schedule.next_due_ms) {
        (0, 0) => "never".into(),
        (0, next) => rfc3339(next).unwrap_or_default(),
        _ => "paused".into(),
    }
}

fn state_of(run: Option<&v1::ScheduleRun>) -> String {
    run.map(|run| record::state(run.state()).to_owned())
        .unwrap_or_default()
}

/// Where it runs, in one cell.
fn on(spec: &v1::ScheduleSpec) -> String {
    let mut on = spec.machines.clone();
    if !spec.fleet.is_empty() {
        on.push(format!("fleet {}", spec.fleet));
    }
    if !spec.labels.is_empty() {
        on.push(labels(&spec.labels));
    }
    on.join(", ")
}

fn fields(schedule: &v1::Schedule) -> Table {
    let record = Record::of(schedule);
    let spec = schedule.spec.clone().unwrap_or_default();
    let mut table = Table::new(&["FIELD", "VALUE"]);
    for (field, value) in [
        ("name", schedule.name.clone()),
        ("id", schedule.id.clone()),
        ("of", schedule.owner_name.clone()),
        ("when", record::when(&spec)),
        ("next", next(schedule)),
        ("last", state_of(schedule.last_run.as_ref())),
        ("on", on(&spec)),
        ("command", spec.command.join(" ")),
        ("directory", spec.cwd.clone()),
        ("environment", labels(&spec.env)),
        ("overlap", record.overlap.into()),
        ("misfire", record.misfire.into()),
        ("retries", spec.retries.to_string()),
        ("retry on", record.retry_on.into()),
        ("backoff", record::duration(spec.backoff_ms)),
        ("limit", record::duration(spec.timeout_ms)),
        ("made", rfc3339(schedule.created_at_ms).unwrap_or_default()),
    ] {
        table.row([field.into(), value]);
    }
    table
}
