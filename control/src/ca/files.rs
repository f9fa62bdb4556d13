//! What the data directory has of a certificate authority: a copy of the certificate, and of a former version both it and
//! its key.

use std::path::{Path, PathBuf};

use cmdop_service::private_file;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::kept::Error;
use super::{Ca, fingerprint};

/// The copy of its certificate, in the data directory.
pub(super) const CERTIFICATE_FILE: &str = "ca.pem";

/// Its key in a former version's data directory.
pub(super) const FORMER_KEY_FILE: &str = "ca.key";

/// Removes the copy of the certificate in `dir` if it is the one of that fingerprint: the next CA is another.
pub(crate) fn remove_copy(dir: &Path, of: &str) -> Result<(), Error> {
    let file = dir.join(CERTIFICATE_FILE);
    let is_copy = CertificateDer::from_pem_file(&file).is_ok_and(|der| fingerprint(&der) == of);
    if !is_copy {
        return Ok(());
    }
    std::fs::remove_file(&file).map_err(|reason| {
        Error::File(private_file::Error::Io {
            verb: "remove",
            path: file,
            reason,
        })
    })
}

/// What a data directory has of a CA.
#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    certificate_pem: Option<String>,
    key_pem: Option<String>,
}

impl Files {
    pub(super) fn read(dir: &Path) -> Result<Self, Error> {
        let (certificate, key) = (dir.join(CERTIFICATE_FILE), dir.join(FORMER_KEY_FILE));
        Ok(Self {
            // Public, so it may be readable by others, too.
            certificate_pem: if_there(std::fs::read_to_string(&certificate).map_err(|reason| {
                private_file::Error::Io {
                    verb: "read",
                    path: certificate.clone(),
                    reason,
                }
            }))?,
            key_pem: if_there(private_file::read(&key))?,
            certificate,
            key,
        })
    }

    /// The CA of a former version, and its key in PEM.
    pub(super) fn former(&self, now_ms: u64) -> Result<Option<(Ca, String)>, Error> {
        let half = |present: &PathBuf, missing: &PathBuf| Error::Half {
            present: present.clone(),
            missing: missing.clone(),
        };
        match (&self.certificate_pem, &self.key_pem) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(&self.certificate, &self.key)),
            (None, Some(_)) => Err(half(&self.key, &self.certificate)),
            (Some(pem), Some(key)) => match Ca::read(pem.clone(), key, now_ms) {
                Ok(ca) => Ok(Some((ca, key.clone()))),
                Err(reason) => Err(Error::Unusable {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                    reason,
                }),
            },
        }
    }

    /// Why the files of a former version are not taken over: their CA was removed.
    pub(super) fn removed(&self, ca: &Ca) -> Error {
        Error::Removed {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            fingerprint: ca.fingerprint(),
        }
    }

    /// Refuses files of another CA.
    pub(super) fn must_be_of(&self, ca: &Ca, key: &KeyPair) -> Result<(), Error> {
        let there = ca.fingerprint();
        if let Some(pem) = &self.certificate_pem {
            let read = CertificateDer::from_pem_slice(pem.as_bytes());
            let here = read.map_or("(none that can be read)".to_owned(), |der| {
                fingerprint(&der)
            });
            if here != there {
                return Err(Error::Other {
                    file: self.certificate.clone(),
                    here,
                    there,
                });
            }
        }
        if let Some(former) = &self.key_pem {
            let former = KeyPair::from_pem(former);
            if !former.is_ok_and(|former| former.public_key_raw() == key.public_key_raw()) {
                return Err(Error::OtherKey {
                    file: self.key.clone(),
                    there,
                });
            }
        }
        Ok(())
    }

    /// Leaves the certificate in the data directory, and no key: that one is in the database now.
    pub(super) fn settle(&self, certificate: &str) -> Result<(), Error> {
        if self.certificate_pem.as_deref() != Some(certificate) {
            private_file::write(&self.certificate, certificate.as_bytes())?;
        }
        if self.key_pem.is_none() {
            return Ok(());
        }
        let file = self.key.display();
        match std::fs::remove_file(&self.key) {
            Ok(()) => tracing::info!(%file, "the key of the CA is in the database now, sealed"),
            Err(error) => {
                tracing::warn!(%error, %file, "the former file with the key of the CA was not removed");
            }
        }
        Ok(())
    }
}

fn if_there(read: Result<String, private_file::Error>) -> Result<Option<String>, Error> {
    match read {
        Err(error) if error.is_missing() => Ok(None),
        read => Ok(Some(read?)),
    }
}
