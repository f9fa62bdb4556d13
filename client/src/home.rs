//! Where a client keeps its profiles, tokens and locks. It does not read the environment: `main` does.

use std::path::{Path, PathBuf};

/// The client's directory, and whether the keyring may be used.
#[derive(Clone, Debug)]
pub struct Home {
    directory: PathBuf,
    keyring: bool,
}

impl Home {
    /// Everything under `directory`; with `keyring`, new logins try the system's keyring first.
    pub fn new(directory: impl Into<PathBuf>, keyring: Keyring) -> Self {
        Self {
            directory: directory.into(),
            keyring: keyring == Keyring::Allowed,
        }
    }

    /// The place for a user: `cmdop_home/client` if there is one (`CMDOP_HOME`), else the platform's
    /// configuration directory. `None` if the user has no home directory either.
    pub fn locate(cmdop_home: Option<&Path>, keyring: Keyring) -> Option<Self> {
        let directory = match cmdop_home {
            Some(home) => home.join("client"),
            None => directories::ProjectDirs::from("", "", "cmdop")?
                .config_dir()
                .to_owned(),
        };
        Some(Self::new(directory, keyring))
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether new logins may use the keyring.
    pub fn keyring(&self) -> bool {
        self.keyring
    }

    /// The list of profiles.
    pub fn profiles_file(&self) -> PathBuf {
        self.directory.join("profiles.toml")
    }

    /// The tokens of one profile, where they are kept in a file.
    pub fn tokens_file(&self, profile: &str) -> PathBuf {
        self.directory
            .join("tokens")
            .join(format!("{profile}.json"))
    }

    /// Held while the tokens of one profile are refreshed or replaced.
    pub fn tokens_lock(&self, profile: &str) -> PathBuf {
        self.directory
            .join("tokens")
            .join(format!("{profile}.lock"))
    }
}

/// Whether new logins may keep their tokens in the system's keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// Try it first.
    Allowed,
    /// Use 0600 files only (`CMDOP_TOKEN_STORE=file`).
    Avoided,
}
