//! What the token endpoint is asked, and what its answers mean, over real TLS.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::*;
use crate::clock::now_ms;
use crate::fake_control::FakeControl;

fn granted() -> (u16, serde_json::Value) {
    let body = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "r", "scope": "all", "server_time_ms": now_ms()});
    (200, body)
}

fn refused(code: &str, description: &str) -> (u16, serde_json::Value) {
    (
        400,
        json!({"error": code, "error_description": description}),
    )
}

fn server(control: &FakeControl) -> Server {
    Server::new(&control.profile.control_url, &control.profile.trust()).unwrap()
}

#[tokio::test]
async fn the_device_flow_waits_until_the_person_has_agreed() {
    let polls = AtomicU32::new(0);
    let control = FakeControl::start(move |path, form| {
        assert_eq!(form["client_id"], CLIENT_ID);
        match path {
            "/oauth/device_authorization" => {
                let body = json!({"device_code": "d", "user_code": "AB\u{1b}[2JCD",
                    "verification_uri": "https://c/device", "expires_in": 60, "interval": 0});
                (200, body)
            }
            "/oauth/token" => {
                assert_eq!(form["grant_type"], DEVICE_GRANT);
                assert_eq!(form["device_code"], "d");
                match polls.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => refused("authorization_pending", ""),
                    _ => granted(),
                }
            }
            other => panic!("{other}"),
        }
    })
    .await;
    let server = server(&control);
    let device = server.device_authorization().await.unwrap();
    assert_eq!(device.user_code, "AB[2JCD", "a server cannot print escapes");
    let grant = server.device_token(&device).await.unwrap();
    assert_eq!(grant.access_token.expose(), "a");
    assert!(grant.skew().is_none());
}

#[tokio::test]
async fn a_person_who_says_no_ends_the_device_flow() {
    let control = FakeControl::start(|path, _| match path {
        "/oauth/device_authorization" => (
            200,
            json!({"device_code": "d", "user_code": "AB", "verification_uri": "https://c/device",
                "expires_in": 60, "interval": 0}),
        ),
        _ => refused("access_denied", "you refused this login"),
    })
    .await;
    let server = server(&control);
    let device = server.device_authorization().await.unwrap();
    let error = server.device_token(&device).await.unwrap_err();
    assert_eq!(error.to_string(), "you refused this login");
    assert_eq!(error.refusal().kind.exit_code(), 77);
}

#[tokio::test]
async fn each_grant_sends_what_its_rfc_says() {
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let forms = seen.clone();
    let control = FakeControl::start(move |_, form| {
        forms.lock().unwrap().push(form.clone());
        granted()
    })
    .await;
    let server = server(&control);
    server.refresh(&Secret::new("r1")).await.unwrap();
    server.local_secret(&Secret::new("s\n")).await.unwrap();
    server.client_credentials("jwt").await.unwrap();
    server.revoke(&Secret::new("r2")).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0]["refresh_token"], "r1");
    assert_eq!(seen[1]["secret"], "s");
    assert_eq!(seen[1]["grant_type"], LOCAL_SECRET_GRANT);
    assert_eq!(seen[2]["client_assertion"], "jwt");
    assert_eq!(seen[2]["client_assertion_type"], ASSERTION_TYPE);
    assert_eq!(seen[3]["token"], "r2");
}

#[tokio::test]
async fn a_server_with_another_ca_is_called_untrusted_and_a_dead_one_unreachable() {
    let control = FakeControl::start(|_, _| granted()).await;
    let other = FakeControl::start(|_, _| granted()).await;
    let wrong = Server::new(&control.profile.control_url, &other.profile.trust()).unwrap();
    let error = wrong.refresh(&Secret::new("r")).await.unwrap_err();
    assert_eq!(error.refusal().reason, "untrusted-server", "{error}");
    let dead = Server::new("https://127.0.0.1:1", &other.profile.trust()).unwrap();
    let error = dead.refresh(&Secret::new("r")).await.unwrap_err();
    assert_eq!(error.refusal().reason, "unreachable", "{error}");
}

#[tokio::test]
async fn something_else_on_the_port_is_named() {
    let control = FakeControl::start(|_, _| (404, json!("what?"))).await;
    let error = server(&control)
        .refresh(&Secret::new("r"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotControl { .. }), "{error}");
}
