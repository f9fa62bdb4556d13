//! The servers and accounts that a client remembers: `profiles.toml`, no secrets in it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use cmdop_proto::{Refusal, text};
use serde::{Deserialize, Serialize};

use crate::dial::Trust;
use crate::home::Home;
use crate::secret_file::{self, Found};

/// Why profiles could not be read, written or chosen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {verb} {path}: {reason}")]
    Io {
        /// "read" or "write".
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Others may change it, and so choose which server is trusted.
    #[error("{path} can be read or changed by others (mode {mode:04o})")]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what we wrote.
    #[error("{path} is not a list of profiles: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
    },
    /// No profile has this name.
    #[error("there is no profile `{name}`{known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Which there are, as half a sentence.
        known: String,
    },
    /// No profile is there at all.
    #[error("not logged in anywhere")]
    None,
    /// The name cannot be one.
    #[error("`{0}` cannot name a profile")]
    Name(String),
}

impl Error {
    pub(crate) fn refusal(&self) -> Refusal {
        let message = self.to_string();
        match self {
            Self::Io { .. } => Refusal::invalid("bad-request", message)
                .hint("make the directory readable and writable for this user, or set CMDOP_HOME"),
            Self::Loose { path, .. } => Refusal::denied("loose-permissions", message)
                .hint(format!("run `chmod 600 {}`", path.display())),
            Self::Malformed { .. } => Refusal::invalid("bad-request", message)
                .hint("mend it, or remove it and log in again"),
            Self::Unknown { .. } => {
                Refusal::invalid("bad-request", message).hint("`cmdop profiles` lists them")
            }
            Self::None => Refusal::denied("not-logged-in", message)
                .hint("run `cmdop up` for a server on this machine, or `cmdop login URL`"),
            Self::Name(_) => Refusal::invalid("bad-request", message)
                .hint("use letters, digits, `-`, `_` and `.`, at most 64"),
        }
    }
}

/// Where the tokens of a profile are kept. Remembered, so that a profile whose tokens are in a file
/// never waits for D-Bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A 0600 file in the client's directory.
    #[default]
    File,
    /// The system's keyring.
    Keyring,
}

impl std::fmt::Display for StoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Keyring => "keyring",
        })
    }
}

/// One remembered server and account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Profile {
    /// Its name in this client; the key in the file.
    #[serde(skip)]
    pub name: String,
    /// The control plane, `https://host:port`.
    pub control_url: String,
    /// The relays in order of preference, `https://host:port`.
    pub relay_urls: Vec<String>,
    /// The account's name at the last login.
    pub account: String,
    /// The workspace's name at the last login.
    pub workspace: String,
    /// Where the tokens are.
    pub token_store: StoreKind,
    /// The CA that signs the servers' certificates, PEM; empty: the system's roots.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_pem: String,
}

impl Profile {
    /// Whose servers this profile believes.
    pub fn trust(&self) -> Trust {
        if self.ca_pem.is_empty() {
            Trust::System
        } else {
            Trust::Ca(self.ca_pem.clone())
        }
    }
}

