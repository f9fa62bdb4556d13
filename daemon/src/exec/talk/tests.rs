//! A relay that refuses or leaves while the program starts.

use cmdop_client::dial::Trust;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fake_relay::within;
use crate::{identity, lane, token};

/// The way to a relay that does not exist.
pub(in crate::exec) fn nowhere() -> (BulkLane, Tokens) {
    let dir = tempfile::tempdir().unwrap();
    let (_, tokens) = token::keep(dir.path(), identity::sample(), String::new());
    let trust = Trust::Ca(String::new());
    let (lane, _) = lane::lane(
        "https://127.0.0.1:1".into(),
        trust,
        CancellationToken::new(),
    );
    (lane, tokens)
}

/// A stream that is about to be opened with this outcome.
pub(in crate::exec) fn opening(status: Status) -> Talk {
    let (lane, tokens) = nowhere();
    let mut talk = Talk::begin(Address {
        lane,
        tokens,
        stream_token: "stream-token".into(),
        stream_id: "run".into(),
    });
    talk.down = Link::Opening(Box::pin(async {
        Err(Failure {
            status,
            lease: None,
            token: None,
        })
    }));
    talk
}

#[tokio::test]
async fn a_relay_that_refuses_while_the_program_starts_is_heard_afterwards() {
    let refusal = Refusal::denied("stream-token-used", "not again");
    let mut talk = opening(refusal.into());
    // The program takes longer to start than the relay to refuse.
    let mut turns = 0;
    let started = std::future::poll_fn(|context| {
        turns += 1;
        context.waker().wake_by_ref();
        if turns < 10 {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    });
    within("the start", talk.meanwhile(started)).await;
    let event = within("the refusal", talk.next(Intake::Open)).await;
    assert!(
        matches!(&event, Event::Gone(Gone::Refused(refusal)) if refusal.reason == "stream-token-used"),
        "{event:?}"
    );
}
