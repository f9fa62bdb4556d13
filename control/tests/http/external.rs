//! Logging in at another provider of identity: a real one, small, over TLS with a CA of its own, that signs ID tokens
//! with a real key; and what it must not get away with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use cmdop_control::store::{Named, SecondFactorRule};
use cmdop_control::{OidcSettings, Secret};
use cmdop_proto::token::Role;
use cmdop_service::{serve, tls};
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use url::Url;

use crate::audit;
use crate::pages::Browser;
use crate::world::World;

const CLIENT: &str = "cmdop at example";
const SECRET: &str = "a secret: with / and +";

/// What the provider answers for a code.
#[derive(Clone)]
struct Granted {
    challenge: String,
    redirect_uri: String,
    claims: Value,
}

struct Shared {
    issuer: String,
    key: KeyPair,
    /// The key that signs, if it is not the published one.
    other_key: Option<KeyPair>,
    codes: HashMap<String, Granted>,
}

/// A provider that runs until the test ends.
struct Provider {
    shared: Arc<Mutex<Shared>>,
    issuer: String,
    ca_file: tempfile::NamedTempFile,
    _stop: tokio_util::sync::DropGuard,
}

type Locked = State<Arc<Mutex<Shared>>>;

async fn metadata(State(shared): Locked) -> Json<Value> {
    let issuer = shared.lock().unwrap().issuer.clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    }))
}

async fn keys(State(shared): Locked) -> Json<Value> {
    let shared = shared.lock().unwrap();
    let point = shared.key.public_key_raw();
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Json(
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
        "x": part(&point[1..33]), "y": part(&point[33..65])}]}),
    )
}

async fn token(
    State(shared): Locked,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut shared = shared.lock().unwrap();
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", encoded(CLIENT), encoded(SECRET));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let is_client = headers
        .get("authorization")
        .is_some_and(|given| *given == *basic);
    // Once.
    let granted = shared.codes.remove(&form["code"]);
    let Some(granted) = granted.filter(|granted| {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
        is_client && granted.challenge == challenge && granted.redirect_uri == form["redirect_uri"]
    }) else {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        )
            .into_response();
    };
    let key = shared.other_key.as_ref().unwrap_or(&shared.key);
    let key = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("k1".into());
    let id_token = jsonwebtoken::encode(&header, &granted.claims, &key).unwrap();
    Json(json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token})).into_response()
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!(
            "https://127.0.0.1:{}",
            listener.local_addr().unwrap().port()
        );
        let (ca_pem, chain, key) = certificates();
        let tls = tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            issuer: issuer.clone(),
            key: KeyPair::generate().unwrap(),
            other_key: None,
            codes: HashMap::new(),
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(shared.clone());
        let stop = CancellationToken::new();
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), ca_pem).unwrap();
        let served = serve::serve(
            listener,
            tls,
            Routes::from(routes),
            stop.clone(),
            Duration::from_secs(1),
        );
        #[allow(clippy::disallowed_methods, reason = "it ends with the token")]
        tokio::spawn(served);
        Self {
            shared,
            issuer,
            ca_file,
            _stop: stop.drop_guard(),
        }
    }

    fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuer: self.issuer.clone(),
            name: "Example <b>".into(),
            client_id: CLIENT.into(),
            client_secret: Secret::given(SECRET),
            ca_file: Some(self.ca_file.path().to_owned()),
        }
    }

    async fn world(&self) -> World {
        let settings = self.settings();
        let world = World::with(|config| config.oidc = Some(settings)).await;
        let admin = world.admin().await;
        admin
            .create_account("ada", "default", Role::Member, None)
            .await
            .unwrap();
        world
    }

    async fn knows_ada(&self, world: &World) {
        let email = Named::Email("ada@example.org");
        let named = world.admin().await;
        let named = named.name_identity("ada", &self.issuer, email).await;
        named.unwrap();
    }

    /// Ada says yes to what the browser was sent with; the ID token then differs by `changes`.
    fn allow(&self, world: &World, asked: &HashMap<String, String>, changes: Value) -> String {
        let now = world.clock.now_ms() / 1000;
        let mut claims = json!({
            "iss": self.issuer, "sub": "sub-1", "aud": CLIENT, "nonce": asked["nonce"],
            "iat": now, "exp": now + 300, "email": "ada@example.org", "email_verified": true,
        });
        let known = claims.as_object_mut().unwrap();
        let Value::Object(changes) = changes else {
            panic!("changes are an object");
        };
        known.extend(changes);
        let code = uuid::Uuid::new_v4().to_string();
        let granted = Granted {
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            claims,
        };
        self.shared
            .lock()
            .unwrap()
            .codes
            .insert(code.clone(), granted);
        code
    }
}

/// A CA, and a certificate of its for 127.0.0.1 with its key.
fn certificates() -> (String, String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    (ca_pem, leaf, key.serialize_pem())
}

/// The browser presses the link; what it takes along.
async fn leave(world: &World, browser: &mut Browser, way: &str) -> HashMap<String, String> {
    browser.open(world, way).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.html);
    let url = Url::parse(&browser.location.clone().unwrap()).unwrap();
    url.query_pairs().into_owned().collect()
}

fn back(state: &str, code: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query
        .extend_pairs([("state", state), ("code", code)])
        .finish();
    format!("/login/external/callback?{query}")
}

