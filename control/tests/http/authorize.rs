//! The authorization code flow, as a program and a browser go through it (RFC 6749, RFC 7636, RFC 8252, RFC 9207).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_control::lifetimes::AUTHORIZATION_CODE;
use http::StatusCode;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::pages::{Browser, PASSWORD, with_ada};
use crate::world::{Refused, World, text};

const REDIRECT: &str = "http://127.0.0.1:49152/callback?own=1";
const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters.~_";
const STATE: &str = "st&te=1";

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The address at which a program sends the browser, with some of its parameters as given.
fn question(changes: &[(&str, &str)]) -> String {
    let challenge = challenge(VERIFIER);
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", "cmdop-cli"),
        ("redirect_uri", REDIRECT),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", STATE),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!(
        "/oauth/authorize?{}",
        query.extend_pairs(parameters).finish()
    )
}

/// What came back in an address.
fn answer(location: &str, name: &str) -> Option<String> {
    let url = Url::parse(location).unwrap();
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(known, _)| known == name)?;
    Some(found.1.into_owned())
}

async fn logged_in(world: &World, path: &str) -> Browser {
    let mut browser = Browser::default();
    browser.open(world, path).await;
    let login = browser.location.clone().unwrap();
    assert!(login.starts_with("/login?next="), "{login}");
    browser.open(world, &login).await;
    let (csrf, next) = (browser.hidden("csrf"), browser.hidden("next"));
    let next = next.replace("&amp;", "&");
    let form = [
        ("csrf", &*csrf),
        ("next", &*next),
        ("name", "ada"),
        ("password", PASSWORD),
    ];
    browser.submit(world, "/login", &form).await;
    let back = browser.location.clone().unwrap();
    browser.open(world, &back).await;
    browser
}

/// Presses one of the two buttons of the question that the browser shows.
async fn decide(world: &World, browser: &mut Browser, decision: &str) -> String {
    let names = [
        "csrf",
        "response_type",
        "client_id",
        "redirect_uri",
        "code_challenge",
        "code_challenge_method",
        "state",
    ];
    let fields = names.map(|name| (name, browser.hidden(name).replace("&amp;", "&")));
    let mut form: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    form.push(("decision", decision));
    browser.submit(world, "/oauth/authorize", &form).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.html);
    browser.location.clone().unwrap()
}

async fn code(world: &World) -> String {
    let mut browser = logged_in(world, &question(&[])).await;
    answer(&decide(world, &mut browser, "approve").await, "code").unwrap()
}

async fn exchange(world: &World, code: &str, changes: &[(&str, &str)]) -> Result<Value, Refused> {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "cmdop-cli"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    world.token(&form).await
}

