//! `cmdop machines`: which machines there are and how they are; their names and labels.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;
use cmdop_client::machines::{self, Filter};
use cmdop_proto::text::{is_hostname, shown};
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{ago, key_value, labels, map, rfc3339, share};

/// List machines, and manage their names and labels
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  cmdop machines -l role=web"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(ListArgs),
    Show(ShowArgs),
    Rename(RenameArgs),
    Label(LabelArgs),
    Remove(RemoveArgs),
    EnrollToken(EnrollTokenArgs),
}

/// List machines with their presence and readings
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  cmdop machines ls --json")]
struct ListArgs {
    /// Only machines with this label; may be repeated, all must match
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Only machines of this fleet
    #[arg(long)]
    fleet: Option<String>,
}

/// Show all that is known of one machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop machines show web-1")]
struct ShowArgs {
    /// Its name or id
    machine: String,
}

/// Give a machine another name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop machines rename web-1 web-2")]
struct RenameArgs {
    /// Its name or id
    machine: String,
    /// Its new name, unique in the workspace
    name: String,
}

/// Set labels, or remove them with a trailing `-`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop machines label web-1 role=web old-label-")]
struct LabelArgs {
    /// Its name or id
    machine: String,
    /// `KEY=VALUE` to set, `KEY-` to remove
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    changes: Vec<String>,
}

/// Remove a machine from the workspace; its agent is refused from now on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop machines remove web-1")]
struct RemoveArgs {
    /// Its name or id
    machine: String,
}

/// Print a token with which one machine can enrol
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdopd enroll --control https://host:7443 --token \"$(cmdop machines enroll-token)\""
)]
struct EnrollTokenArgs {
    /// How long it can be used
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    lifetime: Duration,
    /// A label that the machine gets; may be repeated
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.action {
        None => list(context, args.list).await,
        Some(Action::Ls(args)) => list(context, args).await,
        Some(Action::Show(args)) => show(context, &args).await,
        Some(Action::Rename(args)) => rename(context, &args).await,
        Some(Action::Label(args)) => label(context, args).await,
        Some(Action::Remove(args)) => remove(context, &args).await,
        Some(Action::EnrollToken(args)) => enroll_token(context, args).await,
    }
}

async fn list(context: &Context, args: ListArgs) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let filter = Filter {
        labels: map(&args.labels),
        fleet: args.fleet.unwrap_or_default(),
    };
    let mut machines = machines::list(&connection, &filter).await?;
    context.warn_of_clock(&connection);
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    let records: Vec<_> = machines.iter().map(Record::of).collect();
    output::listing(context.format(), &records, &table(&machines))?;
    Ok(0)
}

async fn show(context: &Context, args: &ShowArgs) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let all = machines::list(&connection, &Filter::default()).await?;
    let machine = all
        .iter()
        .find(|machine| machine.name == args.machine || machine.id == args.machine)
        .ok_or_else(|| unknown(&args.machine))?;
    output::record(context.format(), &Record::of(machine), &fields(machine))?;
    Ok(0)
}

async fn rename(context: &Context, args: &RenameArgs) -> Result<u8, Failure> {
    if !is_hostname(&args.name) {
        let name = shown(&args.name, 64);
        return Err(Failure::usage(format!("`{name}` cannot name a machine"))
            .hint("use letters, digits, `-`, `_` and `.`"));
    }
    let connection = context.connection()?;
    let machine = machines::rename(&connection, &args.machine, &args.name).await?;
    enrolled(context, &machine)
}

async fn label(context: &Context, args: LabelArgs) -> Result<u8, Failure> {
    let mut request = v1::LabelMachineRequest {
        machine: args.machine,
        ..v1::LabelMachineRequest::default()
    };
    for change in args.changes {
        if let Ok((key, value)) = key_value(&change) {
            request.set.insert(key, value);
        } else if let Some(key) = change.strip_suffix('-').filter(|key| !key.is_empty()) {
            request.remove.push(key.to_owned());
        } else {
            let change = shown(&change, 64);
            return Err(Failure::usage(format!(
                "`{change}` is not KEY=VALUE or KEY-"
            )));
        }
    }
    let connection = context.connection()?;
    let machine = machines::label(&connection, request).await?;
    enrolled(context, &machine)
}

