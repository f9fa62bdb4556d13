//! The relay's own token: it proves with its key who it is (RFC 7523) and gets one for minutes.

use std::time::Duration;

use cmdop_client::dial::{self, Trust};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Identity;

/// The control plane has this long for each of the two answers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An assertion is used at once; this covers clocks that differ a little.
const ASSERTION_LIFE_S: u64 = 120;

const METADATA: &str = "/.well-known/oauth-authorization-server";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why no token came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the control plane does not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the relay's key cannot sign: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    #[error("the control plane refused a token: {0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct ServerMetadata {
    issuer: String,
    token_endpoint: String,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OauthError {
    error: String,
    error_description: String,
}

/// A fresh token.
pub(crate) async fn fetch(identity: &Identity) -> Result<String, TokenError> {
    let tls = dial::tls_config(&Trust::Ca(identity.ca_pem.clone()))?;
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(TIMEOUT)
        .build()?;
    let metadata = http.get(format!(
        "{}{METADATA}",
        identity.control_url.trim_end_matches('/')
    ));
    let metadata: ServerMetadata = metadata.send().await?.error_for_status()?.json().await?;
    let assertion = assertion(identity, &metadata.issuer)?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", &assertion),
    ];
    let response = http
        .post(&metadata.token_endpoint)
        .form(&form)
        .send()
        .await?;
    if response.status().is_success() {
        return Ok(response.json::<Granted>().await?.access_token);
    }
    let status = response.status();
    let error: OauthError = response.json().await.unwrap_or_default();
    let said = format!("{status} {} {}", error.error, error.error_description);
    Err(TokenError::Refused(cmdop_proto::text::shown(&said, 512)))
}

fn assertion(identity: &Identity, issuer: &str) -> Result<String, TokenError> {
    let id = identity.relay_id.to_string();
    let now = cmdop_service::now_ms() / 1000;
    let audience = format!("{}/oauth/token", issuer.trim_end_matches('/'));
    let claims = Assertion {
        iss: &id,
        sub: &id,
        aud: &audience,
        iat: now,
        exp: now + ASSERTION_LIFE_S,
        jti: Uuid::new_v4().to_string(),
    };
    let key = EncodingKey::from_ed_pem(identity.key_pem.as_bytes())?;
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        &claims,
        &key,
    )?)
}
