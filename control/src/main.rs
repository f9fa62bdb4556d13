//! `cmdop-control`: reads flags and environment, hands over to the library, reports in one line.

use std::process::ExitCode;

use clap::Parser as _;
use cmdop_control::args::{Args, Verb};
use cmdop_control::{Config, admin, backup};
use cmdop_service::{descriptors, listen, shutdown, telemetry};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cmdop-control: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match args.verb {
            Verb::Serve(flags) => {
                let (config, log_format) = Config::load(&flags, std::env::var("USER").ok())?;
                telemetry::install(log_format);
                descriptors::raise_limit();
                let running = cmdop_control::serve(config, shutdown::on_signal()?).await?;
                listen::announce(running.address);
                running.ended().await?;
            }
            Verb::Migrate(place) => admin::migrate(&place).await?,
            Verb::Backup(args) => backup::cli::back_up(&args).await?,
            Verb::Restore(args) => backup::cli::restore(&args).await?,
            Verb::Admin(args) => admin::run(args).await?,
        }
        Ok(())
    })
}
