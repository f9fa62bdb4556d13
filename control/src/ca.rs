//! The private certificate authority: who it is, and the server certificates that it signs.
//!
//! A certificate says only what we decided. What a certificate request wishes for is compared with
//! what its relay may be called, and never copied.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::{Refusal, text};
use cmdop_service::private_file;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::names::MAX_PEM;
use crate::secret;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Long, because replacing it means enrolling everything again.
const CA_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// The most that today's TLS stacks accept from a private CA.
const SERVER_LIFETIME: Duration = Duration::from_secs(825 * 24 * 60 * 60);

/// The names under which a server on this computer is always reached.
pub(crate) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why there is no certificate authority.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of its files.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// One of the two is missing.
    #[error(
        "{present} is there but {missing} is not: restore it from a backup, or move {present} away \
         to make a new CA (relays and machines then have to enrol again)"
    )]
    Half {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The files do not hold what they should, or not the same one.
    #[error(
        "{certificate} and {key} are not a usable CA ({reason}): restore both from a backup, or \
         move both away to make a new CA (relays and machines then have to enrol again)"
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A certificate authority with its key.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({})", self.fingerprint())
    }
}

/// A server's certificate chain and key, PEM.
pub(crate) struct ServerIdentity {
    /// The server's certificate, then the CA's: who enrols pins the CA and must be shown it.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: String,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerIdentity(…)")
    }
}

