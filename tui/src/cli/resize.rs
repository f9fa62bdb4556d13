//! `cmdop resize`: sets the size of a session's terminal.

use cmdop_client::sessions;
use cmdop_proto::Size;

use super::context::Context;
use super::failure::Failure;
use super::values::SizePolicy;

/// Set the size of a session's terminal, or whose terminal decides it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop resize build 120x40\n  cmdop resize build --policy smallest\n\n\
                  Observers' terminals never count. Where the keyboard is exclusive, `latest` is its holder."
)]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Columns and rows
    #[arg(value_name = "COLSxROWS", required_unless_present = "policy")]
    size: Option<Size>,
    /// Whose terminal decides from now on
    #[arg(long, value_enum)]
    policy: Option<SizePolicy>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let policy = args.policy.map(Into::into);
    sessions::resize(&context.connection()?, &args.session, args.size, policy).await?;
    Ok(0)
}
