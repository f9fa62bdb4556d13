//! The relay's own dealings with the control plane: it enrols once, then follows. Never on behalf of
//! a caller: nothing that an agent or a client does waits for what is in here.

mod enrol;
mod follow;
pub(crate) mod token;

use std::net::SocketAddr;

use cmdop_service::data_dir::DataDir;
use cmdop_service::private_file;

pub use enrol::EnrolError;
pub(crate) use enrol::{Identity, identity, listen_address};
pub(crate) use follow::follow;
pub(crate) use token::TokenError;

use crate::directory::Directory;

/// What was last heard, so that a relay serves also while its control plane is away.
const CACHE: &str = "directory.json";

/// Starts from what was kept on disk, if anything usable was.
pub(crate) fn restore(directory: &Directory, data_dir: &DataDir) {
    let path = data_dir.join(CACHE);
    let text = match private_file::read(&path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return,
        Err(error) => {
            tracing::warn!(%error, "what the control plane last told is not used");
            return;
        }
    };
    let restored = serde_json::from_str(&text)
        .map_err(|error| error.to_string())
        .and_then(|snapshot| {
            directory
                .restore(snapshot)
                .map_err(|refusal| refusal.message)
        });
    if let Err(error) = restored {
        tracing::warn!(path = %path.display(), error, "what the control plane last told is not readable; waiting for it anew");
    }
}

fn default_advertise(bound: SocketAddr) -> String {
    format!("https://{bound}")
}
