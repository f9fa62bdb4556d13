//! TLS 1.3 for servers, with ring as the one provider of cryptography in the whole tree.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a server's TLS identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a PEM certificate chain or key.
    #[error("the TLS {what} is not valid PEM: {reason}")]
    Pem {
        /// "certificate" or "key".
        what: &'static str,
        /// What the parser said.
        reason: rustls_pki_types::pem::Error,
    },
    /// The two do not belong together, or the key's kind is not supported.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// Makes ring the process's provider; harmless when done twice.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A server configuration that speaks TLS 1.3 and offers HTTP/2, then HTTP/1.1.
pub fn server_config(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, Error> {
    let chain = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| Error::Pem {
            what: "certificate",
            reason,
        })?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|reason| Error::Pem {
        what: "key",
        reason,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Error::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(Error::Unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
