//! Making a channel: TCP, TLS 1.3 with the trusted CA and no other, HTTP/2.
//!
//! It dials once and says precisely why it failed; whether to dial again is the caller's decision.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cmdop_proto::{Refusal, limits};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// TCP and TLS together must be done in this time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Unsent bytes that the kernel may hold: what a keystroke can stand behind in the socket.
const NOT_SENT_LOW_WATER: u32 = 128 << 10;

/// Whose servers are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those whose certificate this CA signed, PEM.
    Ca(String),
    /// Those that present a CA certificate with this SHA-256 and a certificate signed by it: what an
    /// enrolment token carries.
    Fingerprint([u8; 32]),
    /// Those whose certificate one of the system's roots signed.
    System,
}

/// What the connection will carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Keys and their echoes: small windows.
    Interactive,
    /// Files and bulk output: large windows.
    Bulk,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not `https://host:port`.
    #[error("`{url}` is not an address of the form https://host:port")]
    Address {
        /// What was given.
        url: String,
    },
    /// The CA certificate of the profile is not usable.
    #[error("the CA certificate is not usable: {0}")]
    Ca(String),
    /// Nobody answers there.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        reason: io::Error,
    },
    /// Somebody answers, but it is not a server that we trust.
    #[error("{url} is not a server that we trust: {reason}")]
    Untrusted {
        /// Where.
        url: String,
        /// What TLS said.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{url} did not answer in {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// Where.
        url: String,
    },
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Address { .. } => Refusal::invalid("bad-address", message),
            Error::Ca(_) => Refusal::invalid("bad-ca", message),
            Error::Unreachable { .. } | Error::Timeout { .. } => {
                Refusal::unavailable("unreachable", message)
                    .hint("check the network and that the server runs; `cmdop status` tells")
            }
            Error::Untrusted { .. } => Refusal::denied("untrusted-server", message)
                .hint("the server's CA changed, or this is another server: log in or enrol again"),
        }
    }
}

/// Dials `url` (`https://host:port`) and finishes TLS before it returns, so that an error is named
/// here and not at the first call.
pub async fn dial(url: &str, trust: &Trust, lane: Lane) -> Result<Channel, Error> {
    let (uri, host, port) = address(url)?;
    let config = Arc::new(tls_config(trust)?);
    let connect = connect(url, host, port, config);
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect)
        .await
        .map_err(|_| Error::Timeout { url: url.into() })??;
    over(uri, stream, lane)
        .await
        .map_err(|reason| Error::Unreachable {
            url: url.into(),
            reason: io::Error::other(reason),
        })
}

/// Dials the same way for HTTP/1.1, which is what a WebSocket begins as.
pub async fn http1(
    url: &str,
    trust: &Trust,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let (_, host, port) = address(url)?;
    let mut config = tls_config(trust)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    tokio::time::timeout(CONNECT_TIMEOUT, connect(url, host, port, Arc::new(config)))
        .await
        .map_err(|_| Error::Timeout { url: url.into() })?
}

fn address(url: &str) -> Result<(Uri, String, u16), Error> {
    let wrong = || Error::Address { url: url.into() };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (Some("https"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16())
    else {
        return Err(wrong());
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok((uri, host, port))
}

async fn connect(
    url: &str,
    host: String,
    port: u16,
    config: Arc<ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let unreachable = |reason| Error::Unreachable {
        url: url.into(),
        reason,
    };
    let name =
        ServerName::try_from(host.clone()).map_err(|_| Error::Address { url: url.into() })?;
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(unreachable)?;
    // Wishes: without them the connection is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT_LOW_WATER);
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|reason| match reason.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => Error::Untrusted {
                url: url.into(),
                reason: inner.to_string(),
            },
            _ => unreachable(reason),
        })
}

/// HTTP/2 over a stream that stands, which need not be a network's. The channel never dials by itself:
/// when the stream is lost, its calls fail and the owner decides.
pub async fn over<S>(uri: Uri, stream: S, lane: Lane) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream_window, connection_window) = match lane {
        Lane::Interactive => (limits::STREAM_WINDOW, limits::CONNECTION_WINDOW),
        Lane::Bulk => (limits::BULK_STREAM_WINDOW, limits::BULK_CONNECTION_WINDOW),
    };
    let mut stream = Some(stream);
    let once = tower::service_fn(move |_: Uri| {
        let stream = stream
            .take()
            .map(TokioIo::new)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        std::future::ready(stream)
    });
    // The stream is encrypted already; the scheme in the address only tells tonic not to try again.
    Endpoint::from(plain(uri))
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .http2_keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(once)
        .await
}

fn plain(uri: Uri) -> Uri {
    let mut parts = uri.into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).expect("scheme, authority and path are all there")
}

/// A TLS 1.3 configuration that believes only in `trust`.
pub fn tls_config(trust: &Trust) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Ca(error.to_string()))?;
    let mut config = match trust {
        Trust::Ca(_) | Trust::System => {
            let roots = match trust {
                Trust::Ca(pem) => pem_roots(pem)?,
                _ => system_roots(),
            };
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| Error::Ca(error.to_string()))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth()
        }
        Trust::Fingerprint(fingerprint) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedCa {
                fingerprint: *fingerprint,
                provider,
            }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn pem_roots(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| Error::Ca(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| Error::Ca(error.to_string()))?;
    }
    Ok(roots)
}

/// Roots that cannot be read or parsed are left out: the others still serve.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Dials a server that presents the CA with this SHA-256, and returns that CA as PEM: how a
/// fingerprint that a person was given becomes the CA that a profile keeps.
pub async fn fetch_ca(url: &str, fingerprint: [u8; 32]) -> Result<String, Error> {
    let (_, host, port) = address(url)?;
    let config = Arc::new(tls_config(&Trust::Fingerprint(fingerprint))?);
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect(url, host, port, config))
        .await
        .map_err(|_| Error::Timeout { url: url.into() })??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    chain
        .iter()
        .find(|ca| Sha256::digest(ca.as_ref()).as_slice() == fingerprint)
        .map(|ca| pem(ca))
        .ok_or_else(|| Error::Ca("the server did not present it".into()))
}

/// RFC 7468: base64 in lines of 64.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = BASE64_STANDARD.encode(certificate.as_ref());
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Believes a server whose chain holds the CA with the pinned fingerprint, and only through that CA.
#[derive(Debug)]
struct PinnedCa {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates
            .iter()
            .find(|ca| Sha256::digest(ca.as_ref()).as_slice() == self.fingerprint)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        rustls::client::verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
