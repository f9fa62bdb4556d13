//! `cmdop exec`: runs a program on machines without a terminal, as ssh and pdsh do.

mod detached;
pub(crate) mod drive;
mod many;
mod one;
mod prefix;
mod printer;
mod replay;
mod result;
mod summary;

use std::collections::{BTreeSet, HashMap};
use std::io::IsTerminal as _;

use cmdop_client::exec::Command;
use cmdop_client::{Connection, machines, sessions};
use cmdop_proto::{RunId, Size, v1};

use super::attach::{self, AtEnd, Keystroke};
use super::context::Context;
use super::failure::Failure;
use super::stdin;
use super::values::{key_value, map};

pub(crate) use result::outcome;
pub(crate) use summary::Outcome;

/// Run a program on one machine or many, without a terminal
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop exec web-1 -- uptime\n  cmdop exec -l role=web -j 16 -- systemctl is-active nginx\n  \
                  RUN=$(cmdop exec --detach web-1 -- make world)\n  cmdop exec --attach $RUN\n\n\
                  A program whose caller's connection breaks runs on for 30 s, and the caller comes back to \
                  it without a lost or doubled byte. A detached one runs on until it ends; the first 64 MiB \
                  of each of its streams are kept on the machine for a day after that."
)]
pub(super) struct Args {
    /// Machines, by name or id
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Also all machines with this label; may be repeated, all must match
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Also all machines of this fleet
    #[arg(long)]
    fleet: Option<String>,
    /// At how many machines at the same time
    #[arg(short, long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// The directory to run in [default: the home of the agent's user]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable to set; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// Run it on a terminal: as a session, attached
    #[arg(short, long, conflicts_with_all = ["labels", "fleet"])]
    tty: bool,
    /// Send no stdin
    #[arg(short = 'n', long)]
    no_stdin: bool,
    /// Print a run id at once and leave the program running; its output is kept on the machine
    #[arg(short, long, conflicts_with_all = ["tty", "labels", "fleet"])]
    detach: bool,
    /// Print all output of a detached run from its beginning, and exit as it does
    #[arg(long, value_name = "RUN", conflicts_with_all = ["targets", "command", "tty", "detach", "labels", "fleet", "stop"])]
    attach: Option<String>,
    /// End a detached run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["targets", "command", "tty", "detach", "labels", "fleet"])]
    stop: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required_unless_present_any = ["attach", "stop"], value_name = "CMD")]
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let selects = !args.labels.is_empty() || args.fleet.is_some();
    let connection = context.connection()?;
    if let Some(run) = &args.attach {
        return detached::attach(context, &connection, run).await;
    }
    if let Some(run) = &args.stop {
        return detached::stop(context, &connection, run).await;
    }
    match (args.targets.as_slice(), selects) {
        ([], false) => Err(Failure::usage("no machine was named")
            .hint("`cmdop exec MACHINE -- CMD`, or choose by label with -l KEY=VALUE")),
        ([_], false) if args.tty => on_a_terminal(context, &connection, args).await,
        (_, _) if args.tty => {
            Err(Failure::usage("--tty runs on one machine").hint("name one machine"))
        }
        ([_], false) if args.detach => {
            let command = command(context, &args, &args.targets[0], false);
            detached::start(context, &connection, command).await
        }
        (_, _) if args.detach => {
            Err(Failure::usage("--detach runs on one machine").hint("name one machine"))
        }
        ([_], false) if !context.globals.json => {
            let command = command(context, &args, &args.targets[0], wants_stdin(&args, true));
            one::run(context, &connection, command).await
        }
        _ => {
            let targets = targets(&connection, &args).await?;
            let command = command(context, &args, "", wants_stdin(&args, false));
            many::run(context, &connection, targets, command, args.jobs.into()).await
        }
    }
}

fn command(context: &Context, args: &Args, machine: &str, stdin: bool) -> Command {
    Command {
        machine: machine.to_owned(),
        command: args.command.clone(),
        cwd: args.cwd.clone().unwrap_or_default(),
        env: map(&args.env),
        stdin,
        timeout: context.globals.timeout,
        detach: args.detach,
    }
}

/// One target gets a terminal's stdin too, as with ssh, unless we are a background job, which would be
/// stopped for reading. Many targets get only what is piped in.
fn wants_stdin(args: &Args, single: bool) -> bool {
    let terminal = std::io::stdin().is_terminal();
    !args.no_stdin && (!terminal || (single && stdin::is_foreground(rustix::stdio::stdin())))
}

/// The named machines, then those that the labels and the fleet select; each once.
async fn targets(connection: &Connection, args: &Args) -> Result<Vec<String>, Failure> {
    let mut seen = BTreeSet::new();
    let mut targets = args.targets.clone();
    if !args.labels.is_empty() || args.fleet.is_some() {
        let filter = machines::Filter {
            labels: map(&args.labels),
            fleet: args.fleet.clone().unwrap_or_default(),
        };
        let selected = machines::list(connection, &filter).await?;
        let mut names: Vec<_> = selected.into_iter().map(|machine| machine.name).collect();
        names.sort();
        targets.extend(names);
    }
    targets.retain(|target| seen.insert(target.clone()));
    if targets.is_empty() {
        return Err(
            Failure::unavailable("machine-unknown", "no machine matches")
                .hint("`cmdop machines` lists them with their labels"),
        );
    }
    Ok(targets)
}

async fn on_a_terminal(
    context: &Context,
    connection: &Connection,
    args: Args,
) -> Result<u8, Failure> {
    let size = attach::terminal_size().unwrap_or(Size::DEFAULT);
    let request = v1::CreateSessionRequest {
        request_id: RunId::new().to_string(),
        machine: args.targets.into_iter().next().unwrap_or_default(),
        command: args.command,
        cwd: args.cwd.unwrap_or_default(),
        env: args.env.into_iter().collect::<HashMap<_, _>>(),
        size: Some(size.into()),
        ..v1::CreateSessionRequest::default()
    };
    let session = sessions::create(connection, request).await?;
    let view = attach::View::of_new(&session.id, Keystroke::default(), AtEnd::Stay);
    let attached = attach::attach(context, connection, view);
    let Some(limit) = context.globals.timeout else {
        return attached.await;
    };
    match tokio::time::timeout(limit, attached).await {
        Ok(result) => result,
        Err(_) => {
            sessions::close(connection, &session.id).await?;
            let limit = humantime::format_duration(limit);
            Err(Failure::timeout(format!(
                "the program took longer than {limit} and was ended"
            )))
        }
    }
}
