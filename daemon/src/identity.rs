//! What a machine keeps of its enrolment: who it is, where its servers are, and its private key.

use std::path::{Path, PathBuf};

use cmdop_proto::{MachineId, WorkspaceId};
use cmdop_service::private_file;
use serde::{Deserialize, Serialize};

/// Everything but the key.
const IDENTITY_FILE: &str = "identity.toml";
/// The machine's Ed25519 key, PKCS #8 PEM.
const KEY_FILE: &str = "machine.key";
/// The last token, so that a restart while the control plane is down still reaches the relay.
pub(crate) const TOKEN_FILE: &str = "token.json";

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error(
        "this machine is not enrolled ({path} does not exist); get a token with \
         `cmdop machines enroll-token` and run `cmdopd enroll --control URL --token TOKEN`"
    )]
    NotEnrolled {
        /// Where it would be.
        path: PathBuf,
    },
    /// A file of it cannot be read or written, or others can read it.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// Its content is not what enrolment wrote.
    #[error(
        "{path} is damaged: {reason}; restore it from a backup, or run `cmdopd unenroll` and enrol again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
}

/// Who this machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// Its id in its workspace.
    pub machine_id: MachineId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// That workspace's name, for people.
    pub workspace_name: String,
    /// Its name in the workspace.
    pub hostname: String,
    /// The control plane, `https://host:port`.
    pub control_url: String,
    /// What the control plane calls itself in tokens.
    pub issuer: String,
    /// Its relays, in order of preference.
    pub relay_urls: Vec<String>,
    /// The CA that signs the servers' certificates, PEM.
    pub ca_pem: String,
}

impl Identity {
    /// Reads the identity of the machine whose data directory this is.
    pub fn load(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(IDENTITY_FILE);
        let text = match private_file::read(&path) {
            Err(error) if error.is_missing() => return Err(Error::NotEnrolled { path }),
            other => other?,
        };
        toml::from_str(&text).map_err(|error| Error::Damaged {
            path,
            reason: error.to_string(),
        })
    }

    /// Whether there is one, readable or not.
    pub(crate) fn exists(data_dir: &Path) -> bool {
        data_dir.join(IDENTITY_FILE).exists()
    }

    /// Writes it; the key must have been written before, so that an identity without a key never is.
    pub(crate) fn save(&self, data_dir: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).expect("strings and lists of strings are TOML");
        Ok(private_file::write(
            &data_dir.join(IDENTITY_FILE),
            text.as_bytes(),
        )?)
    }
}

/// The key of an enrolment that was begun, if there is one.
pub(crate) fn saved_key(data_dir: &Path) -> Result<Option<String>, Error> {
    match load_key(data_dir) {
        Err(Error::File(error)) if error.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

/// The private key, PEM.
pub(crate) fn load_key(data_dir: &Path) -> Result<String, Error> {
    Ok(private_file::read(&data_dir.join(KEY_FILE))?)
}

/// Keeps the private key.
pub(crate) fn save_key(data_dir: &Path, pem: &str) -> Result<(), Error> {
    Ok(private_file::write(
        &data_dir.join(KEY_FILE),
        pem.as_bytes(),
    )?)
}

/// Forgets identity, key and token. `false` if there was no identity.
pub(crate) fn remove(data_dir: &Path) -> Result<bool, Error> {
    let existed = Identity::exists(data_dir);
    // The identity last: interrupted, the command can be repeated.
    for name in [TOKEN_FILE, KEY_FILE, IDENTITY_FILE] {
        let path = data_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File(private_file::Error::Io {
                    verb: "remove",
                    path,
                    reason,
                }));
            }
            _ => {}
        }
    }
    Ok(existed)
}

/// An identity as enrolment makes it.
#[cfg(test)]
pub(crate) fn sample() -> Identity {
    Identity {
        machine_id: MachineId::new(),
        workspace_id: WorkspaceId::new(),
        workspace_name: "default".into(),
        hostname: "web-1".into(),
        control_url: "https://127.0.0.1:7443".into(),
        issuer: "https://127.0.0.1:7443".into(),
        relay_urls: vec!["https://127.0.0.1:7444".into()],
        ca_pem: "-----BEGIN".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let identity = sample();
        identity.save(dir.path()).unwrap();
        assert_eq!(Identity::load(dir.path()).unwrap(), identity);
    }

    #[test]
    fn a_machine_that_is_not_enrolled_is_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = Identity::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("cmdopd enroll"), "{error}");
    }

    #[test]
    fn a_damaged_identity_is_named() {
        let dir = tempfile::tempdir().unwrap();
        private_file::write(&dir.path().join(IDENTITY_FILE), b"nonsense").unwrap();
        let error = Identity::load(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }

    #[test]
    fn unenrolling_leaves_no_secret_behind() {
        let dir = tempfile::tempdir().unwrap();
        save_key(dir.path(), "key").unwrap();
        sample().save(dir.path()).unwrap();
        assert!(remove(dir.path()).unwrap());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        assert!(!remove(dir.path()).unwrap());
    }
}
