//! `fs cat`: a file's bytes to stdout, as they are.

use std::ffi::OsString;
use std::io::{self, Write as _};

use super::open;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::location::{bytes, on_machine};

/// Print files to stdout, byte for byte
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs cat web-1:/var/log/syslog --offset 1M --length 64K")]
pub(in crate::cli) struct Args {
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// Begin here
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "0")]
    offset: u64,
    /// At most so much
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    length: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    for path in &args.paths {
        let (machine, path) = on_machine(path)?;
        let mut files = open(context, machine).await?;
        let mut written = Ok(());
        let mut stdout = io::stdout();
        let length = args.length.unwrap_or(u64::MAX);
        let read = files.read(&path, args.offset, length, |data| {
            written = stdout.write_all(&data);
            written.is_ok()
        });
        read.await?;
        match written.and_then(|()| stdout.flush()) {
            // A reader that closed the pipe early (`head`) is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            written => written?,
        }
    }
    Ok(0)
}
