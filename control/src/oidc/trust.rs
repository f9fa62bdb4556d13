//! Which certificates the identity provider may have: those of the system's CAs, or of one that was configured.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// TLS towards it; what is wrong is said in a sentence.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {
            // Those that cannot be read are left out: the others still serve.
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
        Some(path) => {
            let text = std::fs::read(path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|error| error.to_string())?;
                let added = roots.add(certificate);
                added.map_err(|error| error.to_string())?;
            }
        }
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
