//! Secrets that have to be known again, sealed before they reach the database: ChaCha20-Poly1305 with a key that
//! is not in it. A copy of the database alone opens none of them.
//!
//! What is sealed belongs to its place, a table and a row: moved to another row it does not open. Which key
//! sealed it stands before it, so that keys can be replaced. What only has to be compared is hashed instead
//! (`secret`, `password`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cmdop_proto::Refusal;
use cmdop_service::private_file;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};

use crate::secret;

/// The file with the keys, in the data directory.
pub(crate) const FILE: &str = "secrets.key";

/// The variable of the environment that has them instead.
const VARIABLE: &str = "CMDOP_CONTROL_SECRETS_KEY";

/// What a key takes.
const KEY_LEN: usize = 32;

/// Keys in one file: one that seals, and those that sealed before it.
const MAX_KEYS: usize = 16;

/// The longest secret that is sealed.
const MAX_SECRET: usize = 64 << 10;

/// How sealed text begins: another version would begin otherwise.
const VERSION: &str = "s1";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// It is not there, and a new one would open nothing of what the database holds.
    #[error(
        "the database holds keys that are sealed with secrets.key, and {path} is not there: take it from another \
         control plane on this database, or from a backup, or give what is in it in {VARIABLE}"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// What is in it.
    #[error(
        "{place} does not hold keys for secrets ({reason}): one key of 32 bytes in base64 a line, the first \
         seals and all open; restore it from a backup"
    )]
    Unusable {
        /// The file, or the environment.
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Why sealed text does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// None of our keys sealed it.
    #[error(
        "it was sealed with the key {key_id}, which is not there: restore secrets.key from a backup"
    )]
    OtherKey {
        /// The name of that key.
        key_id: String,
    },
    /// It was changed, it belongs to another place, or we never sealed it.
    #[error("it was altered, or moved from another row")]
    Altered,
}

impl From<OpenError> for Refusal {
    /// The cause goes to the log; the caller learns only that it is not their fault.
    fn from(error: OpenError) -> Self {
        tracing::error!(%error, "a sealed secret does not open");
        Refusal::internal("a secret in the control plane's database cannot be opened")
            .hint("the control plane's log has the cause")
    }
}

struct Key {
    /// The beginning of its hash: says which key, and nothing of it.
    id: String,
    key: LessSafeKey,
}

/// Seals and opens. The first key seals; the others open what they sealed once.
pub(crate) struct Sealer {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_set().entries(ids).finish()
    }
}

impl Sealer {
    /// The keys in `given`, which came from the environment; without that, those of the private file
    /// [`FILE`] in `dir`, which is made if it is not there.
    pub(crate) fn load_or_make(dir: &Path, given: Option<&str>) -> Result<Self, KeyError> {
        match Self::load(dir, given) {
            Err(KeyError::Missing { path }) => {
                let text = format!("{}\n", BASE64_STANDARD.encode(new_key()));
                private_file::write(&path, text.as_bytes())?;
                Self::load(dir, None)
            }
            loaded => loaded,
        }
    }

    /// The same, where there must be keys already.
    pub(crate) fn load(dir: &Path, given: Option<&str>) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        let (place, text) = match given {
            Some(text) => (VARIABLE.to_owned(), text.to_owned()),
            None => match private_file::read(&path) {
                Err(error) if error.is_missing() => return Err(KeyError::Missing { path }),
                read => (path.display().to_string(), read?),
            },
        };
        Self::read(&text).map_err(|reason| KeyError::Unusable { place, reason })
    }

    /// The names of the keys: first the one that seals, then those that only open.
    pub(crate) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// How text begins that the key of that name has sealed.
    pub(crate) fn beginning_of(key_id: &str) -> String {
        format!("{VERSION}.{key_id}.")
    }

    /// One key in base64 a line. Lines that are empty are passed over.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<Key> = lines
            .take(MAX_KEYS + 1)
            .map(Key::read)
            .collect::<Result<_, _>>()?;
        let ids: HashSet<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        match keys.len() {
            0 => Err("it is empty"),
            count if count > MAX_KEYS => Err("it holds more than 16 keys"),
            count if ids.len() < count => Err("it holds a key twice"),
            _ => Ok(Self { keys }),
        }
    }

    /// `plain` as text to keep in the row `row` of `table`. A secret that is too long is refused.
    pub(crate) fn seal(&self, table: &str, row: &str, plain: &[u8]) -> Result<String, Refusal> {
        let failed = || Refusal::internal("a secret could not be sealed");
        if plain.len() > MAX_SECRET {
            return Err(failed());
        }
        let sealer = self.keys.first().ok_or_else(failed)?;
        // 96 random bits: a key would have to seal four thousand million secrets before two of them
        // are likely to share a nonce (NIST SP 800-38D, section 8.3).
        let mut nonce = [0; NONCE_LEN];
        secret::fill(&mut nonce);
        let mut bytes = plain.to_vec();
        let place = place(table, row);
        let tag = sealer.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&place),
            &mut bytes,
        );
        let tag = tag.map_err(|_| failed())?;
        let sealed = [&nonce[..], &bytes, tag.as_ref()].concat();
        let text = BASE64_URL_SAFE_NO_PAD.encode(sealed);
        Ok(format!("{}{text}", Self::beginning_of(&sealer.id)))
    }

    /// What was sealed for the row `row` of `table`.
    pub(crate) fn open(&self, table: &str, row: &str, sealed: &str) -> Result<Vec<u8>, OpenError> {
        let rest = sealed.strip_prefix(VERSION).ok_or(OpenError::Altered)?;
        let rest = rest.strip_prefix('.').ok_or(OpenError::Altered)?;
        let (id, text) = rest.split_once('.').ok_or(OpenError::Altered)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| OpenError::OtherKey {
            key_id: cmdop_proto::text::shown(id, 32),
        })?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        let mut bytes = bytes.map_err(|_| OpenError::Altered)?;
        let (nonce, sealed) = bytes
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(OpenError::Altered)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key
            .key
            .open_in_place(nonce, Aad::from(place(table, row)), sealed);
        Ok(opened.map_err(|_| OpenError::Altered)?.to_vec())
    }
}