impl Ca {
    /// The CA whose files are in `dir`; made there if there are none.
    pub(crate) fn load_or_make(dir: &Path, now_ms: u64) -> Result<Self, Error> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        let unusable = |reason: String| Error::Unusable {
            certificate: certificate.clone(),
            key: key.clone(),
            reason,
        };
        match (certificate.exists(), key.exists()) {
            (false, false) => {
                let (certificate_pem, key_pem) =
                    make(now_ms).map_err(|e| unusable(e.to_string()))?;
                private_file::write(&key, key_pem.as_bytes())?;
                private_file::write(&certificate, certificate_pem.as_bytes())?;
            }
            (true, false) => return Err(half(certificate, key)),
            (false, true) => return Err(half(key, certificate)),
            (true, true) => {}
        }
        let key_pem = private_file::read(&key)?;
        let pem =
            std::fs::read_to_string(&certificate).map_err(|reason| private_file::Error::Io {
                verb: "read",
                path: certificate.clone(),
                reason,
            })?;
        let ca = Self::from_pem(pem, &key_pem).map_err(unusable)?;
        ca.prove(now_ms).map_err(unusable)?;
        Ok(ca)
    }

    fn from_pem(pem: String, key_pem: &str) -> Result<Self, String> {
        let key = KeyPair::from_pem(key_pem).map_err(|error| error.to_string())?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| e.to_string())?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| error.to_string())?;
        Ok(Self { issuer, pem, der })
    }

    /// Signs a certificate and checks it as a client would: finds a key of another certificate.
    fn prove(&self, now_ms: u64) -> Result<(), String> {
        let identity = self
            .server_identity(&["localhost".into()], now_ms)
            .map_err(|error| error.to_string())?;
        let leaf = CertificateDer::from_pem_slice(identity.chain_pem.as_bytes())
            .map_err(|error| error.to_string())?;
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(self.der.clone())
            .map_err(|error| error.to_string())?;
        let provider = rustls::crypto::ring::default_provider();
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots.into(),
            Arc::new(provider),
        )
        .build()
        .map_err(|error| error.to_string())?;
        let name = "localhost".try_into().map_err(|_| "no name".to_owned())?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
        rustls::client::danger::ServerCertVerifier::verify_server_cert(
            &*verifier,
            &leaf,
            &[],
            &name,
            &[],
            now,
        )
        .map(drop)
        .map_err(|error| format!("what the key signs does not fit the certificate: {error}"))
    }

    /// The certificate, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the certificate, as it stands in enrolment tokens.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// A new key and a certificate for a server that has these names or addresses.
    pub(crate) fn server_identity(
        &self,
        names: &[String],
        now_ms: u64,
    ) -> Result<ServerIdentity, rcgen::Error> {
        let key = KeyPair::generate()?;
        Ok(ServerIdentity {
            chain_pem: format!("{}{}", self.certificate(names, &key, now_ms)?, self.pem),
            key_pem: key.serialize_pem(),
        })
    }

    /// A certificate for a relay that is reached at `host`, if its request asks for nothing beyond.
    pub(crate) fn sign_relay(
        &self,
        csr_pem: &str,
        host: &str,
        now_ms: u64,
    ) -> Result<String, Refusal> {
        let bad = |why: String| Refusal::invalid("bad-request", why);
        if csr_pem.len() > MAX_PEM {
            return Err(bad("the certificate request is too long".into()));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|error| bad(format!("the certificate request is not usable: {error}")))?;
        let mut names: Vec<String> = vec![host.to_owned()];
        names.extend(
            LOOPBACK
                .iter()
                .filter(|name| **name != host)
                .map(ToString::to_string),
        );
        for wished in &request.params.subject_alt_names {
            if !names.iter().any(|name| is_same(wished, name)) {
                return Err(bad(format!(
                    "the certificate request names {}, which is not the host of the relay's address",
                    shown(wished)
                ))
                .hint(format!("it may name {}", names.join(", "))));
            }
        }
        self.certificate(&names, &request.public_key, now_ms)
            .map_err(|error| bad(format!("the certificate request is not usable: {error}")))
    }

    fn certificate(
        &self,
        names: &[String],
        key: &impl PublicKeyData,
        now_ms: u64,
    ) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = called(names.first().map_or("cmdop", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        lives(&mut params, SERVER_LIFETIME, now_ms);
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

/// The fingerprint of the CA in `dir`, for those who may not have its key.
pub(crate) fn fingerprint_in(dir: &Path) -> Result<String, Error> {
    let path = dir.join("ca.pem");
    let der = CertificateDer::from_pem_file(&path).map_err(|error| Error::Unusable {
        certificate: path,
        key: dir.join("ca.key"),
        reason: error.to_string(),
    })?;
    Ok(fingerprint(&der))
}

fn fingerprint(der: &CertificateDer<'_>) -> String {
    secret::hex(&Sha256::digest(der.as_ref()))
}

fn half(present: PathBuf, missing: PathBuf) -> Error {
    Error::Half { present, missing }
}

fn make(now_ms: u64) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // Its own name for each CA: a client that has seen two can tell which one signed.
    let serial = &secret::random_hex()[..8];
    params.distinguished_name = called(&format!("cmdop private CA {serial}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lives(&mut params, CA_LIFETIME, now_ms);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    // An X.509 common name has at most 64 characters; nobody checks it, the SANs count.
    called.push(DnType::CommonName, text::shown(name, 64));
    called
}

/// From yesterday, so that a peer whose clock is behind believes it too.
fn lives(params: &mut CertificateParams, lifetime: Duration, now_ms: u64) {
    let now = OffsetDateTime::from_unix_timestamp((now_ms / 1000) as i64)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = now - DAY;
    params.not_after = now + lifetime;
}

fn is_same(wished: &SanType, name: &str) -> bool {
    match wished {
        SanType::DnsName(wished) => wished.as_str().eq_ignore_ascii_case(name),
        SanType::IpAddress(wished) => name.parse::<IpAddr>().is_ok_and(|name| name == *wished),
        _ => false,
    }
}

fn shown(wished: &SanType) -> String {
    match wished {
        SanType::DnsName(name) => text::shown(name.as_str(), 64),
        SanType::IpAddress(address) => address.to_string(),
        _ => "something that is neither a host nor an address".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn request(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn the_ca_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Ca::load_or_make(dir.path(), NOW).unwrap();
        let second = Ca::load_or_make(dir.path(), NOW).unwrap();
        assert_eq!(first.pem(), second.pem());
        assert_eq!(fingerprint_in(dir.path()).unwrap(), first.fingerprint());
        assert_eq!(first.fingerprint().len(), 64);
    }

    #[test]
    fn a_key_of_another_ca_is_found_at_the_start() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Ca::load_or_make(one.path(), NOW).unwrap();
        Ca::load_or_make(other.path(), NOW).unwrap();
        std::fs::copy(other.path().join("ca.key"), one.path().join("ca.key")).unwrap();
        let error = Ca::load_or_make(one.path(), NOW).unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{error}");
        std::fs::remove_file(one.path().join("ca.key")).unwrap();
        let error = Ca::load_or_make(one.path(), NOW).unwrap_err();
        assert!(matches!(error, Error::Half { .. }), "{error}");
    }

    #[test]
    fn a_relay_gets_the_names_of_its_address_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_make(dir.path(), NOW).unwrap();
        let host = "relay.example.org";
        assert!(
            ca.sign_relay(&request(&[host, "localhost"]), host, NOW)
                .is_ok()
        );
        assert!(ca.sign_relay(&request(&[]), host, NOW).is_ok());
        let refusal = ca
            .sign_relay(&request(&[host, "control.example.org"]), host, NOW)
            .unwrap_err();
        assert!(refusal.message.contains("control.example.org"), "{refusal}");
        assert!(refusal.hint.contains(host), "{}", refusal.hint);
        assert!(ca.sign_relay(&request(&["10.0.0.1"]), host, NOW).is_err());
        assert!(ca.sign_relay("nonsense", host, NOW).is_err());
    }

    #[test]
    fn a_request_to_be_a_ca_makes_no_ca() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_make(dir.path(), NOW).unwrap();
        let pem = ca
            .sign_relay(&request(&["localhost"]), "localhost", NOW)
            .unwrap();
        let leaf = KeyPair::generate().unwrap();
        // 2.5.29.19, the basic constraints, without which nobody takes a certificate for a CA's.
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert!(!der.windows(3).any(|oid| oid == [0x55, 0x1d, 0x13]));
        let issuer = Issuer::from_ca_cert_pem(&pem, leaf).unwrap();
        assert_eq!(issuer.key_usages(), [KeyUsagePurpose::DigitalSignature]);
    }
}
