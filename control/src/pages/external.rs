//! `/login/external`: who has an account elsewhere logs in there, and comes back with the answer. It is the first factor
//! and no more, and good for nobody whom an administrator has not named.
//!
//! What has to fit when the browser comes back travels with it, sealed for this browser: any control plane that
//! shares the keys can take the answer.

use axum::extract::{Extension, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::destination::{Destination, Wanted};
use super::entry::{self, Way};
use super::html::{escape, page, problem, redirect, with_cookie};
use super::session::{Browser, PageLogin};
use super::visitor::{failed, slow};
use crate::oidc::{Identity, Provider, Request};
use crate::plane::{ControlPlane, Shared};
use crate::secret;
use crate::store::{Arrived, Outcome};
use crate::throttle::{STRANGER, neighbourhood};

/// Where it begins.
pub(super) const PAGE: &str = "/login/external";

/// Where the answer comes.
const CALLBACK: &str = "/login/external/callback";

/// What is sealed is sealed for this.
const SEALED_AS: &str = "external-login";

/// How long a person may take at the provider.
const LASTS_S: i64 = 10 * 60;

/// The longest way on that travels through another site; a longer one is left off.
const MAX_WAY: usize = 2 << 10;

/// What travels.
#[derive(Serialize, Deserialize)]
struct Carried {
    nonce: String,
    verifier: String,
    user_code: String,
    next: String,
    until_s: i64,
}

/// What comes back (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Deserialize)]
pub(super) struct Returned {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Why nobody came in.
enum Failure {
    /// It is said in a sentence.
    Said(StatusCode, &'static str),
    /// The cause is in the log.
    Logged,
}

const STALE: Failure = Failure::Said(
    StatusCode::FORBIDDEN,
    "This answer is too old, or belongs to another browser. Please log in again.",
);

/// The link that the login page has, if there is a provider.
pub(super) fn link(plane: &ControlPlane, to: &Destination) -> String {
    let Some(provider) = &plane.provider else {
        return String::new();
    };
    format!(
        "<p><a href=\"{}\">Log in with {}</a></p>\n",
        escape(&to.through(PAGE)),
        escape(provider.name())
    )
}

/// Off to the provider.
pub(super) async fn leave(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let provider = match provider(&plane, peer) {
        Ok(provider) => provider,
        Err(answer) => return *answer,
    };
    let browser = Browser::of(&headers).unwrap_or_else(Browser::new);
    let carried = Carried::new(wanted, plane.clock.now_s());
    let Ok(plain) = serde_json::to_vec(&carried) else {
        return failed(&"what travels cannot be written down");
    };
    let state = match plane.sealer.seal(SEALED_AS, &browser.hash(), &plain) {
        Ok(state) => state,
        Err(refusal) => return failed(&refusal),
    };
    let back = callback(&plane);
    match provider
        .authorization_url(carried.request(&back), &state)
        .await
    {
        Ok(url) => with_cookie(redirect(url.as_str()), &browser),
        Err(error) => unreachable_provider(&error),
    }
}

/// Back again.
pub(super) async fn arrive(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Response {
    let provider = match provider(&plane, peer) {
        Ok(provider) => provider,
        Err(answer) => return *answer,
    };
    let (carried, code) = match opened(&plane, provider, &headers, returned) {
        Ok(opened) => opened,
        Err(failure) => return failure.told(),
    };
    let back = callback(&plane);
    let now_s = plane.clock.now_s();
    let identity = provider
        .identity(carried.request(&back), &code, now_s)
        .await;
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => return unreachable_provider(&error),
    };
    match login_of(&plane, provider, &identity, peer).await {
        Ok(login) => {
            let to = Destination::read(&carried.user_code, &carried.next);
            entry::after_first(&plane, login, peer, Way::External, &to)
                .await
                .unwrap_or_else(|error| failed(&error))
        }
        Err(failure) => failure.told(),
    }
}

impl Carried {
    fn new(wanted: Wanted, now_s: i64) -> Self {
        let to = Destination::from(wanted);
        let path = to.path();
        let (user_code, next) = match &to {
            Destination::Device(code) => (code.clone().unwrap_or_default(), String::new()),
            _ if path.len() <= MAX_WAY => (String::new(), path),
            _ => (String::new(), String::new()),
        };
        Self {
            nonce: secret::random_hex(),
            verifier: secret::random_hex(),
            user_code,
            next,
            until_s: now_s + LASTS_S,
        }
    }

    fn request<'a>(&'a self, redirect_uri: &'a str) -> Request<'a> {
        Request {
            redirect_uri,
            nonce: &self.nonce,
            verifier: &self.verifier,
        }
    }
}

impl Failure {
    fn told(self) -> Response {
        match self {
            Self::Said(status, sentence) => said(status, sentence),
            Self::Logged => failed(&"somebody who came from elsewhere was not let in"),
        }
    }
}

fn callback(plane: &ControlPlane) -> String {
    format!("{}{CALLBACK}", plane.issuer)
}

fn said(status: StatusCode, sentence: &str) -> Response {
    let again = "<p><a href=\"/login\">Log in</a></p>\n";
    page(
        status,
        "Not logged in",
        &format!("{}{again}", problem(sentence)),
    )
}

/// The other provider, for who does not come too often.
fn provider(plane: &ControlPlane, peer: Peer) -> Result<&Provider, Box<Response>> {
    let Some(provider) = &plane.provider else {
        let nowhere = said(
            StatusCode::NOT_FOUND,
            "There is no other way to log in here.",
        );
        return Err(Box::new(nowhere));
    };
    let bucket = format!("external/{}", neighbourhood(peer.0.ip()));
    let taken = plane.throttle.take(bucket, STRANGER, Instant::now());
    match taken {
        Ok(()) => Ok(provider),
        Err(wait) => Err(Box::new(said(StatusCode::TOO_MANY_REQUESTS, &slow(wait)))),
    }
}

fn unreachable_provider(error: &crate::oidc::Error) -> Response {
    tracing::warn!(%error, "a login at the identity provider failed");
    let sentence =
        "The other provider did not say who you are; the control plane's log has the cause.";
    said(StatusCode::BAD_GATEWAY, sentence)
}

/// What we sent along, and the code that came with it.
fn opened(
    plane: &ControlPlane,
    provider: &Provider,
    headers: &HeaderMap,
    returned: Returned,
) -> Result<(Carried, String), Failure> {
    let browser = Browser::of(headers).ok_or(STALE)?;
    let state = returned.state.ok_or(STALE)?;
    let plain = plane.sealer.open(SEALED_AS, &browser.hash(), &state);
    let plain = plain.map_err(|_| STALE)?;
    let carried: Carried = serde_json::from_slice(&plain).map_err(|_| STALE)?;
    let is_over = plane.clock.now_s() >= carried.until_s;
    if is_over || returned.iss.is_some_and(|iss| iss != provider.issuer()) {
        return Err(STALE);
    }
    match (returned.error, returned.code) {
        (None, Some(code)) => Ok((carried, code)),
        _ => Err(Failure::Said(
            StatusCode::FORBIDDEN,
            "The other provider did not let you in.",
        )),
    }
}

async fn login_of(
    plane: &ControlPlane,
    provider: &Provider,
    identity: &Identity,
    peer: Peer,
) -> Result<PageLogin, Failure> {
    let arrived = Arrived {
        issuer: provider.issuer(),
        subject: &identity.subject,
        email: identity.email.as_deref(),
    };
    let logged = |error: crate::store::Error| {
        tracing::error!(%error, "the database failed");
        Failure::Logged
    };
    let known = plane.store.account_of(arrived, plane.clock.now_ms()).await;
    let unknown = Failure::Said(
        StatusCode::FORBIDDEN,
        "Nobody here was told of you. An administrator lets you in with: \
         cmdop-control admin name-identity NAME --issuer URL --email ADDRESS",
    );
    let Some(known) = known.map_err(logged)? else {
        let recorded =
            entry::record(plane, entry::nobody(), peer, Way::External, Outcome::Denied).await;
        recorded.map_err(logged)?;
        return Err(unknown);
    };
    let workspace = plane.store.workspace(known.workspace);
    let account = workspace.account(known.account).await.map_err(logged)?;
    let login = PageLogin {
        workspace: known.workspace,
        account: known.account,
        epoch: account.as_ref().map_or(0, |account| account.login_epoch),
    };
    if account.is_some_and(|account| !account.is_disabled) {
        return Ok(login);
    }
    let recorded = entry::record(plane, login, peer, Way::External, Outcome::Denied).await;
    recorded.map_err(logged)?;
    Err(Failure::Said(
        StatusCode::FORBIDDEN,
        "Your account is disabled. Please ask an administrator.",
    ))
}
