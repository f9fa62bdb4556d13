//! `cmdop signal`: signals the foreground process group of a session.

use cmdop_client::sessions;

use super::context::Context;
use super::failure::Failure;

/// Send a signal to what runs in the foreground of a session
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop signal build INT")]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Its name or number
    #[arg(value_parser = super::values::signal)]
    signal: u32,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    sessions::signal(&context.connection()?, &args.session, args.signal).await?;
    Ok(0)
}
