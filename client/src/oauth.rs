//! The token endpoint: device flow (RFC 8628), refresh (RFC 6749 §6), revocation (RFC 7009), and the
//! grants of machines (RFC 7523) and of `cmdop up` (a secret in a 0600 file).
//!
//! It speaks HTTP and keeps nothing: see `tokens` for that.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cmdop_proto::{Refusal, text};
use serde::Deserialize;

use crate::clock::{Skew, now_ms};
use crate::dial::{self, Trust};
use crate::token_store::{Secret, Stored};

/// The public client that every `cmdop` is.
pub const CLIENT_ID: &str = "cmdop-cli";

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const LOCAL_SECRET_GRANT: &str = "urn:cmdop:params:oauth:grant-type:local-secret";
const EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const API_KEY_TYPE: &str = "urn:cmdop:params:oauth:token-type:api-key";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One request to the token endpoint.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A token response is a few KiB; more is not read.
const MAX_RESPONSE: usize = 64 << 10;

/// RFC 8628 §3.2: the polling interval where the server names none, and what `slow_down` adds.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Why no token was given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client could be made for this server.
    #[error("{0}")]
    Dial(#[from] dial::Error),
    /// The control plane does not answer.
    #[error("cannot reach the control plane {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Its certificate is not signed by the CA of the profile.
    #[error("{url} is not a server that we trust: {reason}")]
    Untrusted {
        /// Where.
        url: String,
        /// What TLS said.
        reason: String,
    },
    /// It answers, but not as a control plane does.
    #[error("{url} does not answer as a cmdop control plane: {reason}")]
    NotControl {
        /// Where.
        url: String,
        /// What was odd.
        reason: String,
    },
    /// It refused (RFC 6749 §5.2).
    #[error("{description}")]
    Refused {
        /// The code of the RFC, for example `invalid_grant`.
        code: String,
        /// A sentence for people.
        description: String,
    },
}

impl Error {
    /// The token that was presented is void: only a new login helps.
    pub fn is_void(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "invalid_grant")
    }

    /// Whether the control plane simply was not reached.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn refusal(&self) -> Refusal {
        let message = self.to_string();
        match self {
            Self::Dial(error) => error.into(),
            Self::Unreachable { .. } => Refusal::unavailable("unreachable", message)
                .hint("check the network and that the server runs; `cmdop status` tells"),
            Self::Untrusted { .. } => Refusal::denied("untrusted-server", message).hint(
                "give the server's CA with `cmdop login URL --ca FILE` or `--ca-fingerprint HEX`",
            ),
            Self::NotControl { .. } => {
                Refusal::invalid("bad-request", message).hint("check the URL")
            }
            Self::Refused { code, .. } if code == "expired_token" => {
                Refusal::exhausted("timeout", message).hint("run `cmdop login` again")
            }
            Self::Refused { .. } => {
                Refusal::denied("not-logged-in", message).hint("run `cmdop login`")
            }
        }
    }
}

/// What the token endpoint gave.
#[derive(Clone, Debug, Deserialize)]
pub struct Grant {
    /// The bearer token.
    pub access_token: Secret,
    /// Seconds until it ends.
    #[serde(default)]
    pub expires_in: u64,
    /// Absent for machines and relays.
    #[serde(default)]
    pub refresh_token: Option<Secret>,
    /// What it is good for.
    #[serde(default)]
    pub scope: String,
    /// The server's clock, milliseconds since the epoch; 0 if it does not tell.
    #[serde(default)]
    pub server_time_ms: u64,
}

impl Grant {
    /// How far our clock is off, if it matters.
    pub fn skew(&self) -> Option<Skew> {
        Skew::between(now_ms(), self.server_time_ms)
    }

    /// As it is stored. The end is reckoned by our own clock from now: another clock's error does not matter.
    pub fn stored(self, previous_refresh: Secret) -> Stored {
        Stored {
            refresh_token: self.refresh_token.unwrap_or(previous_refresh),
            access_token: self.access_token,
            access_expires_at_ms: now_ms().saturating_add(self.expires_in.saturating_mul(1000)),
        }
    }
}

