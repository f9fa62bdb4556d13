//! The private certificate authority: who it is, and the server certificates that it signs.
//!
//! A certificate says only what we decided. What a certificate request wishes for is compared with
//! what its relay may be called, and never copied. Where the CA is kept is not known here, but in [`kept`], and what
//! is in files of it in [`files`].

mod files;
mod kept;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::{Refusal, text};
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

pub(crate) use files::remove_copy;
pub(crate) use kept::Error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Long, because replacing it means enrolling everything again.
const CA_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// The most that today's TLS stacks accept from a private CA.
const SERVER_LIFETIME: Duration = Duration::from_secs(825 * 24 * 60 * 60);

/// The names under which a server on this computer is always reached.
pub(crate) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

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
    /// A new one, and its key in PEM.
    fn make(now_ms: u64) -> Result<(Self, String), String> {
        let (pem, key_pem) = self_signed(now_ms).map_err(|error| error.to_string())?;
        Ok((Self::from_pem(pem, &key_pem)?, key_pem))
    }

    /// The one of that certificate and key, if they fit.
    fn read(pem: String, key_pem: &str, now_ms: u64) -> Result<Self, String> {
        let ca = Self::from_pem(pem, key_pem)?;
        ca.prove(now_ms)?;
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

fn fingerprint(der: &CertificateDer<'_>) -> String {
    secret::hex(&Sha256::digest(der.as_ref()))
}

fn self_signed(now_ms: u64) -> Result<(String, String), rcgen::Error> {
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
    fn a_key_of_another_ca_does_not_fit() {
        let ((one, key), (_, other)) = (Ca::make(NOW).unwrap(), Ca::make(NOW).unwrap());
        assert_eq!(one.fingerprint().len(), 64);
        assert!(Ca::read(one.pem().into(), &key, NOW).is_ok());
        let error = Ca::read(one.pem().into(), &other, NOW).unwrap_err();
        assert!(error.contains("does not fit"), "{error}");
        assert!(Ca::read("nonsense".into(), &key, NOW).is_err());
    }

    #[test]
    fn a_relay_gets_the_names_of_its_address_and_no_others() {
        let (ca, _) = Ca::make(NOW).unwrap();
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
        let (ca, _) = Ca::make(NOW).unwrap();
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
