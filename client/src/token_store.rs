//! Where the tokens of a profile lie: the system's keyring, or a 0600 file. Never a log, never an argument.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::Refusal;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::profile::{Profile, StoreKind};
use crate::secret_file::{self, Found};

/// The keyring's name for us; the entry is named after the profile.
const SERVICE: &str = "cmdop";

/// A keyring may ask its user to unlock it; longer than this nobody is there.
const KEYRING_TIMEOUT: Duration = Duration::from_secs(20);

/// A refresh that another process does takes one request; longer than this it hangs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Text that must not be shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the wire or for storage.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The tokens of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Changes with each use (rotation).
    pub refresh_token: Secret,
    /// Cached, so that a command needs no request before its own.
    pub access_token: Secret,
    /// When the access token ends, by this machine's clock.
    pub access_expires_at_ms: u64,
}

/// Why tokens could not be read, written or locked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody besides the owner may read or write the file.
    #[error("the token file {path} can be read or changed by others (mode {mode:04o})")]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot {verb} {path}: {reason}")]
    Io {
        /// "read", "write", "lock" or "remove".
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// It is not what we wrote.
    #[error("the stored tokens of profile `{0}` are damaged")]
    Malformed(String),
    /// The keyring refused, or nobody unlocked it.
    #[error("the system's keyring cannot be used: {0}")]
    Keyring(String),
    /// Another process holds the lock for too long.
    #[error("another cmdop has been refreshing the tokens of profile `{0}` for 30 s")]
    Busy(String),
}

impl Error {
    pub(crate) fn refusal(&self) -> Refusal {
        let message = self.to_string();
        match self {
            Self::Loose { path, .. } => {
                Refusal::denied("loose-permissions", message).hint(format!(
                    "run `chmod 600 {}`; if others use this machine, log out and in again",
                    path.display()
                ))
            }
            Self::Io { .. } => Refusal::invalid("bad-request", message)
                .hint("make the directory readable and writable for this user, or set CMDOP_HOME"),
            Self::Malformed(_) => {
                Refusal::denied("not-logged-in", message).hint("run `cmdop login`")
            }
            Self::Keyring(_) => Refusal::denied("not-logged-in", message)
                .hint("unlock it, or log in again with CMDOP_TOKEN_STORE=file"),
            Self::Busy(_) => Refusal::exhausted("timeout", message).hint("try again"),
        }
    }
}

/// Reads the tokens from where the profile says they are; `None` if there are none.
pub async fn load(home: &Home, profile: &Profile) -> Result<Option<Stored>, Error> {
    let text = match profile.token_store {
        StoreKind::File => load_file(home, &profile.name)?,
        StoreKind::Keyring => {
            keyring(&profile.name, |entry| match entry.get_password() {
                Ok(text) => Ok(Some(text)),
                Err(keyring::Error::NoEntry) => Ok(None),
                Err(error) => Err(error),
            })
            .await?
        }
    };
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|_| Error::Malformed(profile.name.clone()))
}

/// Replaces the tokens where the profile says they are.
pub async fn save(home: &Home, profile: &Profile, tokens: &Stored) -> Result<(), Error> {
    let text = serde_json::to_string(tokens).expect("strings and a number are always JSON");
    match profile.token_store {
        StoreKind::File => {
            let path = home.tokens_file(&profile.name);
            secret_file::write(&path, text.as_bytes()).map_err(|reason| Error::Io {
                verb: "write",
                path,
                reason,
            })
        }
        StoreKind::Keyring => keyring(&profile.name, move |entry| entry.set_password(&text)).await,
    }
}

/// Where the tokens of a new login went.
#[derive(Debug)]
pub struct Placed {
    /// The store; keep it in the profile.
    pub store: StoreKind,
    /// Why not the keyring, where it was wanted.
    pub fell_back: Option<Error>,
}

/// Stores the tokens of a new login: in the keyring if the home allows it and it works, else in a file.
pub async fn save_new(home: &Home, name: &str, tokens: &Stored) -> Result<Placed, Error> {
    let mut profile = Profile {
        name: name.to_owned(),
        token_store: StoreKind::Keyring,
        ..Profile::default()
    };
    let mut fell_back = None;
    if home.keyring() {
        match save(home, &profile, tokens).await {
            Ok(()) => {
                return Ok(Placed {
                    store: StoreKind::Keyring,
                    fell_back,
                });
            }
            Err(error) => fell_back = Some(error),
        }
    }
    profile.token_store = StoreKind::File;
    save(home, &profile, tokens).await?;
    Ok(Placed {
        store: StoreKind::File,
        fell_back,
    })
}

