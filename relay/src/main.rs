//! `cmdop-relay`: carries live sessions between agents and clients.

use anyhow::Context as _;
use clap::Parser as _;
use cmdop_relay::cli::{Cli, Command};
use cmdop_service::{descriptors, listen, shutdown, telemetry, tls};

fn main() -> anyhow::Result<()> {
    let Command::Serve(serve) = Cli::parse().command;
    let (config, log_format) = serve.resolve()?;
    telemetry::install(log_format);
    tls::install_provider();
    descriptors::raise_limit();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
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

/// Half of the processors: the other half is the kernel's, which moves the same bytes. A worker without
/// work is no help; it wakes for each message that another one could have passed on by itself.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2))
}
