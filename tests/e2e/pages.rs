//! The control plane's pages in a real browser: by the keyboard alone, with the roles and labels that a screen reader is
//! given, and against forms of other sites.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_client::dial::{self, Trust};
use cmdop_tests::chromium::{Chromium, Seen};
use cmdop_tests::wait;
use cmdop_tests::world::{Control, Ground};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use totp_rs::{Builder, Secret, Totp};

const PASSWORD: &str = "correct horse battery";

/// A control plane with an owner who has a password, and a browser.
struct Desk {
    ground: Ground,
    control: Control,
    browser: Chromium,
}

impl Desk {
    async fn new() -> Self {
        let ground = Ground::new();
        let control = Control::start(&ground).await;
        let set = ["set-password", "owner", "--password-stdin"];
        control.admin_with(&set, PASSWORD.as_bytes()).await.ok();
        let browser = Chromium::start(&ground).await;
        Self {
            ground,
            control,
            browser,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.control.url())
    }

    /// Fills the login page in, which has the focus where one begins to type.
    async fn log_in(&self) {
        let browser = &self.browser;
        browser.until_heading("Log in").await;
        assert_eq!(browser.focused().await, seen("textbox", "Account"));
        browser.type_text("owner").await;
        browser.tab_to("Password").await;
        browser.type_text(PASSWORD).await;
        browser.enter().await;
    }

    /// What every page owes somebody who does not see it.
    async fn page_is_accessible(&self) -> Vec<Seen> {
        let (tree, html) = (self.browser.tree().await, self.browser.html().await);
        let has = |role: &str| tree.iter().filter(|seen| seen.role == role).count();
        assert_eq!(has("main"), 1, "{tree:?}");
        assert_eq!(html.matches("<h1>").count(), 1, "{html}");
        assert!(
            html.contains("<html lang=\"en\"") && html.contains("<title>"),
            "{html}"
        );
        for seen in &tree {
            let is_silent = ["main", "list", "table", "alert", "none", "generic"];
            let is_named = !seen.label.is_empty() || is_silent.contains(&seen.role.as_str());
            assert!(is_named, "{seen:?} in {tree:?}");
        }
        assert!(!html.contains("<script"), "{html}");
        tree
    }
}

fn seen(role: &str, label: &str) -> Seen {
    Seen {
        role: role.into(),
        label: label.into(),
    }
}

/// What a person's authenticator holds once they typed the secret that the page shows.
fn authenticator(html: &str) -> Totp {
    let secret = html.split("class=\"secret\">").nth(1).expect("a secret");
    let secret = secret.split('<').next().unwrap().replace('-', "");
    let secret = Secret::try_from_base32(secret).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

fn code(authenticator: &Totp) -> String {
    let now = cmdop_client::clock::now_ms() / 1000;
    authenticator.generate(now).to_string()
}

#[tokio::test]
async fn a_person_sets_up_a_second_factor_and_logs_in_with_it_by_keyboard_alone() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.open(&desk.at("/account")).await;
    browser.until_heading("Log in").await;
    let tree = desk.page_is_accessible().await;
    assert!(tree.contains(&seen("button", "Log in")), "{tree:?}");
    desk.log_in().await;
    browser.until_heading("Your account").await;
    desk.page_is_accessible().await;
    assert_eq!(browser.tab_to("Set up a second factor").await, "button");
    browser.enter().await;
    browser.until_heading("Set up a second factor").await;
    let tree = desk.page_is_accessible().await;
    let picture = "The same secret as a QR code";
    assert!(tree.iter().any(|seen| seen.label == picture), "{tree:?}");
    let authenticator = authenticator(&browser.html().await);
    assert_eq!(browser.focused().await.role, "textbox");
    browser.type_text(&code(&authenticator)).await;
    browser.enter().await;
    browser.until_heading("Recovery codes").await;
    desk.page_is_accessible().await;
    let html = browser.html().await;
    let recovery = html.split("<li><code>").nth(1).unwrap();
    let recovery = recovery.split('<').next().unwrap().to_owned();
    assert_eq!(browser.tab_to("Continue").await, "link");
    browser.enter().await;
    browser.until_heading("Your account").await;
    desk.page_is_accessible().await;
    browser.tab_to("Leave this page").await;
    browser.enter().await;
    browser.until_heading("Logged out").await;

    browser.open(&desk.at("/account")).await;
    desk.log_in().await;
    browser.until_heading("Second factor").await;
    desk.page_is_accessible().await;
    // That step was taken when it was set up: as a person does who does not want to wait.
    browser.type_text(&recovery).await;
    browser.enter().await;
    browser.until_heading("Your account").await;
    assert!(browser.html().await.contains("9 recovery codes"));
}