/// All remembered profiles and which one is current.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Profiles {
    /// The name of the profile that is used when none is named; empty if there is none.
    pub current: String,
    profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the list; there is none before the first login, which is an empty one.
    pub fn load(home: &Home) -> Result<Self, Error> {
        let path = home.profiles_file();
        let found = secret_file::read(&path).map_err(|reason| Error::Io {
            verb: "read",
            path: path.clone(),
            reason,
        })?;
        let text = match found {
            Found::Missing => return Ok(Self::default()),
            Found::Loose(mode) => return Err(Error::Loose { path, mode }),
            Found::Text(text) => text,
        };
        let mut list: Self = toml::from_str(&text).map_err(|error| Error::Malformed {
            path,
            reason: error.to_string().trim_end().to_owned(),
        })?;
        for (name, profile) in &mut list.profiles {
            profile.name.clone_from(name);
        }
        Ok(list)
    }

    /// Writes the list, whole or not at all.
    pub fn save(&self, home: &Home) -> Result<(), Error> {
        let path = home.profiles_file();
        let text = toml::to_string_pretty(self).map_err(|error| Error::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        secret_file::write(&path, text.as_bytes()).map_err(|reason| Error::Io {
            verb: "write",
            path,
            reason,
        })
    }

    /// The profile called `name`, or the current one.
    pub fn select(&self, name: Option<&str>) -> Result<&Profile, Error> {
        match name {
            Some(name) => self.get(name).ok_or_else(|| self.unknown(name)),
            None if self.profiles.is_empty() || self.current.is_empty() => Err(Error::None),
            None => self
                .get(&self.current)
                .ok_or_else(|| self.unknown(&self.current)),
        }
    }

    /// The profile called `name`.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// Adds or replaces a profile; the first one becomes the current one.
    pub fn put(&mut self, profile: Profile) -> Result<(), Error> {
        if !text::is_name(&profile.name) {
            return Err(Error::Name(text::shown(&profile.name, 64)));
        }
        if self.current.is_empty() {
            self.current.clone_from(&profile.name);
        }
        self.profiles.insert(profile.name.clone(), profile);
        Ok(())
    }

    /// Makes `name` the current profile.
    pub fn choose(&mut self, name: &str) -> Result<(), Error> {
        if self.get(name).is_none() {
            return Err(self.unknown(name));
        }
        name.clone_into(&mut self.current);
        Ok(())
    }

    /// Forgets a profile. Another one becomes current, if there is one.
    pub fn remove(&mut self, name: &str) -> Option<Profile> {
        let removed = self.profiles.remove(name);
        if self.current == name {
            self.current = self.profiles.keys().next().cloned().unwrap_or_default();
        }
        removed
    }

    fn unknown(&self, name: &str) -> Error {
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        Error::Unknown {
            name: text::shown(name, 64),
            known: if names.is_empty() {
                String::new()
            } else {
                format!(" (there are: {})", names.join(", "))
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::home::Keyring;

    fn profile(name: &str) -> Profile {
        Profile {
            name: name.into(),
            control_url: "https://127.0.0.1:7443".into(),
            relay_urls: vec!["https://127.0.0.1:7444".into()],
            ca_pem: "-----BEGIN".into(),
            account: "owner".into(),
            workspace: "default".into(),
            token_store: StoreKind::File,
        }
    }

    #[test]
    fn what_is_saved_is_loaded_again_and_the_first_is_current() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path().join("client"), Keyring::Avoided);
        assert!(matches!(
            Profiles::load(&home).unwrap().select(None),
            Err(Error::None)
        ));
        let mut list = Profiles::default();
        list.put(profile("local")).unwrap();
        list.put(profile("work")).unwrap();
        list.save(&home).unwrap();
        let loaded = Profiles::load(&home).unwrap();
        assert_eq!(loaded.select(None).unwrap(), &profile("local"));
        assert_eq!(loaded.select(Some("work")).unwrap(), &profile("work"));
        let error = loaded.select(Some("home")).unwrap_err().to_string();
        assert_eq!(error, "there is no profile `home` (there are: local, work)");
    }

    #[test]
    fn a_list_that_others_can_change_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        Profiles::default().save(&home).unwrap();
        let file = home.profiles_file();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
        let error = Profiles::load(&home).unwrap_err();
        assert!(error.refusal().hint.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_name_that_would_leave_the_directory_is_refused() {
        assert!(Profiles::default().put(profile("../evil")).is_err());
    }

    #[test]
    fn removing_the_current_profile_makes_another_one_current() {
        let mut list = Profiles::default();
        list.put(profile("a")).unwrap();
        list.put(profile("b")).unwrap();
        list.remove("a");
        assert_eq!(list.current, "b");
    }
}
