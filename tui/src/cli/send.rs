//! `cmdop send`: types into a session, as tmux's send-keys does.

use bytes::Bytes;
use cmdop_client::sessions;
use cmdop_proto::ClientId;
use cmdop_proto::limits::MAX_INPUT;

use super::context::Context;
use super::failure::Failure;

/// Type text into a session; returns once it is written
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop send build --enter make test")]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Press Enter after it
    #[arg(long)]
    enter: bool,
    /// What to type; several words are joined by spaces
    #[arg(
        required_unless_present = "enter",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    text: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let mut text = args.text.join(" ").into_bytes();
    if args.enter {
        text.push(b'\r');
    }
    let connection = context.connection()?;
    let client = ClientId::new();
    let mut data = Bytes::from(text);
    let mut seq = 0;
    while !data.is_empty() {
        let piece = data.split_to(data.len().min(MAX_INPUT));
        seq += 1;
        sessions::send(&connection, &args.session, client, seq, piece).await?;
    }
    Ok(0)
}
