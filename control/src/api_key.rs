//! API keys: `cmdop_live_` and 64 hexadecimal digits, exchanged for access tokens of minutes, or shown to
//! the control plane itself. Relays never see one: they check what came of the exchange.

use cmdop_proto::{Refusal, text};

use crate::plane::ControlPlane;
use crate::secret::{self, Secret};
use crate::store::{Credential, KeyError, KeyLogin, Workspace};

/// What keys begin with: a scanner of repositories finds them by it.
pub(crate) const PREFIX: &str = "cmdop_live_";

/// How much of a key is kept to tell it from others: the prefix and 8 of 64 digits.
const SHOWN: usize = PREFIX.len() + 8;

/// A new key: what is handed out once, its hash, and how it begins.
pub(crate) fn new() -> (Secret, String, String) {
    let key = Secret::random(PREFIX);
    let shown = key.expose()[..SHOWN].to_owned();
    let hash = key.hash();
    (key, hash, shown)
}

impl ControlPlane {
    /// The account for which a presented key acts, and what the key is good for.
    pub(crate) async fn key_login(
        &self,
        presented: &str,
    ) -> Result<(Workspace<'_>, KeyLogin), Refusal> {
        let hash = secret::hash(presented);
        let workspace = self.store.workspace_of(Credential::ApiKey(&hash)).await?;
        let workspace = workspace.ok_or(KeyError::Unknown)?;
        let workspace = self.store.workspace(workspace);
        match workspace.use_key(&hash, self.clock.now_ms()).await {
            Ok(login) => Ok((workspace, login)),
            Err(error) => {
                let refusal = Refusal::from(error);
                // Its beginning, as `cmdop keys` shows it, says which.
                let what = format!("API key {}", text::shown(presented, SHOWN));
                self.record_worthless(&workspace, (&what, &hash), &refusal)
                    .await?;
                Err(refusal)
            }
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let message = error.to_string();
        let another = "issue another with `cmdop keys issue`";
        match error {
            KeyError::Unknown => Refusal::denied("key-unknown", message).hint(another),
            KeyError::Revoked => Refusal::denied("key-revoked", message).hint(another),
            KeyError::Expired => Refusal::denied("key-expired", message).hint(another),
            KeyError::Disabled => Refusal::denied("account-disabled", message),
            KeyError::Ambiguous => {
                Refusal::invalid("key-ambiguous", message).hint("`cmdop keys` lists the ids")
            }
            KeyError::TooMany => Refusal::exhausted("too-many-keys", message)
                .hint("revoke those that are not needed"),
            KeyError::Store(error) => error.into(),
        }
    }
}