/// The name of the key that sealed a text which begins so; nothing if none did.
pub(crate) fn sealed_by(beginning: &str) -> Option<&str> {
    let rest = beginning.strip_prefix(VERSION)?.strip_prefix('.')?;
    rest.split_once('.').map(|(id, _)| id)
}

impl Key {
    fn read(line: &str) -> Result<Self, &'static str> {
        let bytes = BASE64_STANDARD
            .decode(line)
            .map_err(|_| "a line of it is not base64")?;
        if bytes.len() != KEY_LEN {
            return Err("a key in it is not of 32 bytes");
        }
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| "a key in it is not of 32 bytes")?;
        let mut id = secret::hex(&Sha256::digest(&bytes));
        id.truncate(16);
        Ok(Self {
            id,
            key: LessSafeKey::new(key),
        })
    }
}

fn new_key() -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    secret::fill(&mut key);
    key
}

/// Unambiguous, whatever is in the two: the first has its length before it.
fn place(table: &str, row: &str) -> Vec<u8> {
    let mut place = (table.len() as u64).to_be_bytes().to_vec();
    place.extend_from_slice(table.as_bytes());
    place.extend_from_slice(row.as_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        BASE64_STANDARD.encode(new_key())
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_row_only() {
        let sealer = Sealer::read(&key()).unwrap();
        let sealed = sealer.seal("second_factors", "ada", b"secret").unwrap();
        assert!(!sealed.contains("secret"));
        let open = |table, row| sealer.open(table, row, &sealed);
        assert_eq!(open("second_factors", "ada").unwrap(), b"secret");
        for (table, row) in [
            ("second_factors", "eve"),
            ("schedules", "ada"),
            ("second_factorsa", "da"),
        ] {
            assert_eq!(open(table, row), Err(OpenError::Altered), "{table} {row}");
        }
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let sealer = Sealer::read(&key()).unwrap();
        let one = sealer.seal("t", "r", b"secret").unwrap();
        assert_ne!(one, sealer.seal("t", "r", b"secret").unwrap());
        assert_eq!(sealer.open("t", "r", &one).unwrap(), b"secret");
        let nothing = sealer.seal("t", "r", b"").unwrap();
        assert_eq!(sealer.open("t", "r", &nothing).unwrap(), b"");
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let sealer = Sealer::read(&key()).unwrap();
        let sealed = sealer.seal("t", "r", b"secret").unwrap();
        for place in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(sealer.open("t", "r", &altered).is_err(), "byte {place}");
            assert!(sealer.open("t", "r", &sealed[..place]).is_err());
        }
        for nonsense in ["", "s1", "s1.", "s1..", "é", "s2.a.b"] {
            assert!(sealer.open("t", "r", nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn an_older_key_opens_and_the_first_seals() {
        let (old, new) = (key(), key());
        let before = Sealer::read(&old).unwrap();
        let sealed = before.seal("t", "r", b"secret").unwrap();
        let both = Sealer::read(&format!("{new}\n\n{old}\n")).unwrap();
        assert_eq!(both.open("t", "r", &sealed).unwrap(), b"secret");
        let again = both.seal("t", "r", b"secret").unwrap();
        let unknown = before.open("t", "r", &again).unwrap_err();
        assert!(matches!(unknown, OpenError::OtherKey { .. }));
        assert!(unknown.to_string().contains("secrets.key"));
    }

    #[test]
    fn the_file_is_made_once_private_and_named_when_it_is_useless() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sealer::load_or_make(dir.path(), None).unwrap();
        let sealed = first.seal("t", "r", b"secret").unwrap();
        let again = Sealer::load_or_make(dir.path(), None).unwrap();
        assert_eq!(again.open("t", "r", &sealed).unwrap(), b"secret");
        let path = dir.path().join(FILE);
        assert!(private_file::read(&path).is_ok());
        let key = key();
        for useless in ["", "nonsense!", "c2hvcnQ=", &format!("{key}\n{key}")] {
            private_file::write(&path, useless.as_bytes()).unwrap();
            let error = Sealer::load_or_make(dir.path(), None).unwrap_err();
            assert!(error.to_string().contains("secrets.key"), "{error}");
        }
    }

    #[test]
    fn a_key_from_the_environment_needs_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let key = key();
        let sealer = Sealer::load_or_make(dir.path(), Some(&key)).unwrap();
        assert!(!dir.path().join(FILE).exists());
        assert!(!format!("{sealer:?}").contains(&key));
        assert!(Sealer::load_or_make(dir.path(), Some("short")).is_err());
    }
}
