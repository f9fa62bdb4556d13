//! `cmdop-router`: reads flags and environment, hands over to the library, reports in one line.

use std::process::ExitCode;

use clap::Parser as _;
use cmdop_router::args::{Args, Verb};
use cmdop_router::config::Settings;
use cmdop_router::serve;
use cmdop_service::{shutdown, telemetry};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cmdop-router: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let settings = Settings::load(args.flags())?;
    match args.verb {
        Verb::Check(_) => {
            println!("{}", serve::check(&settings)?);
            Ok(())
        }
        Verb::Serve(_) => {
            telemetry::install(settings.log_format);
            tokio::runtime::Runtime::new()?.block_on(async {
                serve::serve(&settings, shutdown::on_signal()?).await?;
                Ok(())
            })
        }
    }
}
