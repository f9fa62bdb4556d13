//! `cmdop logout`: revokes the login at the server and forgets the profile.

use cmdop_client::oauth::Server;
use cmdop_client::{Profiles, token_store};

use super::context::Context;
use super::failure::Failure;

/// Log out: revoke the tokens, and forget the profile
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop logout --profile work")]
pub(super) struct Args {}

pub(super) async fn run(context: &Context, _args: Args) -> Result<u8, Failure> {
    let profile = context.profile()?;
    let _lock = token_store::lock(context.home(), &profile.name).await?;
    // Damaged or loose tokens are removed like others: that is what the user wants.
    let stored = token_store::load(context.home(), &profile)
        .await
        .ok()
        .flatten();
    if let Some(stored) = stored {
        let server = Server::new(&profile.control_url, &profile.trust())?;
        if let Err(error) = server.revoke(&stored.refresh_token).await {
            context.warn(&format!(
                "the server was not told, so the login there lives on until it expires: {error}"
            ));
        }
    }
    token_store::delete(context.home(), &profile).await?;
    let mut profiles = Profiles::load(context.home())?;
    profiles.remove(&profile.name);
    profiles.save(context.home())?;
    context.progress(&format!("logged out of {}", profile.name));
    Ok(0)
}
