//! Joining a workspace: the enrolment token names the CA to believe, the machine makes its key, the
//! control plane gives it an identity.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::enroll_service_client::EnrollServiceClient;
use cmdop_proto::{Refusal, limits, text, v1};
use cmdop_service::data_dir::{self, DataDir};
use cmdop_service::now_ms;

use crate::control_http;
use crate::identity::{self, Identity};
use crate::{PROGRAM, clock, facts};

/// The whole enrolment must be done in this time.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What is needed to join.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// The control plane, `https://host:port`.
    pub control_url: String,
    /// `cmdop_enroll_<secret>_<fingerprint>`.
    pub token: String,
    /// The name in the workspace; `None`: the machine's own.
    pub hostname: Option<String>,
    /// Labels to select it by.
    pub labels: HashMap<String, String>,
    /// Where the identity is kept.
    pub data_dir: PathBuf,
}

/// Why a machine did not join or leave.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has joined before.
    #[error(
        "this machine is enrolled already, as {hostname} in workspace {workspace}; \
         run `cmdopd unenroll` first to give that up"
    )]
    Enrolled {
        /// Its name there.
        hostname: String,
        /// The workspace.
        workspace: String,
    },
    /// The token was mistyped or is of another kind.
    #[error(
        "this is not an enrolment token for a machine ({reason}); \
         copy the whole line that `cmdop machines enroll-token` prints"
    )]
    Token {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No workspace can have a machine of that name.
    #[error(
        "`{name}` cannot be a machine's name: letters, digits, `-`, `_` and `.`, at most 253; \
         choose another with --hostname"
    )]
    Hostname {
        /// The name.
        name: String,
    },
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The files in it.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The control plane is not reached, or not trusted.
    #[error(transparent)]
    Dial(#[from] dial::Error),
    /// The control plane says no.
    #[error("the control plane refused to enrol this machine: {refusal}{}", hint(.refusal))]
    Refused {
        /// In its own words.
        refusal: Refusal,
    },
    /// It did not answer.
    #[error(
        "the control plane did not answer in {} s; try again with the same token",
        TIMEOUT.as_secs()
    )]
    Timeout,
    /// No key could be made.
    #[error("cannot make a key for this machine: {0}")]
    Key(#[from] rcgen::Error),
    /// What it answered makes no sense.
    #[error("the control plane answered with {0}; is it a control plane of cmdop?")]
    Answer(String),
}

fn hint(refusal: &Refusal) -> String {
    if refusal.hint.is_empty() {
        String::new()
    } else {
        format!("; {}", refusal.hint)
    }
}

impl Error {
    /// What it means to the caller, for the exit code.
    pub fn kind(&self) -> cmdop_proto::ErrorKind {
        use cmdop_proto::ErrorKind as Kind;
        match self {
            Self::Enrolled { .. } | Self::Token { .. } | Self::Hostname { .. } => Kind::Invalid,
            Self::Refused { refusal } => refusal.kind,
            Self::Dial(error) => Refusal::from(error).kind,
            Self::Timeout => Kind::Exhausted,
            Self::DataDir(_) | Self::Identity(_) => Kind::Denied,
            Self::Key(_) | Self::Answer(_) => Kind::Internal,
        }
    }
}

/// Joins; returns what was saved.
pub async fn enroll(enrollment: Enrollment) -> Result<Identity, Error> {
    let fingerprint = fingerprint(&enrollment.token)?;
    let hostname = enrollment.hostname.clone().unwrap_or_else(facts::hostname);
    if !text::is_hostname(&hostname) {
        let name = text::shown(&hostname, limits::MAX_HOSTNAME);
        return Err(Error::Hostname { name });
    }
    let data_dir = DataDir::open(&enrollment.data_dir, PROGRAM)?;
    refuse_twice(data_dir.path())?;
    let key = key(data_dir.path())?;
    let join = Box::pin(join(
        &enrollment,
        hostname,
        &key,
        Trust::Fingerprint(fingerprint),
    ));
    let identity = tokio::time::timeout(TIMEOUT, join)
        .await
        .map_err(|_| Error::Timeout)??;
    identity.save(data_dir.path())?;
    Ok(identity)
}