#[tokio::test]
async fn who_was_named_comes_in_by_address_first_and_by_subject_afterwards() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    let mut browser = Browser::default();
    browser.open(&world, "/login?user_code=BCDF-GHJK").await;
    assert!(
        browser.html.contains("Log in with Example &lt;b&gt;"),
        "{}",
        browser.html
    );
    let way = "/login/external?user_code=BCDF-GHJK";
    let asked = leave(&world, &mut browser, way).await;
    assert_eq!(
        (asked["tenant"].as_str(), asked["client_id"].as_str()),
        ("1", CLIENT)
    );
    let code = provider.allow(&world, &asked, json!({}));
    browser.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(
        browser.status,
        StatusCode::FORBIDDEN,
        "nobody named her yet"
    );

    provider.knows_ada(&world).await;
    let asked = leave(&world, &mut browser, way).await;
    let unverified = provider.allow(&world, &asked, json!({"email_verified": false}));
    browser
        .open(&world, &back(&asked["state"], &unverified))
        .await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    let code = provider.allow(&world, &asked, json!({}));
    browser.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(
        browser.location.as_deref(),
        Some("/device?user_code=BCDF-GHJK")
    );
    browser.open(&world, "/account").await;
    assert!(browser.html.contains("<strong>ada</strong>"));

    let mut later = Browser::default();
    let asked = leave(&world, &mut later, "/login/external?next=/account").await;
    let code = provider.allow(&world, &asked, json!({"email": null}));
    later.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(later.location.as_deref(), Some("/account"));
    let asked = leave(&world, &mut later, "/login/external").await;
    let code = provider.allow(&world, &asked, json!({"sub": "sub-2"}));
    later.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(
        later.status,
        StatusCode::FORBIDDEN,
        "her address is another's now"
    );
    world.admin().await.disable_account("ada").await.unwrap();
    let asked = leave(&world, &mut later, "/login/external").await;
    let code = provider.allow(&world, &asked, json!({}));
    later.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(later.status, StatusCode::FORBIDDEN);
    let page = audit::all(&world, &world.owner().await).await;
    let told = page.records.iter().map(audit::told);
    let count = told
        .filter(|line| line == "control page-login denied")
        .count();
    assert_eq!(count, 1, "it is written down that she came");
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_for_this_login_lets_nobody_in() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    provider.knows_ada(&world).await;
    let now = world.clock.now_ms() / 1000;
    for changes in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "another client"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": now - 61}),
        json!({"iat": now + 3600}),
    ] {
        let mut browser = Browser::default();
        let asked = leave(&world, &mut browser, "/login/external").await;
        let code = provider.allow(&world, &asked, changes.clone());
        browser.open(&world, &back(&asked["state"], &code)).await;
        assert_eq!(browser.status, StatusCode::BAD_GATEWAY, "{changes}");
        browser.open(&world, "/account").await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{changes}");
    }
    let mut browser = Browser::default();
    let asked = leave(&world, &mut browser, "/login/external").await;
    let code = provider.allow(&world, &asked, json!({}));
    let other_key = KeyPair::generate().unwrap();
    provider.shared.lock().unwrap().other_key = Some(other_key);
    browser.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(
        browser.status,
        StatusCode::BAD_GATEWAY,
        "signed by somebody else"
    );
    world.stop().await;
}

#[tokio::test]
async fn an_answer_counts_in_the_browser_that_asked_and_in_its_time() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    provider.knows_ada(&world).await;
    let (mut browser, mut victim) = (Browser::default(), Browser::default());
    let asked = leave(&world, &mut browser, "/login/external").await;
    victim.open(&world, "/login").await;
    let code = provider.allow(&world, &asked, json!({}));
    for mut other in [victim, Browser::default()] {
        other.open(&world, &back(&asked["state"], &code)).await;
        assert_eq!(other.status, StatusCode::FORBIDDEN);
    }
    for state in ["", "s1.0.0", &asked["state"][1..]] {
        browser.open(&world, &back(state, &code)).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{state}");
    }
    let mixed_up = format!("{}&iss=https://other.example", back(&asked["state"], &code));
    browser.open(&world, &mixed_up).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    world.clock.advance(Duration::from_secs(600));
    browser.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "too late");
    world.stop().await;
}

#[tokio::test]
async fn the_second_factor_is_asked_for_all_the_same() {
    let provider = Provider::start().await;
    let world = provider.world().await;
    provider.knows_ada(&world).await;
    let required = SecondFactorRule::Required;
    let admin = world.admin().await;
    admin
        .set_second_factor_rule("default", required)
        .await
        .unwrap();
    let mut browser = Browser::default();
    let asked = leave(&world, &mut browser, "/login/external").await;
    let code = provider.allow(&world, &asked, json!({}));
    browser.open(&world, &back(&asked["state"], &code)).await;
    assert_eq!(browser.location.as_deref(), Some("/login/second-factor"));
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_way() {
    let world = World::start().await;
    let mut browser = Browser::default();
    browser.open(&world, "/login").await;
    assert!(!browser.html.contains("/login/external"));
    for path in ["/login/external", "/login/external/callback"] {
        browser.open(&world, path).await;
        assert_eq!(browser.status, StatusCode::NOT_FOUND);
    }
    world.stop().await;
}
