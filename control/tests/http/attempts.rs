//! Every HTTP route as somebody of another workspace asks it about the things of this one: what they send, and what
//! they are answered where their credentials are looked at.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::calls::Things;
use crate::pages::PASSWORD;
use crate::world::{API_KEY, TOKEN_EXCHANGE, text};

/// What there is of the one workspace: what a stranger may have heard of it, or seen over somebody's shoulder.
pub struct Ours {
    pub workspace: String,
    pub things: Things,
    /// Tokens of a login.
    pub owner: Value,
    /// An API key.
    pub key: String,
    /// The code of a device that ada has approved, and which has not come back yet.
    pub user_code: String,
    /// One of ada's recovery codes.
    pub recovery: String,
    /// The login of `owner`.
    pub login: String,
}

/// How a stranger shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    AccessToken,
    ApiKey,
    RefreshToken,
    /// The access token of a machine.
    Machine,
    /// The cookie of a browser that is logged in, with its form token.
    Page,
    /// The cookie of a browser that has proved the first factor, and is asked for the second.
    Halfway,
    /// The cookie of a browser that has to set up a second factor first.
    Enrolling,
}

impl Shown {
    pub const ALL: [Self; 7] = [
        Self::AccessToken,
        Self::ApiKey,
        Self::RefreshToken,
        Self::Machine,
        Self::Page,
        Self::Halfway,
        Self::Enrolling,
    ];
}

/// One way to ask a route.
pub struct Attempt {
    pub method: Method,
    pub path: &'static str,
    pub fields: Vec<(&'static str, String)>,
    /// The credentials that this route looks at, and its answer to them: proof that it was asked in earnest.
    pub answers: Option<(Shown, StatusCode)>,
}

impl Attempt {
    fn to(method: Method, path: &'static str) -> Self {
        Self {
            method,
            path,
            fields: Vec::new(),
            answers: None,
        }
    }

    fn get(path: &'static str) -> Self {
        Self::to(Method::GET, path)
    }

