//! `cmdop status`: what runs where, in which version, and how it answers.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_client::clock::{Skew, now_ms};
use cmdop_client::{Connection, account, machines};
use cmdop_proto::text::shown;
use cmdop_proto::v1::Presence;
use serde::Serialize;
use tokio::time::Instant;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::up::{Place, Program, Running, State, is_running, uptime};
use super::values::rough;

/// A status that takes longer is itself the answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Show what runs where, its version and health, and the round trip
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop status --json")]
pub(super) struct Args {
    /// Where the programs of `cmdop up` keep their state [default: the user's data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    /// About the programs of one place.
    pub(super) fn of(place: &Place) -> Self {
        Self {
            data_dir: Some(place.base().to_owned()),
        }
    }
}

/// One program as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Record {
    program: &'static str,
    running: Option<bool>,
    pid: Option<u32>,
    uptime_ms: Option<u64>,
    /// How often it died and was started again since `cmdop up`.
    restarts: Option<u32>,
    version: Option<String>,
    address: Option<String>,
    health: String,
    round_trip_ms: Option<f64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let place = Place::find(context, args.data_dir)?;
    let state = State::load(&place)?;
    let connection = connection(context, &state);
    let mut records = Vec::new();
    for program in Program::ALL {
        records.push(record(context, &state, connection.as_ref(), program).await);
    }
    records.extend(state.supervisor.as_ref().map(supervisor));
    let mut table = Table::new(&[
        "PROGRAM",
        "PID",
        "UPTIME",
        "RESTARTS",
        "VERSION",
        "ADDRESS",
        "HEALTH",
        "ROUND TRIP",
    ]);
    for record in &records {
        table.row([
            record.program.into(),
            record.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            record
                .uptime_ms
                .map(|ms| rough(Duration::from_millis(ms)))
                .unwrap_or_default(),
            record
                .restarts
                .map(|restarts| restarts.to_string())
                .unwrap_or_default(),
            record.version.clone().unwrap_or_default(),
            record.address.clone().unwrap_or_default(),
            record.health.clone(),
            record
                .round_trip_ms
                .map(|ms| format!("{ms:.2} ms"))
                .unwrap_or_default(),
        ]);
    }
    output::listing(context.format(), &records, &table)?;
    Ok(if records.iter().all(|record| record.health == "ok") {
        0
    } else {
        69
    })
}

/// The profile that was asked for, else that of `up`, else the current one.
fn connection(context: &Context, state: &State) -> Option<Connection> {
    let mut asked = context.clone();
    if asked.globals.profile.is_none() && !state.profile.is_empty() {
        asked.globals.profile = Some(state.profile.clone());
    }
    let connection = asked.connection().or_else(|_| context.connection()).ok()?;
    Some(connection.with_timeout(context.globals.timeout.unwrap_or(PROBE_TIMEOUT)))
}

async fn record(
    context: &Context,
    state: &State,
    connection: Option<&Connection>,
    program: Program,
) -> Record {
    let mut record = Record {
        program: program.name(),
        health: "unknown".into(),
        ..Record::default()
    };
    if let Some(running) = state.get(program) {
        let alive = is_running(running);
        record.running = Some(alive);
        if alive {
            record.pid = Some(running.pid);
            record.uptime_ms = Some(uptime(running).as_millis() as u64);
        }
        record.restarts = Some(running.restarts);
        record.address = Some(running.address.clone()).filter(|address| !address.is_empty());
    }
    let Some(connection) = connection else {
        record.health = "not logged in".into();
        return record;
    };
    let probed = match program {
        Program::Control => control(context, connection, &mut record).await,
        Program::Relay => relay(context, connection, &mut record).await,
        Program::Agent => agents(connection, &mut record).await,
    };
    record.health = match probed {
        Ok(health) => health,
        Err(_) if record.running == Some(false) => "stopped".into(),
        Err(error) => shown(&error.to_string(), 200),
    };
    record
}

/// What starts the others again. It answers nobody: that it runs is its health.
fn supervisor(running: &Running) -> Record {
    let alive = is_running(running);
    Record {
        program: "supervisor",
        running: Some(alive),
        pid: alive.then_some(running.pid),
        uptime_ms: alive.then(|| uptime(running).as_millis() as u64),
        health: if alive { "ok" } else { "stopped" }.into(),
        ..Record::default()
    }
}

async fn control(
    context: &Context,
    connection: &Connection,
    record: &mut Record,
) -> Result<String, cmdop_client::Error> {
    record
        .address
        .get_or_insert_with(|| connection.profile().control_url.clone());
    // The first call dials and shakes hands; the second is a round trip.
    let me = account::whoami(connection).await?;
    if let Some(skew) = Skew::between(now_ms(), me.now_ms) {
        context.warn(&skew.to_string());
    }
    let begun = Instant::now();
    account::whoami(connection).await?;
    record.round_trip_ms = Some(begun.elapsed().as_secs_f64() * 1000.0);
    Ok("ok".into())
}

async fn relay(
    context: &Context,
    connection: &Connection,
    record: &mut Record,
) -> Result<String, cmdop_client::Error> {
    if let Some(url) = connection.profile().relay_urls.first() {
        record.address.get_or_insert_with(|| url.clone());
    }
    let hello = connection.hello().await?;
    if let Some(skew) = Skew::between(now_ms(), hello.now_ms) {
        context.warn(&skew.to_string());
    }
    let begun = Instant::now();
    connection.hello().await?;
    record.round_trip_ms = Some(begun.elapsed().as_secs_f64() * 1000.0);
    record.version = Some(shown(&hello.version, 32));
    Ok(if hello.draining {
        "draining".into()
    } else {
        "ok".into()
    })
}

/// The agents of the workspace: how many of how many are online.
async fn agents(
    connection: &Connection,
    record: &mut Record,
) -> Result<String, cmdop_client::Error> {
    let all = machines::list(connection, &machines::Filter::default()).await?;
    let online: Vec<_> = all
        .iter()
        .filter(|machine| machine.presence() == Presence::Online)
        .collect();
    if let [only] = all.as_slice() {
        record.version = Some(shown(&only.agent_version, 32));
    }
    Ok(if all.is_empty() || online.len() == all.len() {
        "ok".into()
    } else {
        format!("{} of {} machines online", online.len(), all.len())
    })
}