/// Removes the tokens; that there are none is no error.
pub async fn delete(home: &Home, profile: &Profile) -> Result<(), Error> {
    match profile.token_store {
        StoreKind::File => {
            let path = home.tokens_file(&profile.name);
            match std::fs::remove_file(&path) {
                Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(Error::Io {
                    verb: "remove",
                    path,
                    reason,
                }),
                _ => Ok(()),
            }
        }
        StoreKind::Keyring => {
            keyring(&profile.name, |entry| match entry.delete_credential() {
                Err(keyring::Error::NoEntry) => Ok(()),
                other => other,
            })
            .await
        }
    }
}

/// Held by the one process that may refresh the tokens of a profile.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Waits until no other process refreshes these tokens. A replayed refresh token would end the login.
pub async fn lock(home: &Home, name: &str) -> Result<Lock, Error> {
    let path = home.tokens_lock(name);
    let io = |reason| Error::Io {
        verb: "lock",
        path: path.clone(),
        reason,
    };
    let file = secret_file::open_lock(&path).map_err(io)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(Lock { _file: file });
    }
    let waiting = tokio::task::spawn_blocking(move || {
        flock(&file, FlockOperation::LockExclusive).map(|()| file)
    });
    match tokio::time::timeout(LOCK_TIMEOUT, waiting).await {
        Err(_) | Ok(Err(_)) => Err(Error::Busy(name.to_owned())),
        Ok(Ok(Err(errno))) => Err(io(errno.into())),
        Ok(Ok(Ok(file))) => Ok(Lock { _file: file }),
    }
}

fn load_file(home: &Home, name: &str) -> Result<Option<String>, Error> {
    let path = home.tokens_file(name);
    match secret_file::read(&path) {
        Ok(Found::Text(text)) => Ok(Some(text)),
        Ok(Found::Missing) => Ok(None),
        Ok(Found::Loose(mode)) => Err(Error::Loose { path, mode }),
        Err(reason) => Err(Error::Io {
            verb: "read",
            path,
            reason,
        }),
    }
}

/// The keyring's calls block, and may wait for a person.
async fn keyring<T: Send + 'static>(
    name: &str,
    action: impl FnOnce(keyring::v1::Entry) -> keyring::v1::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let name = name.to_owned();
    let call = tokio::task::spawn_blocking(move || {
        keyring::v1::Entry::new(SERVICE, &name).and_then(action)
    });
    match tokio::time::timeout(KEYRING_TIMEOUT, call).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(Error::Keyring(error.to_string())),
        Ok(Err(_)) => Err(Error::Keyring("it failed inside".into())),
        Err(_) => Err(Error::Keyring("it did not answer in 20 s".into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::home::Keyring;

    fn sample() -> Stored {
        Stored {
            refresh_token: Secret::new("refresh"),
            access_token: Secret::new("access"),
            access_expires_at_ms: 5,
        }
    }

    fn in_file(name: &str) -> Profile {
        Profile {
            name: name.into(),
            ..Profile::default()
        }
    }

    #[tokio::test]
    async fn tokens_in_a_file_are_the_owners_alone_and_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path().join("client"), Keyring::Avoided);
        assert_eq!(load(&home, &in_file("a")).await.unwrap(), None);
        let placed = save_new(&home, "a", &sample()).await.unwrap();
        assert_eq!(placed.store, StoreKind::File);
        assert!(placed.fell_back.is_none());
        assert_eq!(load(&home, &in_file("a")).await.unwrap(), Some(sample()));
        let file = home.tokens_file("a");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            file.parent().unwrap().metadata().unwrap().mode() & 0o777,
            0o700
        );
        delete(&home, &in_file("a")).await.unwrap();
        delete(&home, &in_file("a")).await.unwrap();
        assert_eq!(load(&home, &in_file("a")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_token_file_that_others_can_read_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        save(&home, &in_file("a"), &sample()).await.unwrap();
        let file = home.tokens_file("a");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = load(&home, &in_file("a")).await.unwrap_err();
        assert!(matches!(error, Error::Loose { mode: 0o640, .. }));
        let refusal = error.refusal();
        assert!(
            refusal
                .hint
                .contains(&format!("chmod 600 {}", file.display()))
        );
        assert_eq!(refusal.kind.exit_code(), 77);
    }

    #[tokio::test]
    async fn a_damaged_token_file_says_so_without_showing_it() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        secret_file::write(&home.tokens_file("a"), b"{\"refresh_token\": \"s3cret").unwrap();
        let error = load(&home, &in_file("a")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stored tokens of profile `a` are damaged"
        );
    }

    #[tokio::test]
    async fn the_lock_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let first = lock(&home, "a").await.unwrap();
        let mut second = tokio_test_spawn(home.clone());
        tokio::select! {
            biased;
            _ = &mut second => panic!("two holders"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        second.await.unwrap();
    }

    fn tokio_test_spawn(
        home: Home,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Lock, Error>> + Send>> {
        Box::pin(async move { lock(&home, "a").await })
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", sample()).contains("refresh\""));
        assert!(!format!("{:?}", sample()).contains("access\""));
    }
}