    fn post(path: &'static str) -> Self {
        Self::to(Method::POST, path)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn answers(mut self, shown: Shown, status: StatusCode) -> Self {
        self.answers = Some((shown, status));
        self
    }
}

/// All attempts. `assertion` is a stranger's machine saying that it is one of ours.
pub fn all(ours: &Ours, assertion: &str) -> Vec<Attempt> {
    let mut all = published();
    all.extend(tokens(ours, assertion));
    all.extend(logins(ours));
    all.extend(pages(ours));
    all
}

/// What everybody is told, and therefore nothing of anybody.
fn published() -> Vec<Attempt> {
    [
        "/healthz",
        "/style.css",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ]
    .map(|path| Attempt::get(path).answers(Shown::AccessToken, StatusCode::OK))
    .into_iter()
    .chain([
        Attempt::post("/oauth/device_authorization")
            .with("client_id", "cmdop-cli")
            .answers(Shown::Page, StatusCode::OK),
        // What is heard over a socket is tried over a socket.
        Attempt::get("/connection/websocket")
            .answers(Shown::AccessToken, StatusCode::METHOD_NOT_ALLOWED),
    ])
    .collect()
}

/// What programs ask.
fn tokens(ours: &Ours, assertion: &str) -> Vec<Attempt> {
    let token = || Attempt::post("/oauth/token");
    let refused = |attempt: Attempt| attempt.answers(Shown::AccessToken, StatusCode::BAD_REQUEST);
    let introspect = |token: &str| {
        Attempt::post("/oauth/introspect")
            .with("token", token)
            .answers(Shown::AccessToken, StatusCode::OK)
    };
    let revoke = |token: &str| {
        Attempt::post("/oauth/revoke")
            .with("token", token)
            .answers(Shown::AccessToken, StatusCode::OK)
    };
    vec![
        refused(
            token()
                .with("grant_type", "refresh_token")
                .with("refresh_token", &ours.login),
        ),
        refused(
            token()
                .with("grant_type", TOKEN_EXCHANGE)
                .with("subject_token_type", API_KEY)
                .with("subject_token", &ours.things.key),
        ),
        token()
            .with("grant_type", "client_credentials")
            .with(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .with("client_assertion", assertion)
            .answers(Shown::Machine, StatusCode::UNAUTHORIZED),
        introspect(text(&ours.owner["access_token"])),
        introspect(text(&ours.owner["refresh_token"])),
        introspect(&ours.key),
        revoke(&ours.login),
        revoke(&ours.things.key),
    ]
}

/// The way in.
fn logins(ours: &Ours) -> Vec<Attempt> {
    vec![
        Attempt::get("/login").answers(Shown::Page, StatusCode::OK),
        // Their own name and a password of ours.
        Attempt::post("/login")
            .with("name", "eve")
            .with("password", PASSWORD)
            .answers(Shown::Page, StatusCode::FORBIDDEN),
        Attempt::get("/login/code").answers(Shown::Halfway, StatusCode::OK),
        Attempt::post("/login/code")
            .with("code", &ours.recovery)
            .answers(Shown::Halfway, StatusCode::FORBIDDEN),
        Attempt::get("/login/second-factor").answers(Shown::Enrolling, StatusCode::OK),
        Attempt::post("/login/second-factor")
            .with("code", &ours.recovery)
            .answers(Shown::Enrolling, StatusCode::FORBIDDEN),
        Attempt::get("/login/external").answers(Shown::Page, StatusCode::NOT_FOUND),
        Attempt::get("/login/external/callback")
            .with("code", &ours.recovery)
            .with("state", &ours.login)
            .answers(Shown::Page, StatusCode::NOT_FOUND),
    ]
}

/// What a browser that is logged in asks.
fn pages(ours: &Ours) -> Vec<Attempt> {
    let page = |attempt: Attempt, status| attempt.answers(Shown::Page, status);
    let factor = |step: &str| Attempt::post("/account/second-factor").with("step", step);
    let device = |decision: &str| {
        Attempt::post("/device")
            .with("user_code", &ours.user_code)
            .with("decision", decision)
    };
    let authorize = |attempt: Attempt| {
        attempt
            .with("response_type", "code")
            .with("client_id", "cmdop-cli")
            .with("redirect_uri", "http://127.0.0.1:4711/callback")
            .with("code_challenge", "a".repeat(43))
            .with("code_challenge_method", "S256")
    };
    let invitation = |attempt: Attempt| {
        let attempt = attempt.with("token", &ours.things.invitation);
        attempt.answers(Shown::AccessToken, StatusCode::NOT_FOUND)
    };
    let ended = Attempt::post("/account/logins").with("login", &ours.login);
    let renewed = factor("recovery-codes").with("code", &ours.recovery);
    let off = factor("disable")
        .with("password", PASSWORD)
        .with("code", &ours.recovery);
    vec![
        page(Attempt::get("/account"), StatusCode::OK),
        page(
            Attempt::post("/account/password")
                .with("password", PASSWORD)
                .with("new_password", "another one entirely"),
            StatusCode::FORBIDDEN,
        ),
        page(ended, StatusCode::NOT_FOUND),
        page(renewed, StatusCode::FORBIDDEN),
        page(off, StatusCode::FORBIDDEN),
        page(
            Attempt::get("/device").with("user_code", &ours.user_code),
            StatusCode::NOT_FOUND,
        ),
        page(device("approve"), StatusCode::NOT_FOUND),
        page(device("deny"), StatusCode::NOT_FOUND),
        invitation(Attempt::get("/invitation")),
        invitation(
            Attempt::post("/invitation")
                .with("name", "mallory-2")
                .with("password", PASSWORD),
        ),
        page(authorize(Attempt::get("/oauth/authorize")), StatusCode::OK),
        page(
            authorize(Attempt::post("/oauth/authorize")).with("decision", "approve"),
            StatusCode::SEE_OTHER,
        ),
        page(Attempt::post("/logout"), StatusCode::OK),
    ]
}
