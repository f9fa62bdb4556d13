//! The device flow as a person and a program go through it: the pages by their forms, with a browser's
//! cookie, and the polls between.

use std::time::Duration;

use cmdop_control::lifetimes::{DEVICE_CODE, DEVICE_INTERVAL};
use cmdop_control::store::{self, AuditFilter, Database, DatabaseUrl, Logins, Schema, Store};
use cmdop_proto::token::Role;
use http::StatusCode;
use serde_json::Value;

use crate::audit;
use crate::world::{Refused, World, text};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const PASSWORD: &str = "correct horse battery";

/// A browser: its cookie, and the page that it shows.
#[derive(Default)]
pub struct Browser {
    pub cookie: Option<String>,
    pub status: StatusCode,
    pub html: String,
    /// Where the last answer sent it.
    pub location: Option<String>,
}

impl Browser {
    pub async fn open(&mut self, world: &World, path: &str) {
        self.send(world.http.get(world.url(path))).await;
    }

    pub async fn submit(&mut self, world: &World, path: &str, form: &[(&str, &str)]) {
        self.send(world.http.post(world.url(path)).form(form)).await;
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(cookie.contains(attribute), "{cookie}");
            }
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        let location = answer.headers().get("location");
        self.location = location.map(|location| location.to_str().unwrap().to_owned());
        self.status = answer.status();
        self.html = answer.text().await.unwrap();
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let field = format!("name=\"{name}\" value=\"");
        let rest = self
            .html
            .split(&field)
            .nth(1)
            .expect("the form has the field");
        rest.split('"').next().unwrap().to_owned()
    }

    pub async fn log_in(&mut self, world: &World, code: &str, name: &str, password: &str) {
        self.open(world, &format!("/login?user_code={code}")).await;
        let (csrf, code) = (self.hidden("csrf"), self.hidden("user_code"));
        let form = [
            ("csrf", &*csrf),
            ("user_code", &*code),
            ("name", name),
            ("password", password),
        ];
        self.submit(world, "/login", &form).await;
    }

    /// Logs ada in, who says yes to a device.
    async fn approve(&mut self, world: &World, code: &str) {
        self.log_in(world, code, "ada", PASSWORD).await;
        let asked = self.location.clone().unwrap();
        self.open(world, &asked).await;
        let form = [
            ("csrf", &*self.hidden("csrf")),
            ("user_code", code),
            ("decision", "approve"),
        ];
        self.submit(world, "/device", &form).await;
        assert_eq!(self.status, StatusCode::OK, "{}", self.html);
    }
}

pub async fn with_ada() -> World {
    let world = World::start().await;
    let admin = world.admin().await;
    let made = admin.create_account("ada", "default", Role::Member, Some(PASSWORD));
    made.await.unwrap();
    world
}

