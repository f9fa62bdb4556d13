//! Another provider of identity (OpenID Connect Core 1.0, Discovery 1.0), as its client: authorization code with PKCE and
//! nonce. It says who somebody is; whether they have an account here is decided elsewhere, and so is the second factor.
//!
//! Everything that it answers is bounded and believed only as far as its signature goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use reqwest::{RequestBuilder, Response, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use url::Url;

use crate::secret::Secret;

mod id_token;
mod trust;

pub(crate) use id_token::Identity;

/// What one answer of the provider may take.
const MAX_ANSWER: usize = 256 << 10;

/// How long a person waits for the provider.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what it published is believed.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// A token of an unknown key makes us look again, but not more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What an administrator configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its address, exactly as its tokens say it.
    pub issuer: String,
    /// What people are shown of it.
    pub name: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// The CA that its certificate comes from, PEM; none: the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why the provider is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not reached, or refused.
    #[error("{what} of the identity provider: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What was said.
        reason: String,
    },
    /// What it published makes no sense.
    #[error("the identity provider published something unusable: {0}")]
    Unusable(&'static str),
    /// Its ID token is not to be believed.
    #[error("the identity provider's ID token is refused: {0}")]
    Token(#[from] id_token::Wrong),
    /// The CA file.
    #[error("the identity provider's CA cannot be used: {0}")]
    Ca(String),
}

/// What it says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

struct Known {
    authorization_endpoint: Url,
    token_endpoint: Url,
    keys: JwkSet,
    since: Instant,
}

/// Its keys as they are published: kinds that nobody here knows are passed over (RFC 7517, section 5).
#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

impl Published {
    fn known(self) -> JwkSet {
        let keys = self.keys.into_iter();
        JwkSet {
            keys: keys
                .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
                .collect(),
        }
    }
}

/// The answer of its token endpoint.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// The provider.
pub(crate) struct Provider {
    settings: Settings,
    http: reqwest::Client,
    known: Mutex<Option<Arc<Known>>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.settings.issuer)
    }
}

/// What a browser is sent with, and what has to fit when it comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Where it comes back to.
    pub redirect_uri: &'a str,
    /// What the ID token must say.
    pub nonce: &'a str,
    /// What only we know (RFC 7636).
    pub verifier: &'a str,
}

impl Provider {
    /// Nothing is asked of it yet: it may be away while we start.
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let tls = trust::tls(settings.ca_file.as_deref()).map_err(Error::Ca)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Error::Ca(error.to_string()))?;
        Ok(Self {
            settings,
            http,
            known: Mutex::default(),
        })
    }

    /// What people are shown of it.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its address.
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Where the browser is sent.
    pub(crate) async fn authorization_url(
        &self,
        request: Request<'_>,
        state: &str,
    ) -> Result<Url, Error> {
        let known = self.known(FRESH).await?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(request.verifier));
        let mut url = known.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("scope", "openid email"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", request.redirect_uri),
            ("state", state),
            ("nonce", request.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    /// Who came back with `code`.
    pub(crate) async fn identity(
        &self,
        request: Request<'_>,
        code: &str,
        now_s: i64,
    ) -> Result<Identity, Error> {
        let known = self.known(FRESH).await?;
        let asked = self
            .http
            .post(known.token_endpoint.clone())
            .header("authorization", self.basic())
            .form(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", request.redirect_uri),
                ("client_id", &self.settings.client_id),
                ("code_verifier", request.verifier),
            ]);
        let tokens: Tokens = fetch("the token endpoint", asked).await?;
        let expected = id_token::Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: request.nonce,
            now_s,
        };
        match expected.verify(&tokens.id_token, &known.keys) {
            // It may have a new key since we looked.
            Err(id_token::Wrong::UnknownKey) => {
                let known = self.known(LOOK_AGAIN).await?;
                Ok(expected.verify(&tokens.id_token, &known.keys)?)
            }
            verified => Ok(verified?),
        }
    }

    /// RFC 6749, section 2.3.1: both parts are encoded as in a form first.
    fn basic(&self) -> String {
        let encoded = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let (id, secret) = (&self.settings.client_id, &self.settings.client_secret);
        let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    /// What it published, not older than `age`.
    async fn known(&self, age: Duration) -> Result<Arc<Known>, Error> {
        let kept = self.kept();
        if let Some(known) = kept.filter(|known| known.since.elapsed() < age) {
            return Ok(known);
        }
        let at = format!(
            "{}/.well-known/openid-configuration",
            self.settings.issuer.trim_end_matches('/')
        );
        let metadata: Metadata = fetch("the metadata", self.http.get(at)).await?;
        if metadata.issuer != self.settings.issuer {
            return Err(Error::Unusable("its metadata names another issuer"));
        }
        let published: Published = fetch("the keys", self.http.get(metadata.jwks_uri)).await?;
        let known = Arc::new(Known {
            authorization_endpoint: endpoint(&metadata.authorization_endpoint)?,
            token_endpoint: endpoint(&metadata.token_endpoint)?,
            keys: published.known(),
            since: Instant::now(),
        });
        self.keep(known.clone());
        Ok(known)
    }

    fn kept(&self) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn keep(&self, new: Arc<Known>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(new);
    }
}

/// An address that it published: over TLS, as its own.
fn endpoint(text: &str) -> Result<Url, Error> {
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https")
        .ok_or(Error::Unusable("an address in its metadata is not https"))
}

/// One answer as JSON, if it is a good and a short one.
async fn fetch<T: DeserializeOwned>(
    what: &'static str,
    request: RequestBuilder,
) -> Result<T, Error> {
    let refused = |reason: String| Error::Refused {
        what,
        reason: cmdop_proto::text::shown(&reason, 200),
    };
    let answer = request.send().await;
    let answer = answer.map_err(|error| refused(error.without_url().to_string()))?;
    let status = answer.status();
    let body = read(answer).await.map_err(refused)?;
    if !status.is_success() {
        return Err(refused(format!("it answered {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| refused(error.to_string()))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("its answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