async fn remove(context: &Context, args: &RemoveArgs) -> Result<u8, Failure> {
    let connection = context.connection()?;
    machines::remove(&connection, &args.machine).await?;
    context.progress(&format!("removed {}", shown(&args.machine, 253)));
    Ok(0)
}

async fn enroll_token(context: &Context, args: EnrollTokenArgs) -> Result<u8, Failure> {
    #[derive(Serialize)]
    struct Token {
        token: String,
        expires_at: Option<String>,
    }
    let connection = context.connection()?;
    let response =
        machines::create_enroll_token(&connection, args.lifetime, map(&args.labels)).await?;
    let token = Token {
        token: shown(&response.token, 1024),
        expires_at: rfc3339(response.expires_at_ms),
    };
    if context.globals.json {
        output::json(&token)?;
    } else {
        output::print(&format!("{}\n", token.token))?;
    }
    Ok(0)
}

fn enrolled(context: &Context, machine: &v1::EnrolledMachine) -> Result<u8, Failure> {
    #[derive(Serialize)]
    struct Enrolled {
        id: String,
        name: String,
        labels: BTreeMap<String, String>,
        enrolled_at: Option<String>,
    }
    let record = Enrolled {
        id: machine.id.clone(),
        name: machine.name.clone(),
        labels: machine.labels.clone().into_iter().collect(),
        enrolled_at: rfc3339(machine.enrolled_at_ms),
    };
    let mut fields = Table::new(&["FIELD", "VALUE"]);
    fields.row(["name".into(), machine.name.clone()]);
    fields.row(["labels".into(), labels(&machine.labels)]);
    output::record(context.format(), &record, &fields)?;
    Ok(0)
}

/// What a command says that was given a machine which is not there.
pub(super) fn unknown(machine: &str) -> Failure {
    let name = shown(machine, 64);
    let refusal =
        cmdop_proto::Refusal::not_found("machine-unknown", format!("there is no machine `{name}`"));
    Failure::from(refusal.hint("`cmdop machines` lists them"))
}

/// A machine as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    id: String,
    name: String,
    presence: &'static str,
    os: String,
    arch: String,
    agent_version: String,
    labels: BTreeMap<String, String>,
    fleets: Vec<String>,
    last_heartbeat_at: Option<String>,
    connected_at: Option<String>,
    session_count: u32,
    metrics: Option<Metrics>,
}

#[derive(Debug, Serialize)]
struct Metrics {
    cpu_percent: f32,
    cpu_cores: u32,
    memory_used_bytes: u64,
    memory_total_bytes: u64,
    disk_used_bytes: u64,
    disk_total_bytes: u64,
    load_1: f32,
    load_5: f32,
    load_15: f32,
    uptime_ms: u64,
    process_count: u32,
    battery_percent: Option<f32>,
    battery_charging: Option<bool>,
}

impl Record {
    fn of(machine: &v1::Machine) -> Self {
        Self {
            id: machine.id.clone(),
            name: machine.name.clone(),
            presence: presence(machine),
            os: machine.os.clone(),
            arch: machine.arch.clone(),
            agent_version: machine.agent_version.clone(),
            labels: machine.labels.clone().into_iter().collect(),
            fleets: machine.fleets.clone(),
            last_heartbeat_at: rfc3339(machine.last_heartbeat_ms),
            connected_at: rfc3339(machine.connected_at_ms),
            session_count: machine.session_count,
            metrics: machine.metrics.as_ref().map(Metrics::of),
        }
    }
}

impl Metrics {
    fn of(metrics: &v1::Metrics) -> Self {
        Self {
            cpu_percent: metrics.cpu_percent,
            cpu_cores: metrics.cpu_cores,
            memory_used_bytes: metrics.memory_used_bytes,
            memory_total_bytes: metrics.memory_total_bytes,
            disk_used_bytes: metrics.disk_used_bytes,
            disk_total_bytes: metrics.disk_total_bytes,
            load_1: metrics.load_1,
            load_5: metrics.load_5,
            load_15: metrics.load_15,
            uptime_ms: metrics.uptime_ms,
            process_count: metrics.process_count,
            battery_percent: metrics.battery.as_ref().map(|battery| battery.percent),
            battery_charging: metrics.battery.as_ref().map(|battery| battery.charging),
        }
    }
}