async fn ask_for_code(world: &World) -> Value {
    let answer = world
        .post("/oauth/device_authorization", &[("client_id", "cmdop-cli")])
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn poll(world: &World, device: &Value) -> Result<Value, Refused> {
    world.clock.advance(DEVICE_INTERVAL);
    poll_now(world, device).await
}

async fn poll_now(world: &World, device: &Value) -> Result<Value, Refused> {
    world
        .token(&[
            ("grant_type", DEVICE_GRANT),
            ("client_id", "cmdop-cli"),
            ("device_code", text(&device["device_code"])),
        ])
        .await
}

#[tokio::test]
async fn a_person_approves_a_device_and_the_program_gets_tokens_once() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let code = text(&device["user_code"]);
    assert_eq!(text(&device["verification_uri"]), world.url("/device"));
    assert_eq!(
        poll(&world, &device).await.unwrap_err().error,
        "authorization_pending"
    );

    let mut browser = Browser::default();
    browser
        .open(&world, &format!("/device?user_code={code}"))
        .await;
    assert_eq!(
        browser.location.as_deref(),
        Some(&*format!("/login?user_code={code}"))
    );
    browser.open(&world, "/login").await;
    let planted = browser.cookie.clone();
    assert!(planted.is_some());
    browser.log_in(&world, code, "ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    assert_ne!(browser.cookie, planted, "the cookie is new after the login");
    let device_page = browser.location.clone().unwrap();
    assert_eq!(device_page, format!("/device?user_code={code}"));

    browser.open(&world, &device_page).await;
    assert!(browser.html.contains("<strong>ada</strong>") && browser.html.contains("127.0.0.1"));
    let csrf = browser.hidden("csrf");
    let form = [
        ("csrf", &*csrf),
        ("user_code", code),
        ("decision", "approve"),
    ];
    browser.submit(&world, "/device", &form).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);

    let granted = poll(&world, &device).await.unwrap();
    let me = world.who_am_i(&granted["access_token"]).await.unwrap();
    assert_eq!(
        (me.account_name.as_str(), me.role.as_str()),
        ("ada", "member")
    );
    assert!(world.refresh(&granted["refresh_token"]).await.is_ok());
    assert_eq!(
        poll(&world, &device).await.unwrap_err().error,
        "invalid_grant"
    );
    browser.open(&world, "/device").await;
    assert_eq!(
        browser.location.as_deref(),
        Some("/login"),
        "the page login is over"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_person_says_no_and_the_program_hears_it() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let code = text(&device["user_code"]).to_lowercase().replace('-', " ");
    let mut browser = Browser::default();
    browser.log_in(&world, "", "ADA", PASSWORD).await;
    browser.open(&world, "/device").await;
    let csrf = browser.hidden("csrf");
    browser
        .submit(&world, "/device", &[("csrf", &csrf), ("user_code", &code)])
        .await;
    assert!(
        browser.html.contains(text(&device["user_code"])),
        "{}",
        browser.html
    );
    let form = [("csrf", &*csrf), ("user_code", &code), ("decision", "deny")];
    browser.submit(&world, "/device", &form).await;
    assert_eq!(browser.status, StatusCode::OK);
    assert_eq!(
        poll(&world, &device).await.unwrap_err().error,
        "access_denied"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let code = text(&device["user_code"]);
    let mut stranger = Browser::default();
    stranger.open(&world, "/login").await;
    let foreign = stranger.hidden("csrf");

    let mut browser = Browser::default();
    let login = [("csrf", &*foreign), ("name", "ada"), ("password", PASSWORD)];
    browser.submit(&world, "/login", &login).await;
    assert_eq!(
        browser.status,
        StatusCode::FORBIDDEN,
        "a form token of another browser"
    );
    browser.log_in(&world, code, "ada", PASSWORD).await;
    for csrf in ["", &foreign, "0"] {
        let form = [("csrf", csrf), ("user_code", code), ("decision", "approve")];
        browser.submit(&world, "/device", &form).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN);
    }
    let form = [("user_code", code), ("decision", "approve")];
    browser.submit(&world, "/device", &form).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert_eq!(
        poll(&world, &device).await.unwrap_err().error,
        "authorization_pending"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_code_ends_with_its_ten_minutes() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    world.clock.advance(DEVICE_CODE);
    assert_eq!(
        poll_now(&world, &device).await.unwrap_err().error,
        "expired_token"
    );
    let mut browser = Browser::default();
    browser.log_in(&world, "", "ada", PASSWORD).await;
    browser
        .open(
            &world,
            &format!("/device?user_code={}", text(&device["user_code"])),
        )
        .await;
    assert_eq!(browser.status, StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test]
async fn a_program_that_polls_too_fast_is_slowed_down() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    assert_eq!(
        poll_now(&world, &device).await.unwrap_err().error,
        "authorization_pending"
    );
    assert_eq!(
        poll_now(&world, &device).await.unwrap_err().error,
        "slow_down"
    );
    assert_eq!(poll(&world, &device).await.unwrap_err().error, "slow_down");
    world
        .clock
        .advance(DEVICE_INTERVAL + Duration::from_secs(10));
    assert_eq!(
        poll_now(&world, &device).await.unwrap_err().error,
        "authorization_pending"
    );
    world.stop().await;
}

#[tokio::test]
async fn guessing_a_password_soon_has_to_wait_and_tells_nothing() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    browser.log_in(&world, "", "nobody", "wrong password").await;
    let unknown = (
        browser.status,
        browser.html.split("csrf").next().unwrap().to_owned(),
    );
    browser.log_in(&world, "", "ada", "wrong password").await;
    let wrong = (
        browser.status,
        browser.html.split("csrf").next().unwrap().to_owned(),
    );
    assert_eq!(unknown, wrong);
    // Tries come back with time, and this machine may be slow: some more than the bucket holds.
    for _ in 0..30 {
        if browser.status != StatusCode::TOO_MANY_REQUESTS {
            browser.log_in(&world, "", "ada", "wrong password").await;
        }
    }
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(browser.html.contains("Please wait"), "{}", browser.html);
    world.stop().await;
}

#[tokio::test]
async fn a_person_who_changes_their_password_is_logged_in_nowhere_from_before() {
    const NEW: &str = "a whole new password";
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let mut browser = Browser::default();
    browser.approve(&world, text(&device["user_code"])).await;
    let login = poll(&world, &device).await.unwrap();
    browser.log_in(&world, "", "ada", PASSWORD).await;
    browser.open(&world, "/account").await;
    let csrf = browser.hidden("csrf");
    for (present, new, status) in [
        ("not hers", NEW, StatusCode::FORBIDDEN),
        (PASSWORD, "short", StatusCode::BAD_REQUEST),
        (PASSWORD, NEW, StatusCode::OK),
    ] {
        let form = [
            ("csrf", &*csrf),
            ("password", present),
            ("new_password", new),
        ];
        browser.submit(&world, "/account/password", &form).await;
        assert_eq!(browser.status, status, "{present} {new}");
    }
    assert!(world.who_am_i(&login["access_token"]).await.is_err());
    assert!(world.refresh(&login["refresh_token"]).await.is_err());
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "this page too");
    browser.log_in(&world, "", "ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    browser.log_in(&world, "", "ada", NEW).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn a_password_that_an_administrator_sets_ends_open_pages_and_what_was_approved_on_them() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let mut browser = Browser::default();
    browser.approve(&world, text(&device["user_code"])).await;
    browser.log_in(&world, "", "ada", PASSWORD).await;
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(1));
    // As from another process: it knows nothing of this server's pages.
    let admin = world.admin().await;
    let set = admin.set_password("ada", "a whole new password", Logins::End);
    set.await.unwrap();
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    assert!(poll(&world, &device).await.is_err(), "nobody fetched it");
    browser
        .log_in(&world, "", "ada", "a whole new password")
        .await;
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::OK);
    admin.close().await;
    world.stop().await;
}

