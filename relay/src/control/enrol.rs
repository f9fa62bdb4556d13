//! Joining a control plane, once: keys are made here, a certificate comes from there. What is kept
//! in the data directory is all that later starts need.

use std::net::SocketAddr;
use std::path::PathBuf;

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::enroll_service_client::EnrollServiceClient;
use cmdop_proto::{Refusal, RelayId, v1};
use cmdop_service::data_dir::DataDir;
use cmdop_service::private_file;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use serde::{Deserialize, Serialize};

use super::default_advertise;
use crate::config::Config;

/// Everything that was agreed at enrolment, keys included: one file, written in one step.
const IDENTITY: &str = "identity.json";

/// What makes this relay this relay.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) relay_id: RelayId,
    pub(crate) control_url: String,
    pub(crate) advertise_url: String,
    /// Nobody chose the address: it is where the relay happened to listen.
    is_default_advertise: bool,
    pub(crate) ca_pem: String,
    /// The chain: its own, then the CA's.
    pub(crate) certificate_pem: String,
    pub(crate) tls_key_pem: String,
    /// Ed25519; proves who asks for a token.
    pub(crate) key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.relay_id).finish()
    }
}

/// Why a relay has no identity.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// The identity file is damaged.
    #[error(
        "the relay's identity {path} is not readable: {reason}; restore it from a backup, or \
         remove it and enrol this relay again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// The first start needs more.
    #[error(
        "this relay has not enrolled yet: give {missing}; `cmdop-control admin relay-token` \
         makes a token"
    )]
    Missing {
        /// Which flag.
        missing: &'static str,
    },
    /// The token is not one for relays.
    #[error("the enrolment token is not one for relays (`cmdop_relay_…`)")]
    Token,
    /// No connection.
    #[error("cannot enrol at the control plane: {0}")]
    Dial(#[from] dial::Error),
    /// The control plane said no.
    #[error("the control plane refused to enrol this relay: {0}{hint}", hint = hint(.0))]
    Refused(Refusal),
    /// A key or a request for a certificate could not be made.
    #[error("cannot make keys for this relay: {0}")]
    Keys(#[from] rcgen::Error),
    /// An address is not of the form that it must have.
    #[error("`{0}` is not an address of the form https://host:port")]
    Address(String),
}

/// What to do about it, as the end of a sentence.
fn hint(refusal: &Refusal) -> String {
    if refusal.hint.is_empty() {
        String::new()
    } else {
        format!("; {}", refusal.hint)
    }
}

/// Where to listen: as configured, but a port that was free by chance once is asked for again,
/// because agents know it.
pub(crate) fn listen_address(
    config: &Config,
    data_dir: &DataDir,
) -> Result<SocketAddr, EnrolError> {
    let mut address = config.listen;
    if address.port() == 0
        && let Some(identity) = read(data_dir)?
        && identity.is_default_advertise
        && let Some((_, port)) = identity.advertise_url.rsplit_once(':')
    {
        address.set_port(port.parse().unwrap_or(0));
    }
    Ok(address)
}

/// The identity from the data directory; a new one at the first start.
pub(crate) async fn identity(
    config: &Config,
    data_dir: &DataDir,
    bound: SocketAddr,
) -> Result<Identity, EnrolError> {
    if let Some(identity) = read(data_dir)? {
        warn_if_different(config, &identity);
        return Ok(identity);
    }
    let identity = enrol(config, bound).await?;
    let text = serde_json::to_vec_pretty(&identity).expect("an identity is plain strings");
    private_file::write(&data_dir.join(IDENTITY), &text)?;
    tracing::info!(relay = %identity.relay_id, control = identity.control_url, "enrolled");
    Ok(identity)
}

fn read(data_dir: &DataDir) -> Result<Option<Identity>, EnrolError> {
    let path = data_dir.join(IDENTITY);
    match private_file::read(&path) {
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
        Ok(text) => match serde_json::from_str(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(reason) => Err(EnrolError::Damaged { path, reason }),
        },
    }
}

fn warn_if_different(config: &Config, identity: &Identity) {
    let differs = |wanted: &Option<String>, has: &str| wanted.as_deref().is_some_and(|w| w != has);
    if differs(&config.control, &identity.control_url) {
        tracing::warn!(
            enrolled_at = identity.control_url,
            "--control names another control plane than the one that this relay enrolled at; \
             to move it, use another --data-dir"
        );
    }
    if differs(&config.advertise, &identity.advertise_url) {
        tracing::warn!(
            enrolled_as = identity.advertise_url,
            "--advertise differs from the address that this relay enrolled with; agents and \
             clients are told the old one"
        );
    }
}

async fn enrol(config: &Config, bound: SocketAddr) -> Result<Identity, EnrolError> {
    let missing = |missing| EnrolError::Missing { missing };
    let control_url = config.control.clone().ok_or_else(|| missing("--control"))?;
    let file = config
        .enroll_token_file
        .as_ref()
        .ok_or_else(|| missing("--enroll-token-file"))?;
    let token = private_file::read(file)?.trim().to_owned();
    let fingerprint = fingerprint(&token).ok_or(EnrolError::Token)?;
    let advertise_url = config
        .advertise
        .clone()
        .unwrap_or_else(|| default_advertise(bound));
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let tls_key = KeyPair::generate()?;
    let request = v1::EnrollRelayRequest {
        token,
        csr_pem: certificate_request(&advertise_url, &tls_key)?,
        advertise_url: advertise_url.clone(),
        public_key_pem: key.public_key_pem(),
    };
    let trust = Trust::Fingerprint(fingerprint);
    let channel = dial::dial(&control_url, &trust, Lane::Interactive).await?;
    let response = EnrollServiceClient::new(channel)
        .enroll_relay(request)
        .await
        .map_err(|status| EnrolError::Refused(status.into()))?
        .into_inner();
    Ok(Identity {
        relay_id: response.relay_id.parse().map_err(EnrolError::Refused)?,
        control_url,
        advertise_url,
        is_default_advertise: config.advertise.is_none(),
        certificate_pem: chain(&response.certificate_pem, &response.ca_pem),
        ca_pem: response.ca_pem,
        tls_key_pem: tls_key.serialize_pem(),
        key_pem: key.serialize_pem(),
    })
}

/// Whoever enrols by fingerprint needs the CA in the chain.
fn chain(certificate: &str, ca: &str) -> String {
    if certificate.contains(ca.trim()) {
        return certificate.to_owned();
    }
    format!("{}\n{}\n", certificate.trim(), ca.trim())
}

fn certificate_request(advertise_url: &str, key: &KeyPair) -> Result<String, EnrolError> {
    let bad = || EnrolError::Address(advertise_url.to_owned());
    let uri: http::Uri = advertise_url.parse().map_err(|_| bad())?;
    let host = match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(_)) => host.trim_matches(['[', ']']).to_owned(),
        _ => return Err(bad()),
    };
    Ok(CertificateParams::new([host])?
        .serialize_request(key)?
        .pem()?)
}

/// The CA's SHA-256 in a token `cmdop_relay_<secret>_<hex>`.
fn fingerprint(token: &str) -> Option<[u8; 32]> {
    let (_, hex) = token.strip_prefix("cmdop_relay_")?.rsplit_once('_')?;
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_last_part_of_the_token() {
        let token = format!("cmdop_relay_secret_{}", "0a".repeat(32));
        assert_eq!(fingerprint(&token), Some([10; 32]));
        for bad in ["cmdop_enroll_s_00", "cmdop_relay_s", "cmdop_relay_s_zz", ""] {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_certificate_is_asked_for_the_advertised_host() {
        let key = KeyPair::generate().unwrap();
        assert!(certificate_request("https://127.0.0.1:7444", &key).is_ok());
        assert!(certificate_request("https://[::1]:7444", &key).is_ok());
        assert!(certificate_request("http://relay:7444", &key).is_err());
    }
}
