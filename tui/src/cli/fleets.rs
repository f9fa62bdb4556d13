//! `cmdop fleets`: named sets of machines.

use clap::Subcommand;
use cmdop_client::fleets;
use cmdop_proto::text::shown;
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{ago, rfc3339};

/// List fleets, and manage the machines and members in them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop fleets add eu web-1 web-2\n  cmdop exec --fleet eu -- uptime"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List fleets
    #[command(after_help = "Example:\n  cmdop fleets ls --json")]
    Ls,
    Create(CreateArgs),
    Rename(RenameArgs),
    Remove(RemoveArgs),
    Add(MachinesArgs),
    /// Take machines out of a fleet, all of them or none
    #[command(after_help = "Example:\n  cmdop fleets drop eu web-1")]
    Drop(MachinesArgs),
    /// Keep members and guests to a fleet, all of them or none: they reach the machines of their fleets only
    #[command(after_help = "Example:\n  cmdop fleets add-members eu grace")]
    AddMembers(MembersArgs),
    /// Take members out of a fleet, all of them or none; they stay kept to their other fleets
    #[command(after_help = "Example:\n  cmdop fleets drop-members eu grace")]
    DropMembers(MembersArgs),
}

/// Make an empty fleet
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fleets create eu")]
struct CreateArgs {
    /// Its name, unique in the workspace
    name: String,
}

/// Give a fleet another name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fleets rename eu europe")]
struct RenameArgs {
    /// Its name or id
    fleet: String,
    /// Its new name, unique in the workspace
    name: String,
}

/// Forget a fleet; its machines stay
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fleets remove eu")]
struct RemoveArgs {
    /// Its name or id
    fleet: String,
}

/// Put machines into a fleet, all of them or none
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fleets add eu web-1 web-2")]
struct MachinesArgs {
    /// The fleet's name or id
    fleet: String,
    /// Machines by name or id
    #[arg(required = true)]
    machines: Vec<String>,
}

/// Who is kept to a fleet
#[derive(Debug, clap::Args)]
struct MembersArgs {
    /// The fleet's name or id
    fleet: String,
    /// Members by name or id
    #[arg(required = true)]
    members: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    match args.action {
        None | Some(Action::Ls) => {
            let all = fleets::list(&connection).await?;
            let records: Vec<_> = all.iter().map(Record::of).collect();
            output::listing(context.format(), &records, &table(&all))?;
            Ok(0)
        }
        Some(Action::Create(args)) => {
            changed(context, &fleets::create(&connection, &args.name).await?)
        }
        Some(Action::Rename(args)) => {
            let renamed = fleets::rename(&connection, &args.fleet, &args.name).await?;
            changed(context, &renamed)
        }
        Some(Action::Remove(args)) => {
            fleets::remove(&connection, &args.fleet).await?;
            context.progress(&format!("removed the fleet {}", shown(&args.fleet, 64)));
            Ok(0)
        }
        Some(Action::Add(args)) => {
            let fleet = fleets::add_machines(&connection, &args.fleet, &args.machines).await?;
            changed(context, &fleet)
        }
        Some(Action::Drop(args)) => {
            let fleet = fleets::remove_machines(&connection, &args.fleet, &args.machines).await?;
            changed(context, &fleet)
        }
        Some(Action::AddMembers(args)) => {
            let fleet = fleets::add_members(&connection, &args.fleet, &args.members).await?;
            changed(context, &fleet)
        }
        Some(Action::DropMembers(args)) => {
            let fleet = fleets::remove_members(&connection, &args.fleet, &args.members).await?;
            changed(context, &fleet)
        }
    }
}

/// A fleet as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    id: String,
    name: String,
    machine_count: u32,
    member_count: u32,
    created_at: Option<String>,
}

impl Record {
    fn of(fleet: &v1::Fleet) -> Self {
        Self {
            id: fleet.id.clone(),
            name: fleet.name.clone(),
            machine_count: fleet.machine_count,
            member_count: fleet.member_count,
            created_at: rfc3339(fleet.created_at_ms),
        }
    }
}

fn table(fleets: &[v1::Fleet]) -> Table {
    let mut table = Table::new(&["FLEET", "MACHINES", "MEMBERS", "CREATED"]);
    for fleet in fleets {
        table.row([
            fleet.name.clone(),
            fleet.machine_count.to_string(),
            fleet.member_count.to_string(),
            ago(fleet.created_at_ms),
        ]);
    }
    table
}

fn changed(context: &Context, fleet: &v1::Fleet) -> Result<u8, Failure> {
    let mut fields = Table::new(&["FIELD", "VALUE"]);
    fields.row(["name".into(), fleet.name.clone()]);
    fields.row(["machines".into(), fleet.machine_count.to_string()]);
    fields.row(["members".into(), fleet.member_count.to_string()]);
    output::record(context.format(), &Record::of(fleet), &fields)?;
    Ok(0)
}
