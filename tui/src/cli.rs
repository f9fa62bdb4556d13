//! The command line: one file a verb. It parses, calls `cmdop_client`, prints, and gives an exit code.
//!
//! Results go to stdout, everything else to stderr. Every string that came from another machine
//! passes `cmdop_proto::text::shown` before it is printed, save what `attach`, `exec` and `capture`
//! hand through on purpose.

mod attach;
mod audit;
mod capture;
mod completions;
mod context;
mod cp;
mod detached;
mod down;
mod events;
pub(crate) mod exec;
mod failure;
mod fleets;
mod fs;
mod keyboard;
mod keys;
mod location;
mod login;
mod logout;
mod machines;
mod man;
mod members;
mod new;
mod output;
mod play;
mod profiles;
mod readiness;
mod record;
mod resize;
mod schedules;
mod send;
mod sessions;
mod signal;
mod status;
mod stdin;
mod stdout;
mod table;
mod up;
mod values;
mod whoami;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use context::{Context, Environment, Globals};
pub use failure::Failure;

/// Live shells on many machines that no dropped connection can kill.
///
/// Without a command it opens the full screen on the current profile.
#[derive(Debug, Parser)]
#[command(
    name = "cmdop",
    version,
    propagate_version = true,
    after_help = "Start here:\n  cmdop up                      a server and a shell on this machine\n  \
                  cmdop exec web-1 -- uptime    run a program on a machine"
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Login(login::Args),
    Logout(logout::Args),
    Whoami(whoami::Args),
    Profiles(profiles::Args),
    Machines(machines::Args),
    New(new::Args),
    Sessions(sessions::Args),
    Attach(attach::Args),
    Send(send::Args),
    Capture(capture::Args),
    Resize(resize::Args),
    Keyboard(keyboard::Args),
    Signal(signal::Args),
    Record(record::Args),
    Play(play::Args),
    Exec(exec::Args),
    Cp(cp::Args),
    Fs(fs::Args),
    Fleets(fleets::Args),
    Members(members::Args),
    Keys(keys::Args),
    Schedules(schedules::Args),
    Audit(audit::Args),
    Events(events::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(name = "__detached", hide = true)]
    Detached(detached::Args),
    #[command(name = "__supervise", hide = true)]
    Supervise(up::supervise::Args),
}

/// The whole command line, for completions, man pages and their tests.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the process's command line and returns its exit code.
pub fn main(environment: &Environment) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    telemetry(environment, &cli.globals);
    // One thread: a cold start costs no pool, and a keystroke crosses no thread.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::internal(format!("cannot start: {error}")).report(&cli.globals);
        }
    };
    let globals = cli.globals.clone();
    let result = runtime.block_on(run(cli, environment));
    // A thread that reads the terminal or waits for a keyring must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(&globals),
    }
}

/// Runs one parsed command.
pub async fn run(cli: Cli, environment: &Environment) -> Result<u8, Failure> {
    let context = Context::new(cli.globals, environment)?;
    let Some(command) = cli.command else {
        return full_screen(&context).await;
    };
    match command {
        Command::Up(args) => up::run(&context, args).await,
        Command::Down(args) => down::run(&context, args).await,
        Command::Status(args) => status::run(&context, args).await,
        Command::Login(args) => login::run(&context, args).await,
        Command::Logout(args) => logout::run(&context, args).await,
        Command::Whoami(args) => whoami::run(&context, args).await,
        Command::Profiles(args) => profiles::run(&context, args),
        Command::Machines(args) => machines::run(&context, args).await,
        Command::New(args) => new::run(&context, args).await,
        Command::Sessions(args) => sessions::run(&context, args).await,
        Command::Attach(args) => attach::run(&context, args).await,
        Command::Send(args) => send::run(&context, args).await,
        Command::Capture(args) => capture::run(&context, args).await,
        Command::Resize(args) => resize::run(&context, args).await,
        Command::Keyboard(args) => keyboard::run(&context, args).await,
        Command::Signal(args) => signal::run(&context, args).await,
        Command::Record(args) => record::run(&context, args).await,
        Command::Play(args) => play::run(&context, args).await,
        Command::Exec(args) => exec::run(&context, args).await,
        Command::Cp(args) => cp::run(&context, args).await,
        Command::Fs(args) => fs::run(&context, args).await,
        Command::Fleets(args) => fleets::run(&context, args).await,
        Command::Members(args) => members::run(&context, args).await,
        Command::Keys(args) => keys::run(&context, args).await,
        Command::Schedules(args) => schedules::run(&context, args).await,
        Command::Audit(args) => audit::run(&context, args).await,
        Command::Events(args) => events::run(&context, args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Supervise(args) => up::supervise::run(&context, args).await,
        Command::Detached(args) => detached::run(&args),
    }
}

async fn full_screen(context: &Context) -> Result<u8, Failure> {
    let connection = context.connection()?;
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("the full screen needs a terminal")
            .hint("`cmdop --help` lists the commands for scripts"));
    }
    crate::start(
        connection,
        context.home().directory(),
        &context.look(),
        crate::run::Start::List,
    )
    .await
}

/// Logs are for those who look for a fault; a person gets messages.
fn telemetry(environment: &Environment, globals: &Globals) {
    let level = match (&environment.log, globals.verbose) {
        (Some(filter), _) => filter.as_str(),
        (None, 0) => return,
        (None, 1) => "cmdop_client=info,cmdop_tui=info",
        (None, 2) => "cmdop_client=debug,cmdop_tui=debug",
        (None, _) => "debug",
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() {
                    check(sub, &path);
                }
                let help = sub.get_after_help().map(ToString::to_string);
                let example = help.unwrap_or_default();
                assert!(
                    example.contains(path.trim()),
                    "`{path}` has no example of itself"
                );
                assert!(
                    sub.get_about().is_some(),
                    "`{path}` says nothing about itself"
                );
            }
        }
        check(&command(), "cmdop");
    }
}
