//! `cmdop resize`: sets the size of a session's terminal.

use cmdop_client::sessions;
use cmdop_proto::Size;

use super::context::Context;
use super::failure::Failure;

/// Set the size of a session's terminal
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop resize build 120x40")]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Columns and rows
    #[arg(value_name = "COLSxROWS")]
    size: Size,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    sessions::resize(&context.connection()?, &args.session, args.size).await?;
    Ok(0)
}
