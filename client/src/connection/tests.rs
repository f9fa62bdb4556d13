//! A token that a server does not take any more is replaced where there is another, for every kind of call.

use cmdop_proto::Refusal;
use serde_json::json;

use super::*;
use crate::clock::now_ms;
use crate::fake_control::FakeControl;
use crate::home::Keyring;
use crate::token_store::{self, Stored};

/// What a server says with this reason, as a call sees it.
fn refused(reason: &str) -> Error {
    Error::from(Status::from(Refusal::denied(reason, "not with this token")))
}

fn reason(error: &Error) -> String {
    error.refusal().reason
}

#[tokio::test]
async fn a_token_that_is_not_taken_any_more_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), Keyring::Avoided);
    let control = FakeControl::start(|_, _| {
        let body = json!({"access_token": "new", "expires_in": 3600, "refresh_token": "r",
            "server_time_ms": now_ms()});
        (200, body)
    })
    .await;
    for gone in ["token-expired", "token-revoked"] {
        let stored = Stored {
            refresh_token: Secret::new("r"),
            access_token: Secret::new("old"),
            access_expires_at_ms: now_ms() + 3_600_000,
        };
        token_store::save(&home, &control.profile, &stored)
            .await
            .unwrap();
        let connection = Connection::new(&home, &control.profile);
        let old = connection.tokens().access().await.unwrap();
        assert_eq!(old, Secret::new("old"));
        let other = connection.another_token(&old, refused("role-too-low"));
        assert_eq!(reason(&other.await.unwrap_err()), "role-too-low");
        let new = connection.another_token(&old, refused(gone)).await.unwrap();
        assert_eq!(new, Secret::new("new"), "{gone}");
    }
}

#[tokio::test]
async fn where_there_is_no_other_token_the_refusal_stands() {
    let only = Secret::new("only");
    let connection = Connection::with_tokens(Profile::default(), Tokens::fixed(only.clone()));
    let refused = connection.another_token(&only, refused("token-revoked"));
    assert_eq!(reason(&refused.await.unwrap_err()), "token-revoked");
}