#[tokio::test]
async fn a_person_changes_their_password_by_keyboard_alone() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.open(&desk.at("/account")).await;
    desk.log_in().await;
    browser.until_heading("Your account").await;
    browser.tab_to("Change it").await;
    browser.enter().await;
    desk.page_is_accessible().await;
    assert_eq!(browser.tab_to("Your password").await, "textbox");
    browser.type_text(PASSWORD).await;
    let new = "A new one, at least 8 characters";
    assert_eq!(browser.tab_to(new).await, "textbox");
    browser.type_text("a whole new password").await;
    browser.enter().await;
    browser.until_heading("Password changed").await;
    desk.page_is_accessible().await;
    let on = "Log in with the new password";
    assert_eq!(browser.tab_to(on).await, "link");
    browser.enter().await;
    browser.until_heading("Log in").await;
}

#[tokio::test]
async fn a_person_approves_a_device_by_keyboard_alone() {
    let desk = Desk::new().await;
    let tls = dial::tls_config(&Trust::Ca(desk.control.ca_pem())).unwrap();
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls);
    let http = http.no_proxy().build().unwrap();
    let asked = http
        .post(desk.at("/oauth/device_authorization"))
        .form(&[("client_id", "cmdop-cli")]);
    let device: Value = asked.send().await.unwrap().json().await.unwrap();
    let browser = &desk.browser;
    let link = device["verification_uri_complete"].as_str().unwrap();
    browser.open(link).await;
    desk.log_in().await;
    browser.until_heading("Approve this login?").await;
    let tree = desk.page_is_accessible().await;
    for button in ["Approve", "Deny"] {
        assert!(tree.contains(&seen("button", button)), "{tree:?}");
    }
    browser.tab_to("Approve").await;
    browser.enter().await;
    browser.until_heading("Logged in").await;
    desk.page_is_accessible().await;
    let granted = http.post(desk.at("/oauth/token")).form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "cmdop-cli"),
        ("device_code", device["device_code"].as_str().unwrap()),
    ]);
    assert_eq!(granted.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_program_on_the_computer_is_answered_through_the_browser() {
    let desk = Desk::new().await;
    let program = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = format!("http://{}/callback", program.local_addr().unwrap());
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest("v".repeat(43)));
    let mut question = reqwest::Url::parse(&desk.at("/oauth/authorize")).unwrap();
    question.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "cmdop-cli"),
        ("redirect_uri", &redirect),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", "the state"),
    ]);
    let browser = &desk.browser;
    browser.open(question.as_str()).await;
    desk.log_in().await;
    browser.until_heading("Allow this program?").await;
    desk.page_is_accessible().await;
    browser.tab_to("Allow").await;
    // The press waits for the page that the program answers with.
    let ((), asked) = tokio::join!(browser.enter(), answer(&program));
    assert!(
        asked.starts_with("GET /callback?code=cmdop_code_"),
        "{asked}"
    );
    assert!(
        asked.contains("state=the+state") && asked.contains("iss=https"),
        "{asked}"
    );
}

/// What the program is asked by the browser, which it thanks.
async fn answer(program: &TcpListener) -> String {
    let answered = async {
        let (stream, _) = program.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let thanks = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nthanks";
        stream.write_all(thanks.as_bytes()).await.unwrap();
        line
    };
    wait::within("the browser at the program", answered).await
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.open(&desk.at("/account")).await;
    desk.log_in().await;
    browser.until_heading("Your account").await;
    let file = desk.ground.path().join("evil.html");
    let form = |action: &str, fields: &str| {
        format!(
            "<!doctype html><h1>Evil</h1><form method=post action=\"{}\">{fields}\
             <button autofocus>Win a prize</button></form>",
            desk.at(action)
        )
    };
    for (action, fields) in [
        (
            "/account/second-factor",
            "<input type=hidden name=step value=propose>",
        ),
        (
            "/account/second-factor",
            "<input type=hidden name=csrf value=0>",
        ),
        ("/logout", ""),
    ] {
        let mut page = std::fs::File::create(&file).unwrap();
        page.write_all(form(action, fields).as_bytes()).unwrap();
        browser.open(&format!("file://{}", file.display())).await;
        browser.until_heading("Evil").await;
        browser.tab_to("Win a prize").await;
        browser.enter().await;
        // Without the cookie, nobody is there; with it, the form token is missing.
        wait::until("the answer", async || {
            browser.html().await.contains("cmdop</title>").then_some(())
        })
        .await;
        let html = browser.html().await;
        let is_refused =
            html.contains("<h1>Log in</h1>") || html.contains("did not come from here");
        assert!(is_refused, "{html}");
    }
    browser.open(&desk.at("/account")).await;
    browser.until_heading("Your account").await;
    let html = browser.html().await;
    assert!(html.contains("Set up a second factor"), "{html}");
}
