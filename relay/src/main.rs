//! `cmdop-relay`: carries live sessions between agents and clients.

use anyhow::Context as _;
use clap::Parser as _;
use cmdop_relay::cli::{Cli, Command};
use cmdop_service::{listen, shutdown, telemetry, tls};

fn main() -> anyhow::Result<()> {
    let Command::Serve(serve) = Cli::parse().command;
    let (config, log_format) = serve.resolve()?;
    telemetry::install(log_format);
    tls::install_provider();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?
        .block_on(async {
            let stop = shutdown::on_signal().context("cannot listen for signals")?;
            let running = cmdop_relay::start(config, stop).await?;
            listen::announce(running.address);
            Ok(running.wait().await?)
        })
}
