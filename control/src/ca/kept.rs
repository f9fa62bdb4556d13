//! Where the certificate authority is kept: in the database, its key sealed, for all control planes on it. Whoever
//! starts first makes it.
//!
//! The data directory has a copy of the certificate, for people to hand on; it is compared at each start, so that a
//! data directory does not serve from a database that is not its own. Former versions kept certificate and key in
//! files there: they are taken over into a database that has none, and the file with the key goes then. One that was
//! removed does not come back by them.

use std::path::{Path, PathBuf};

use cmdop_proto::Refusal;
use cmdop_service::private_file;
use rcgen::KeyPair;

use super::Ca;
use super::files::{FORMER_KEY_FILE, Files};
use crate::sealed::Sealer;
use crate::store::{self, SealedCa, SealedKind, Store};

/// Why there is no certificate authority.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// One of the files.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// A new one could not be made, or sealed.
    #[error("cannot make a certificate authority: {0}")]
    NotMade(String),
    /// The one in the database cannot be used.
    #[error(
        "the CA {fingerprint} in the database cannot be used ({reason}): take secrets.key from another control \
         plane on this database, or from a backup; or, if it is lost, run `cmdop-control admin remove-ca \
         {fingerprint}`, and the next start makes a new CA (relays and machines then have to enrol again)"
    )]
    Sealed {
        /// Which one.
        fingerprint: String,
        /// What is wrong.
        reason: String,
    },
    /// A former version's files do not hold what they should, or not the same one.
    #[error(
        "{certificate} and {key} are not a usable CA ({reason}), and the database has none: restore both from a \
         backup, or move both away to make a new CA (relays and machines then have to enrol again)"
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A former version's files are of one that must not come back.
    #[error(
        "{certificate} and {key} are the CA {fingerprint}, which `cmdop-control admin remove-ca` removed from this \
         database: move both away, and the next start makes a new CA (or gets the one that another control \
         plane has made)"
    )]
    Removed {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Which one.
        fingerprint: String,
    },
    /// Something of a CA is there, and nowhere the rest.
    #[error(
        "{present} is there, but the database has no CA, and {missing} is not there: name the database that has \
         it (--database), or restore {missing} from a backup; or move {present} away to make a new CA (relays \
         and machines then have to enrol again)"
    )]
    Half {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The files are of another one than the database's.
    #[error(
        "{file} is of the CA {here}, but the database has the CA {there}: if this is the right database, move \
         {file} and {FORMER_KEY_FILE} away and start again (what has enrolled trusts the CA {there}); if it is \
         not, name the right one with --database or --data-dir"
    )]
    Other {
        /// The file.
        file: PathBuf,
        /// The fingerprint of what is in it.
        here: String,
        /// The fingerprint of the one in the database.
        there: String,
    },
    /// A former version's key is not of the CA in the database.
    #[error(
        "{file} is not the key of the CA {there} in the database: it is not needed any more, move it away and \
         start again"
    )]
    OtherKey {
        /// The file.
        file: PathBuf,
        /// The fingerprint of the one in the database.
        there: String,
    },
}

impl Ca {
    /// The one in the database. If there is none, the one of a former version's files in `dir` is taken over, or a
    /// new one is made; of several control planes that start at once, all get the same.
    pub(crate) async fn load_or_make(
        store: &Store,
        sealer: &Sealer,
        dir: &Path,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let place = dir.to_owned();
        let files = blocking(move || Files::read(&place)).await?;
        let kept = if let Some(kept) = store.certificate_authority().await? {
            kept
        } else {
            let (ca, key_pem) = match files.former(now_ms)? {
                Some(former) => former,
                None => Self::make(now_ms).map_err(Error::NotMade)?,
            };
            let sealed = ca.sealed(&key_pem, sealer)?;
            let kept = store.keep_certificate_authority(sealed, now_ms).await?;
            kept.ok_or_else(|| files.removed(&ca))?
        };
        let (ca, key) = Self::unsealed(kept, sealer, now_ms)?;
        files.must_be_of(&ca, &key)?;
        let certificate = ca.pem().to_owned();
        blocking(move || files.settle(&certificate)).await?;
        Ok(ca)
    }

    fn sealed(&self, key_pem: &str, sealer: &Sealer) -> Result<SealedCa, Error> {
        let fingerprint = self.fingerprint();
        let sealed = sealer.seal(
            SealedKind::CertificateAuthority.table(),
            &fingerprint,
            key_pem.as_bytes(),
        );
        Ok(SealedCa {
            sealed_key: sealed.map_err(|refusal: Refusal| Error::NotMade(refusal.message))?,
            certificate: self.pem().to_owned(),
            fingerprint,
        })
    }

    fn unsealed(kept: SealedCa, sealer: &Sealer, now_ms: u64) -> Result<(Self, KeyPair), Error> {
        let fingerprint = kept.fingerprint;
        let opened = sealer.open(
            SealedKind::CertificateAuthority.table(),
            &fingerprint,
            &kept.sealed_key,
        );
        let read = opened.map_err(|error| error.to_string()).and_then(|key| {
            let key = String::from_utf8(key).map_err(|_| "its key is no text".to_owned())?;
            let pair = KeyPair::from_pem(&key).map_err(|error| error.to_string())?;
            let ca = Self::read(kept.certificate, &key, now_ms)?;
            if ca.fingerprint() == fingerprint {
                Ok((ca, pair))
            } else {
                Err("its certificate is another's".to_owned())
            }
        });
        read.map_err(|reason| Error::Sealed {
            fingerprint,
            reason,
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::NotMade(error.to_string()))?
}

#[cfg(test)]
mod tests;