fn presence(machine: &v1::Machine) -> &'static str {
    match machine.presence() {
        v1::Presence::Online => "online",
        v1::Presence::Offline => "offline",
        v1::Presence::Unspecified => "unknown",
    }
}

fn table(machines: &[v1::Machine]) -> Table {
    let mut table = Table::new(&[
        "MACHINE",
        "PRESENCE",
        "HEARTBEAT",
        "CPU",
        "MEMORY",
        "DISK",
        "BATTERY",
        "SESSIONS",
        "LABELS",
    ]);
    for machine in machines {
        let metrics = machine.metrics.unwrap_or_default();
        table.row([
            machine.name.clone(),
            presence(machine).into(),
            ago(machine.last_heartbeat_ms),
            cpu(machine),
            share(metrics.memory_used_bytes, metrics.memory_total_bytes),
            share(metrics.disk_used_bytes, metrics.disk_total_bytes),
            metrics
                .battery
                .map(|b| format!("{:.0}%", b.percent))
                .unwrap_or_default(),
            machine.session_count.to_string(),
            labels(&machine.labels),
        ]);
    }
    table
}

fn cpu(machine: &v1::Machine) -> String {
    let metrics = machine.metrics.as_ref();
    metrics.map_or_else(String::new, |metrics| {
        format!("{:.0}%", metrics.cpu_percent)
    })
}

fn fields(machine: &v1::Machine) -> Table {
    let mut table = Table::new(&["FIELD", "VALUE"]);
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("name", machine.name.clone());
    field("id", machine.id.clone());
    field("presence", presence(machine).into());
    field("os", format!("{} {}", machine.os, machine.arch));
    field("agent", machine.agent_version.clone());
    field("heartbeat", ago(machine.last_heartbeat_ms));
    field(
        "connected",
        rfc3339(machine.connected_at_ms).unwrap_or_default(),
    );
    field("sessions", machine.session_count.to_string());
    field("labels", labels(&machine.labels));
    field("fleets", machine.fleets.join(","));
    if let Some(metrics) = &machine.metrics {
        field(
            "cpu",
            format!("{:.0}% of {} cores", metrics.cpu_percent, metrics.cpu_cores),
        );
        field(
            "load",
            format!(
                "{:.2} {:.2} {:.2}",
                metrics.load_1, metrics.load_5, metrics.load_15
            ),
        );
        field(
            "memory",
            share(metrics.memory_used_bytes, metrics.memory_total_bytes),
        );
        field(
            "disk",
            share(metrics.disk_used_bytes, metrics.disk_total_bytes),
        );
        field("processes", metrics.process_count.to_string());
        field(
            "uptime",
            super::values::rough(Duration::from_millis(metrics.uptime_ms)),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> v1::Machine {
        v1::Machine {
            id: "0190".into(),
            name: "web-1\x1b]0;x\x07".into(),
            presence: v1::Presence::Online.into(),
            os: "linux".into(),
            arch: "x86_64".into(),
            agent_version: "0.1.0".into(),
            labels: [("role".to_owned(), "web".to_owned())].into(),
            last_heartbeat_ms: 1_763_800_000_000,
            metrics: Some(v1::Metrics {
                cpu_percent: 12.5,
                memory_used_bytes: 1 << 30,
                memory_total_bytes: 4 << 30,
                ..v1::Metrics::default()
            }),
            ..v1::Machine::default()
        }
    }

    #[test]
    fn the_json_of_a_machine_keeps_its_shape() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&Record::of(&sample())).unwrap());
    }

    #[test]
    fn a_hostname_cannot_print_escapes() {
        let text = table(&[sample()]).for_terminal(false);
        assert!(
            !text.contains('\x1b') && text.contains("web-1]0;x"),
            "{text}"
        );
    }
}