/// What a person must do to log in (RFC 8628 §3.2).
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceAuthorization {
    /// What we poll with.
    pub device_code: Secret,
    /// What the person types. Stripped of controls.
    pub user_code: String,
    /// Where. Stripped of controls.
    pub verification_uri: String,
    /// The same with the code in it; may be absent.
    #[serde(default)]
    pub verification_uri_complete: Option<String>,
    /// Seconds until the code is void.
    pub expires_in: u64,
    /// Seconds between polls.
    #[serde(default)]
    pub interval: Option<u64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A control plane's OAuth endpoints.
#[derive(Clone, Debug)]
pub struct Server {
    base: String,
    client: reqwest::Client,
}

impl Server {
    /// Prepares a client that believes only in `trust`. Nothing is sent yet.
    pub fn new(control_url: &str, trust: &Trust) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(dial::tls_config(trust)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(dial::CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| dial::Error::Ca(error.to_string()))?;
        Ok(Self {
            base: control_url.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// Starts a device flow.
    pub async fn device_authorization(&self) -> Result<DeviceAuthorization, Error> {
        let body = self
            .post("/oauth/device_authorization", &[("client_id", CLIENT_ID)])
            .await?;
        let mut device: DeviceAuthorization = self.parse(&body)?;
        device.user_code = text::shown(&device.user_code, 64);
        device.verification_uri = text::shown(&device.verification_uri, 512);
        device.verification_uri_complete = device
            .verification_uri_complete
            .map(|uri| text::shown(&uri, 512));
        Ok(device)
    }

    /// Polls until the person has agreed, has refused, or the code is void.
    pub async fn device_token(&self, device: &DeviceAuthorization) -> Result<Grant, Error> {
        let mut interval = device.interval.map_or(POLL_INTERVAL, Duration::from_secs);
        let expired = tokio::time::sleep(Duration::from_secs(device.expires_in));
        tokio::pin!(expired);
        loop {
            // Cancel-safe: both only wait.
            tokio::select! {
                () = &mut expired => return Err(Error::Refused {
                    code: "expired_token".into(),
                    description: "the login code ran out before anybody confirmed it".into(),
                }),
                () = tokio::time::sleep(interval) => {}
            }
            let granted = self
                .token(&[
                    ("grant_type", DEVICE_GRANT),
                    ("client_id", CLIENT_ID),
                    ("device_code", device.device_code.expose()),
                ])
                .await;
            match granted {
                Err(Error::Refused { code, .. }) if code == "authorization_pending" => {}
                Err(Error::Refused { code, .. }) if code == "slow_down" => {
                    interval += POLL_INTERVAL;
                }
                // RFC 8628 §3.5: a poll that did not arrive is repeated, more slowly.
                Err(Error::Unreachable { .. }) => interval = interval.saturating_mul(2),
                other => return other,
            }
        }
    }

    /// Trades a refresh token for new tokens; the old one is void from then on.
    pub async fn refresh(&self, token: &Secret) -> Result<Grant, Error> {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT_ID),
            ("refresh_token", token.expose()),
        ])
        .await
    }

    /// Trades the one-time secret that a control plane left in a 0600 file.
    pub async fn local_secret(&self, secret: &Secret) -> Result<Grant, Error> {
        self.token(&[
            ("grant_type", LOCAL_SECRET_GRANT),
            ("client_id", CLIENT_ID),
            ("secret", secret.expose().trim()),
        ])
        .await
    }

    /// Trades a JWT that a machine or relay signed with its own key (RFC 7523) for its token.
    pub async fn client_credentials(&self, assertion: &str) -> Result<Grant, Error> {
        self.token(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ])
        .await
    }

    /// Trades an API key for an access token of minutes (RFC 8693).
    pub async fn exchange_key(&self, key: &Secret) -> Result<Grant, Error> {
        self.token(&[
            ("grant_type", EXCHANGE_GRANT),
            ("subject_token", key.expose().trim()),
            ("subject_token_type", API_KEY_TYPE),
        ])
        .await
    }

    /// Ends a login: its refresh tokens are void from now on.
    pub async fn revoke(&self, token: &Secret) -> Result<(), Error> {
        let form = [
            ("token", token.expose()),
            ("token_type_hint", "refresh_token"),
            ("client_id", CLIENT_ID),
        ];
        self.post("/oauth/revoke", &form).await.map(drop)
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Grant, Error> {
        let body = self.post("/oauth/token", form).await?;
        self.parse(&body)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|_| Error::NotControl {
            url: self.base.clone(),
            reason: "its answer is not what RFC 6749 and RFC 8628 say".into(),
        })
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let url = format!("{}{path}", self.base);
        let sent = self.client.post(&url).form(form).send().await;
        let mut response = sent.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error))?
        {
            if body.len() + chunk.len() > MAX_RESPONSE {
                return Err(self.odd("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => Err(Error::Refused {
                description: if refused.error_description.is_empty() {
                    format!(
                        "the control plane refused: {}",
                        text::shown(&refused.error, 64)
                    )
                } else {
                    text::shown(&refused.error_description, 512)
                },
                code: text::shown(&refused.error, 64),
            }),
            Err(_) if status.is_server_error() => Err(Error::Unreachable {
                url: self.base.clone(),
                reason: format!("it answered {status}"),
            }),
            Err(_) => Err(self.odd(&format!("it answered {status} to {path}"))),
        }
    }

    fn odd(&self, reason: &str) -> Error {
        Error::NotControl {
            url: self.base.clone(),
            reason: reason.to_owned(),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        let url = self.base.clone();
        if error.is_builder() {
            return dial::Error::Address { url }.into();
        }
        if error.is_timeout() {
            return Error::Unreachable {
                url,
                reason: "it did not answer in time".into(),
            };
        }
        let mut cause: &(dyn std::error::Error + 'static) = error;
        loop {
            if let Some(tls) = tls_error(cause) {
                return Error::Untrusted { url, reason: tls };
            }
            match cause.source() {
                Some(next) => cause = next,
                None => break,
            }
        }
        Error::Unreachable {
            url,
            reason: cause.to_string(),
        }
    }
}

/// rustls puts its error inside an io::Error, perhaps inside another, and none names it as its source.
fn tls_error(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = cause;
    loop {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(error.to_string());
        }
        cause = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}
