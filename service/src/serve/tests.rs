//! Connections that say nothing, and connections that are too many.

use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls;

/// A server within bounds, and how to reach it.
struct World {
    address: SocketAddr,
    connector: TlsConnector,
    _tasks: JoinSet<()>,
}

type Client = tokio_rustls::client::TlsStream<TcpStream>;

impl World {
    async fn start(bounds: Bounds) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let server =
            tls::server_config(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
                .unwrap();
        let mut roots = RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap();
        roots.add(der).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stop = CancellationToken::new();
            serve_within(
                bounds,
                listener,
                server,
                router.into(),
                stop,
                Duration::ZERO,
            )
            .await
            .unwrap();
        });
        Self {
            address,
            connector: TlsConnector::from(Arc::new(client)),
            _tasks: tasks,
        }
    }

    async fn connect(&self) -> io::Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector.connect(name, stream).await
    }
}

async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), event)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// Whether the server answers a request.
async fn is_answered(client: &mut Client) -> bool {
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = Vec::new();
    client.write_all(request).await.is_ok()
        && client.read_to_end(&mut answer).await.is_ok()
        && answer.ends_with(b"here")
}

#[tokio::test]
async fn a_peer_that_does_not_say_which_http_it_speaks_is_let_go() {
    let world = World::start(Bounds {
        connections: Limits::default(),
        first_bytes: Duration::from_millis(100),
    })
    .await;
    for said in ["", "PRI * HTTP/2.0\r\n", "GET / HTTP/1"] {
        let mut client = world.connect().await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let end = within("the end", client.read_to_end(&mut rest)).await;
        assert!(end.is_err() || rest.is_empty() || !rest.ends_with(b"here"));
    }
    let mut client = world.connect().await.unwrap();
    assert!(within("an answer", is_answered(&mut client)).await);
}

#[tokio::test]
async fn connections_beyond_a_peers_share_are_turned_away_until_one_leaves() {
    let world = World::start(Bounds {
        connections: Limits {
            total: 10,
            of_peer: 2,
        },
        first_bytes: FIRST_BYTES_TIMEOUT,
    })
    .await;
    let first = world.connect().await.unwrap();
    let mut second = world.connect().await.unwrap();
    assert!(world.connect().await.is_err());
    drop(first);
    let mut third = within("a place", async {
        loop {
            if let Ok(client) = world.connect().await {
                break client;
            }
        }
    })
    .await;
    assert!(within("an answer", is_answered(&mut third)).await);
    assert!(within("an answer", is_answered(&mut second)).await);
}