#[tokio::test]
async fn a_person_allows_a_program_and_it_gets_tokens_once() {
    let world = with_ada().await;
    let mut browser = logged_in(&world, &question(&[])).await;
    assert_eq!(browser.status, StatusCode::OK);
    assert!(browser.html.contains("<strong>ada</strong>"));
    assert!(browser.html.contains("http://127.0.0.1:49152"));
    let location = decide(&world, &mut browser, "approve").await;
    assert!(
        location.starts_with("http://127.0.0.1:49152/callback?own=1&"),
        "{location}"
    );
    assert_eq!(answer(&location, "state").as_deref(), Some(STATE));
    assert_eq!(
        answer(&location, "iss").as_deref(),
        Some(&*world.running.url)
    );
    let code = answer(&location, "code").unwrap();

    let granted = exchange(&world, &code, &[]).await.unwrap();
    let me = world.who_am_i(&granted["access_token"]).await.unwrap();
    assert_eq!(me.account_name, "ada");
    let next = world.refresh(&granted["refresh_token"]).await.unwrap();
    browser.open(&world, "/device").await;
    let left = browser.location.as_deref();
    assert_eq!(left, Some("/login"), "the page login is over");

    // Twice: the login that it began is over.
    let again = exchange(&world, &code, &[]).await.unwrap_err();
    assert_eq!(
        (again.error.as_str(), again.reason.as_str()),
        ("invalid_grant", "code-used")
    );
    let refused = world.who_am_i(&next["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    assert!(world.refresh(&next["refresh_token"]).await.is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_its_address_and_its_minute() {
    let world = with_ada().await;
    let code = code(&world).await;
    let other = "another-verifier-of-more-than-forty-three-characters";
    for change in [
        ("code_verifier", other),
        ("redirect_uri", "http://127.0.0.1:1/"),
    ] {
        let refused = exchange(&world, &code, &[change]).await.unwrap_err();
        assert_eq!(
            (refused.error.as_str(), refused.reason.as_str()),
            ("invalid_grant", "code-invalid"),
            "{change:?}"
        );
    }
    for missing in ["code_verifier", "redirect_uri", "code", "client_id"] {
        let refused = exchange(&world, &code, &[(missing, "")]).await.unwrap_err();
        assert_eq!(refused.error, "invalid_request", "{missing}");
        assert!(refused.error_description.contains(missing), "{refused:?}");
    }
    let short = exchange(&world, &code, &[("code_verifier", "short")]).await;
    assert_eq!(short.unwrap_err().error, "invalid_request");
    world.clock.advance(AUTHORIZATION_CODE);
    let late = exchange(&world, &code, &[]).await.unwrap_err();
    assert_eq!(late.reason, "code-expired");
    let unknown = exchange(&world, "cmdop_code_0", &[]).await.unwrap_err();
    assert_eq!(unknown.reason, "code-invalid");
    world.stop().await;
}

#[tokio::test]
async fn a_person_says_no_and_the_program_hears_it() {
    let world = with_ada().await;
    let mut browser = logged_in(&world, &question(&[])).await;
    let location = decide(&world, &mut browser, "deny").await;
    assert_eq!(answer(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(answer(&location, "state").as_deref(), Some(STATE));
    assert_eq!(answer(&location, "code"), None);
    world.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_program_is_said_here_and_sent_nowhere() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    for change in [
        ("client_id", "evil"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://localhost:1/"),
        ("redirect_uri", "http://127.0.0.1.evil.example/"),
    ] {
        browser.open(&world, &question(&[change])).await;
        assert_eq!(browser.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert_eq!(browser.location, None, "{change:?}");
    }
    let twice = format!("{}&state=2", question(&[]));
    browser.open(&world, &twice).await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST);
    world.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told_to_the_program() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    for (change, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "exec"), "invalid_scope"),
    ] {
        browser.open(&world, &question(&[change])).await;
        let location = browser.location.clone().unwrap();
        assert!(
            location.starts_with("http://127.0.0.1:49152/"),
            "{location}"
        );
        assert_eq!(
            answer(&location, "error").as_deref(),
            Some(error),
            "{change:?}"
        );
        assert_eq!(answer(&location, "state").as_deref(), Some(STATE));
        assert!(answer(&location, "iss").is_some());
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_allowed_by_a_form_that_is_not_ours() {
    let world = with_ada().await;
    let mut browser = logged_in(&world, &question(&[])).await;
    let mut stranger = Browser::default();
    stranger.open(&world, "/login").await;
    let foreign = stranger.hidden("csrf");
    let challenge = challenge(VERIFIER);
    for csrf in ["", "0", foreign.as_str()] {
        let form = [
            ("csrf", csrf),
            ("response_type", "code"),
            ("client_id", "cmdop-cli"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("decision", "approve"),
        ];
        browser.submit(&world, "/oauth/authorize", &form).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{csrf}");
        assert_eq!(browser.location, None);
    }
    world.stop().await;
}

#[tokio::test]
async fn the_metadata_names_what_there_is() {
    let world = World::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata: Value = world.get(path).await.json().await.unwrap();
    let at = |name: &str| text(&metadata[name]).to_owned();
    assert_eq!(at("authorization_endpoint"), world.url("/oauth/authorize"));
    assert_eq!(at("introspection_endpoint"), world.url("/oauth/introspect"));
    assert_eq!(
        metadata["response_types_supported"],
        serde_json::json!(["code"])
    );
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&"authorization_code".into()));
    world.stop().await;
}