/// The machine's key, on disk before the control plane hears of it: when its answer is lost, the token
/// is spent, and only the same key gets the answer again.
fn key(data_dir: &Path) -> Result<rcgen::KeyPair, Error> {
    if let Some(pem) = identity::saved_key(data_dir)?
        && let Ok(key) = rcgen::KeyPair::from_pem(&pem)
        && *key.algorithm() == rcgen::PKCS_ED25519
    {
        return Ok(key);
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    identity::save_key(data_dir, &key.serialize_pem())?;
    Ok(key)
}

/// Forgets the identity; returns it, if there was one to read.
pub fn unenroll(path: &Path) -> Result<Option<Identity>, Error> {
    let data_dir = DataDir::open(path, PROGRAM)?;
    let identity = Identity::load(data_dir.path()).ok();
    identity::remove(data_dir.path())?;
    Ok(identity)
}

fn refuse_twice(data_dir: &Path) -> Result<(), Error> {
    if !Identity::exists(data_dir) {
        return Ok(());
    }
    let identity = Identity::load(data_dir)?;
    Err(Error::Enrolled {
        hostname: identity.hostname,
        workspace: identity.workspace_name,
    })
}

async fn join(
    enrollment: &Enrollment,
    hostname: String,
    key: &rcgen::KeyPair,
    trust: Trust,
) -> Result<Identity, Error> {
    let control_url = enrollment.control_url.trim_end_matches('/');
    let channel = dial::dial(control_url, &trust, Lane::Interactive).await?;
    let request = v1::EnrollMachineRequest {
        token: enrollment.token.trim().to_owned(),
        hostname: hostname.clone(),
        public_key_pem: key.public_key_pem(),
        os: facts::OS.into(),
        arch: facts::ARCH.into(),
        agent_version: cmdop_service::VERSION.into(),
        labels: enrollment.labels.clone(),
    };
    let answer = EnrollServiceClient::new(channel.clone())
        .max_decoding_message_size(limits::MAX_FRAME)
        .enroll_machine(request)
        .await
        .map_err(|status| Error::Refused {
            refusal: Refusal::from(status),
        })?
        .into_inner();
    clock::warn_if_apart("the control plane", answer.now_ms, now_ms());
    let issuer = issuer(channel).await.unwrap_or_else(|| control_url.into());
    identity_of(answer, hostname, control_url, issuer)
}

fn identity_of(
    answer: v1::EnrollMachineResponse,
    hostname: String,
    control_url: &str,
    issuer: String,
) -> Result<Identity, Error> {
    let bad_id = |refusal: Refusal| Error::Answer(refusal.message);
    // What is not usable must not be saved: the token would be spent for nothing.
    dial::tls_config(&Trust::Ca(answer.ca_pem.clone()))?;
    Ok(Identity {
        machine_id: answer.machine_id.parse().map_err(bad_id)?,
        workspace_id: answer.workspace_id.parse().map_err(bad_id)?,
        workspace_name: text::shown(&answer.workspace_name, limits::MAX_NAME),
        hostname,
        control_url: control_url.into(),
        issuer,
        relay_urls: answer
            .relay_urls
            .iter()
            .map(|url| text::shown(url, 512))
            .collect(),
        ca_pem: answer.ca_pem,
    })
}

#[derive(serde::Deserialize)]
struct Metadata {
    issuer: String,
}

/// What the control plane calls itself (RFC 8414); it may be reached under other addresses.
async fn issuer(channel: tonic::transport::Channel) -> Option<String> {
    let path = "/.well-known/oauth-authorization-server";
    match control_http::get::<Metadata>(channel, path).await {
        Ok(metadata) => Some(metadata.issuer.trim_end_matches('/').to_owned()),
        Err(error) => {
            tracing::debug!(%error, "no metadata: taking the address for the issuer");
            None
        }
    }
}

/// The SHA-256 of the CA certificate that stands in an enrolment token.
fn fingerprint(token: &str) -> Result<[u8; 32], Error> {
    let wrong = |reason| Error::Token { reason };
    let rest = token
        .trim()
        .strip_prefix("cmdop_enroll_")
        .ok_or_else(|| wrong("it does not begin with `cmdop_enroll_`"))?;
    let (secret, hex) = rest
        .split_once('_')
        .ok_or_else(|| wrong("its second half is missing"))?;
    if secret.is_empty() {
        return Err(wrong("its secret is missing"));
    }
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("its end is not a fingerprint of 64 hex digits"));
    }
    let mut fingerprint = [0; 32];
    for (index, byte) in fingerprint.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16)
            .expect("two hex digits make a byte");
    }
    Ok(fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_pins_the_ca() {
        let token = format!("cmdop_enroll_abc123_{}ff\n", "00".repeat(31));
        assert_eq!(fingerprint(&token).unwrap()[31], 0xff);
    }

    #[test]
    fn a_token_of_another_kind_is_told_apart() {
        let hex = "0".repeat(64);
        for bad in [
            String::new(),
            format!("cmdop_relay_abc_{hex}"),
            "cmdop_enroll_abc".into(),
            format!("cmdop_enroll__{hex}"),
            format!("cmdop_enroll_abc_{}", &hex[1..]),
            format!("cmdop_enroll_abc_{}é", &hex[2..]),
        ] {
            let error = fingerprint(&bad).unwrap_err().to_string();
            assert!(error.contains("enroll-token"), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn a_machine_does_not_enrol_twice() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("identity.toml"), "x").unwrap();
        let enrollment = Enrollment {
            control_url: "https://127.0.0.1:1".into(),
            token: format!("cmdop_enroll_a_{}", "0".repeat(64)),
            hostname: Some("web-1".into()),
            labels: HashMap::new(),
            data_dir: dir.path().into(),
        };
        // Even a damaged identity is not written over.
        assert!(matches!(enroll(enrollment).await, Err(Error::Identity(_))));
    }

    #[tokio::test]
    async fn a_control_plane_that_is_away_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let enrollment = Enrollment {
            control_url: "https://127.0.0.1:1".into(),
            token: format!("cmdop_enroll_a_{}", "0".repeat(64)),
            hostname: Some("web-1".into()),
            labels: HashMap::new(),
            data_dir: dir.path().join("d"),
        };
        let error = enroll(enrollment).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot reach https://127.0.0.1:1"),
            "{error}"
        );
    }

    #[test]
    fn an_enrolment_that_is_tried_again_comes_with_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let first = key(dir.path()).unwrap();
        assert_eq!(
            identity::load_key(dir.path()).unwrap(),
            first.serialize_pem(),
            "it is on disk before it is used"
        );
        let second = key(dir.path()).unwrap();
        assert_eq!(second.public_key_pem(), first.public_key_pem());
        identity::save_key(dir.path(), "half a ke").unwrap();
        let third = key(dir.path()).unwrap();
        assert_ne!(third.public_key_pem(), first.public_key_pem());
    }
}
