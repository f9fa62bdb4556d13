//! The machine's token: got for an assertion signed with the machine's key (RFC 7523), kept on disk,
//! renewed before it expires.
//!
//! Relays need only the token: while the control plane is away the agent goes on with the one it
//! has, and with the one on disk after a restart.

mod assertion;
mod keeper;

use std::path::Path;

use cmdop_service::private_file;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

pub(crate) use keeper::keep;

/// A token and when it is void, by this machine's clock.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    text: String,
    got_ms: u64,
    expires_ms: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// When to get the next one: with a third of its life left to try again in.
    fn renew_at_ms(&self) -> u64 {
        let life = self.expires_ms.saturating_sub(self.got_ms);
        self.got_ms + life / 3 * 2
    }

    fn load(path: &Path) -> Option<Self> {
        match private_file::read(path) {
            Ok(text) => serde_json::from_str(&text).ok(),
            Err(error) if error.is_missing() => None,
            Err(error) => {
                tracing::warn!(%error, "not using the saved token");
                None
            }
        }
    }

    fn save(&self, path: &Path) {
        let json = serde_json::to_vec(self).expect("text and numbers are JSON");
        if let Err(error) = private_file::write(path, &json) {
            tracing::warn!(%error, "cannot save the token: a restart will need the control plane");
        }
    }
}

/// The present token, for all who make calls.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    present: watch::Receiver<Option<Token>>,
    trouble: watch::Receiver<String>,
    renew: mpsc::Sender<()>,
}

impl Tokens {
    /// The text of the present token.
    pub(crate) fn current(&self) -> Option<String> {
        self.present
            .borrow()
            .as_ref()
            .map(|token| token.text.clone())
    }

    /// Why the last attempt to get a token failed; changes with each one that does.
    pub(crate) fn trouble(&self) -> watch::Receiver<String> {
        self.trouble.clone()
    }

    /// Asks for a new token and waits until there is another than `seen`. A server has just refused
    /// that one, whatever our clock says.
    pub(crate) async fn renewed_after(&self, seen: Option<String>) {
        let mut present = self.present.clone();
        let is_other = |token: &Option<Token>| {
            token
                .as_ref()
                .is_some_and(|token| seen.as_ref() != Some(&token.text))
        };
        if is_other(&present.borrow()) {
            return;
        }
        // Full: somebody has asked already.
        let _ = self.renew.try_send(());
        // An error: the agent is stopping, and so will the caller.
        let _ = present.wait_for(is_other).await;
    }
}

/// Leaves a token on disk, as a control plane that is gone now would have.
#[cfg(test)]
pub(crate) fn save_for_test(data_dir: &Path, text: &str) {
    let now = cmdop_service::now_ms();
    let token = Token {
        text: text.into(),
        got_ms: now,
        expires_ms: now + 900_000,
    };
    token.save(&data_dir.join(crate::identity::TOKEN_FILE));
}