#[tokio::test]
async fn guessing_a_user_code_soon_has_to_wait() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    browser.log_in(&world, "", "ada", PASSWORD).await;
    browser.open(&world, "/device?user_code=BCDF-GHJK").await;
    assert_eq!(browser.status, StatusCode::NOT_FOUND);
    for _ in 0..60 {
        if browser.status != StatusCode::TOO_MANY_REQUESTS {
            browser.open(&world, "/device?user_code=BCDF-GHJK").await;
        }
    }
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    world.stop().await;
}

#[tokio::test]
async fn what_comes_in_by_the_address_is_never_html() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    let hostile = "/login?user_code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    browser.open(&world, hostile).await;
    assert!(!browser.html.contains("<script"), "{}", browser.html);
    browser
        .open(&world, "/device?user_code=https://evil.example")
        .await;
    assert_eq!(browser.location.as_deref(), Some("/login"));
    world.stop().await;
}

#[tokio::test]
async fn a_disabled_account_approves_nothing() {
    let world = with_ada().await;
    let device = ask_for_code(&world).await;
    let code = text(&device["user_code"]);
    let mut browser = Browser::default();
    browser.log_in(&world, code, "ada", PASSWORD).await;
    browser
        .open(&world, &format!("/device?user_code={code}"))
        .await;
    let csrf = browser.hidden("csrf");
    world.admin().await.disable_account("ada").await.unwrap();
    let form = [
        ("csrf", &*csrf),
        ("user_code", code),
        ("decision", "approve"),
    ];
    browser.submit(&world, "/device", &form).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    assert_eq!(
        poll(&world, &device).await.unwrap_err().error,
        "authorization_pending"
    );
    browser.log_in(&world, code, "ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    world.stop().await;
}

#[tokio::test]
async fn a_name_that_nobody_has_leaves_the_same_record_as_a_wrong_password_but_not_the_name() {
    let world = with_ada().await;
    let owner = world.owner().await;
    for name in ["ada", "nobody-is-called-this"] {
        let mut browser = Browser::default();
        browser.log_in(&world, "", name, "not the password").await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN);
    }
    let line = "control page-login failed";
    let page = audit::all(&world, &owner).await;
    let count = page.records.iter().map(audit::told);
    assert_eq!(count.filter(|told| told == line).count(), 1);
    let store = open(&world).await;
    let records = store
        .nobody()
        .newest_audit(&AuditFilter::default(), 100)
        .await
        .unwrap();
    let failed: Vec<_> = records
        .iter()
        .filter(|record| audit::told(record) == line)
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(!format!("{failed:?}").contains("nobody-is-called-this"));
    store.close().await;
    world.stop().await;
}

/// The database, beside the server.
async fn open(world: &World) -> Store {
    let database = match world.database.url() {
        Some(url) => Database::Postgres(DatabaseUrl::parse(&url).unwrap()),
        None => Database::File(world.data.path().join("control/control.db")),
    };
    store::open(&database, Schema::Expect).await.unwrap()
}
