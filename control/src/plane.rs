//! What all parts of a running control plane share.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::assertion::Used;
use crate::ca::Ca;
use crate::clock::Clock;
use crate::config::Keep;
use crate::events::Hub;
use crate::meters::Meters;
use crate::oidc::Provider;
use crate::pages::PageLogins;
use crate::password::Passwords;
use crate::sealed::Sealer;
use crate::signer::Signer;
use crate::store::Store;
use crate::strikes::Strikes;
use crate::throttle::Throttle;

/// One running control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    /// The facts.
    pub store: Store,
    /// Signs tokens.
    pub signer: Signer,
    /// Seals the secrets in the database that have to be known again.
    pub sealer: Sealer,
    /// Signs certificates.
    pub ca: Ca,
    /// What time it is.
    pub clock: Clock,
    /// Counts what is done.
    pub meters: Meters,
    /// How long records are kept.
    pub keep: Keep,
    /// `https://host:port`: what stands in tokens as `iss`, and where the pages are.
    pub issuer: String,
    /// All the URLs under which this server is reached, the issuer among them.
    pub own_urls: Vec<String>,
    /// The origins of other pages that may hear events: `https://host`.
    pub allowed_origins: Vec<String>,
    /// What those who hear events share.
    pub hub: Arc<Hub>,
    /// Where programs may be answered besides on the computer of their person.
    pub redirect_uris: Vec<String>,
    /// Another provider of identity, if there is one.
    pub provider: Option<Provider>,
    /// Slows down who guesses.
    pub throttle: Throttle,
    /// Slows down who is wrong again and again.
    pub strikes: Strikes,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Client assertions that were used.
    pub assertions: Used,
    /// Who is logged in on the pages.
    pub page_logins: PageLogins,
    /// The file with the first login secret, which goes when the secret is used.
    pub owner_login: PathBuf,
    /// Wakes what does schedules: somebody changed one here.
    pub schedules_changed: Notify,
    /// When to stop: what waits for changes gives up then.
    pub stop: CancellationToken,
}

/// As handlers hold it.
pub(crate) type Shared = Arc<ControlPlane>;
