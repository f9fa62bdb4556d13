//! Starts the agent's command line.

use std::process::ExitCode;

use clap::Parser as _;
use cmdop_daemon::{cli::Cli, holder};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment: Vec<_> = std::env::vars_os().collect();
    if cli.runs_an_agent() && !holder::is_worker(&environment) {
        return holder::main();
    }
    holder::inherit(&environment);
    // One thread: every task gives way after a piece of work of a millisecond, and handing a key from
    // one thread to another would cost more than the piece.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(cli.run(environment)),
        Err(error) => {
            eprintln!("cmdopd: cannot start: {error}");
            return ExitCode::from(70);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cmdopd: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
