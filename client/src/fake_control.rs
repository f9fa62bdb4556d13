//! A control plane for tests: the token endpoint over real TLS, answering as the test says.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::profile::Profile;

/// A TLS identity for 127.0.0.1 that signed itself.
pub(crate) struct Identity {
    pub(crate) ca_pem: String,
    pub(crate) config: Arc<ServerConfig>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let chain = vec![CertificateDer::from(key.cert.der().to_vec())];
        let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            ca_pem: key.cert.pem(),
            config: Arc::new(config),
        }
    }
}

/// What the fields of a form are answered with: a status and a JSON body.
type Answer = Arc<dyn Fn(&str, &HashMap<String, String>) -> (u16, Value) + Send + Sync>;

/// A running fake control plane.
pub(crate) struct FakeControl {
    pub(crate) profile: Profile,
    _tasks: JoinSet<()>,
}

impl FakeControl {
    /// `answer` gets the path and the form.
    pub(crate) async fn start(
        answer: impl Fn(&str, &HashMap<String, String>) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Answer = Arc::new(answer);
        let router = Router::new()
            .route("/oauth/{endpoint}", routing::post(reply))
            .with_state(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, identity.config.into(), router));
        Self {
            profile: Profile {
                name: "test".into(),
                control_url: format!("https://{address}"),
                ca_pem: identity.ca_pem,
                ..Profile::default()
            },
            _tasks: tasks,
        }
    }
}

async fn reply(
    State(answer): State<Answer>,
    uri: http::Uri,
    Form(form): Form<HashMap<String, String>>,
) -> impl IntoResponse {
    let (status, body) = answer(uri.path(), &form);
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = TowerToHyperService::new(router);
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
