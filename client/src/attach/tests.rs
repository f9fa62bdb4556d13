//! What an attachment promises, over real TLS and streams that break.

use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::v1::attach_request::Request as Ask;
use cmdop_proto::v1::attach_response::Response as Answer;
use cmdop_proto::{Refusal, Size, v1};

use super::fake_relay::{FakeRelay, Play, Scene, session};
use super::{Attachment, Event, Options, open};
use crate::error::Error;

const DEADLINE: Duration = Duration::from_secs(30);

fn log() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n ^ (n >> 7)) as u8).collect()
}

/// The log from where the client asks, beginning a little before it, cut in uneven pieces up to `end`.
fn pieces(open: &v1::AttachOpen, end: usize) -> Vec<Answer> {
    let log = log();
    let mut answers = Vec::new();
    let mut at = match open.resume_from {
        Some(offset) => (offset as usize).saturating_sub(777),
        None => {
            answers.push(Answer::Keyframe(v1::Keyframe {
                offset: 0,
                size: Some(Size::DEFAULT.into()),
                data: Bytes::from_static(b"keyframe"),
                ..v1::Keyframe::default()
            }));
            0
        }
    };
    while at < end {
        let next = end.min(at + 1 + (at * 31) % 40_000);
        answers.push(Answer::Output(v1::Output {
            offset: at as u64,
            data: Bytes::copy_from_slice(&log[at..next]),
            command_id: 0,
            mark: 0,
        }));
        at = next;
    }
    answers
}

fn ended() -> Answer {
    Answer::Ended(session())
}

/// All events up to the last one.
async fn all(attachment: &mut Attachment) -> Vec<Event> {
    let mut events = Vec::new();
    let collect = async {
        while let Some(event) = attachment.next().await {
            let last = matches!(event, Event::Ended(_) | Event::Failed(_));
            events.push(event);
            if last {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, collect)
        .await
        .expect("the attachment ends");
    events
}

fn output(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        if let Event::Output { offset, data } = event {
            assert_eq!(offset.0, bytes.len() as u64, "the pieces do not join");
            bytes.extend_from_slice(data);
        }
    }
    bytes
}

fn inputs(relay: &FakeRelay, stream: usize) -> Vec<(u64, Bytes)> {
    let seen = relay.seen();
    let of_stream = seen
        .requests
        .into_iter()
        .filter(|(index, _)| *index == stream);
    of_stream
        .filter_map(|(_, request)| match request {
            Ask::Input(input) => Some((input.input_seq, input.data)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn no_byte_is_lost_or_doubled_when_the_stream_breaks() {
    let ends = [90_000, 90_001, 250_000];
    let mut scenes: Vec<_> = ends
        .map(|end| Scene::Play(Play::new(move |open| pieces(open, end))))
        .into();
    let mut last = Play::new(|open| pieces(open, log().len()));
    last.then = vec![ended()];
    scenes.push(Scene::Play(last));
    let relay = FakeRelay::start(scenes).await;
    let mut attachment = open(&relay.connection, Options::operator("build", None))
        .await
        .unwrap();
    let events = all(&mut attachment).await;
    assert_eq!(output(&events), log());
    assert!(matches!(events.last(), Some(Event::Ended(_))));
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Keyframe { .. })), 1);
    assert_eq!(count(|event| matches!(event, Event::Reconnected)), 3);
    let opens = relay.seen().opens;
    let resumed: Vec<_> = opens.iter().map(|open| open.resume_from).collect();
    assert_eq!(resumed, [None, Some(90_000), Some(90_001), Some(250_000)]);
    assert!(
        opens
            .iter()
            .all(|open| open.client_id == opens[0].client_id)
    );
    // By id from the second time on: the name may pass to another session.
    assert_eq!(opens[0].session, "build");
    assert_eq!(opens[1].session, session().id);
}

#[tokio::test]
async fn input_that_was_not_acked_is_sent_again_with_its_number() {
    let mut first = Play::new(|open| pieces(open, 0));
    first.requests = 5;
    let mut second = Play::new(|_| Vec::new());
    second.acked = 2;
    second.requests = 4;
    second.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(first), Scene::Play(second)]).await;
    let mut attachment = open(&relay.connection, Options::operator("build", None))
        .await
        .unwrap();
    let keys = attachment.keys();
    for text in ["a", "b", "c", "d", "e", "f"] {
        assert!(keys.input(Bytes::from_static(text.as_bytes())).await);
    }
    all(&mut attachment).await;
    let text = |inputs: &[(u64, Bytes)]| -> Vec<(u64, String)> {
        let text = |data: &Bytes| String::from_utf8(data.to_vec()).unwrap();
        inputs
            .iter()
            .map(|(seq, data)| (*seq, text(data)))
            .collect()
    };
    let first = text(&inputs(&relay, 0));
    assert_eq!(first[..2], [(1, "a".into()), (2, "b".into())]);
    assert_eq!(first.len(), 5);
    let second = text(&inputs(&relay, 1));
    let wanted = [
        (3, "c".into()),
        (4, "d".into()),
        (5, "e".into()),
        (6, "f".into()),
    ];
    assert_eq!(second, wanted);
}

#[tokio::test]
async fn a_mark_is_answered_once_what_carries_it_was_taken() {
    let mut play = Play::new(|open| {
        let mut answers = pieces(open, 1000);
        if let Some(Answer::Output(output)) = answers.last_mut() {
            output.mark = 1000;
        }
        answers
    });
    play.requests = 1;
    play.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(play)]).await;
    let mut attachment = open(&relay.connection, Options::observer("build"))
        .await
        .unwrap();
    all(&mut attachment).await;
    let seen = relay.seen();
    assert!(seen.opens[0].answers_marks);
    let requests: Vec<_> = seen.requests.into_iter().map(|(_, ask)| ask).collect();
    assert_eq!(requests, [Ask::Received(1000)]);
}

#[tokio::test]
async fn a_gap_is_mended_by_a_keyframe() {
    let gap = Play::new(|open| {
        let mut answers = pieces(open, 1000);
        answers.push(Answer::Output(v1::Output {
            offset: 5000,
            data: Bytes::from_static(b"x"),
            command_id: 0,
            mark: 0,
        }));
        answers
    });
    let mut mended = Play::new(|open| pieces(open, 2000));
    mended.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(gap), Scene::Play(mended)]).await;
    let mut attachment = open(&relay.connection, Options::observer("build"))
        .await
        .unwrap();
    let events = all(&mut attachment).await;
    let keyframes = events
        .iter()
        .filter(|event| matches!(event, Event::Keyframe { .. }));
    assert_eq!(keyframes.count(), 2);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Reconnecting { .. }))
    );
    assert_eq!(relay.seen().opens[1].resume_from, None);
}

#[tokio::test]
async fn a_refused_input_is_told_and_not_sent_again() {
    let refusal = Refusal::denied("observer-read-only", "you only watch");
    let mut first = Play::new(|open| pieces(open, 0));
    first.requests = 2;
    first.then = vec![Answer::Refusal(v1::AttachRefusal {
        grpc_code: refusal.kind.code() as u32,
        message: refusal.message.clone(),
        detail: Some(refusal.detail()),
        input_seq: 1,
    })];
    let mut second = Play::new(|_| Vec::new());
    second.requests = 1;
    second.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(first), Scene::Play(second)]).await;
    let mut attachment = open(&relay.connection, Options::operator("build", None))
        .await
        .unwrap();
    attachment.keys().input(Bytes::from_static(b"a")).await;
    attachment.keys().input(Bytes::from_static(b"b")).await;
    let events = all(&mut attachment).await;
    let told = events
        .iter()
        .any(|event| matches!(event, Event::Refused(told) if *told == refusal));
    assert!(told);
    assert_eq!(inputs(&relay, 1), [(2, Bytes::from_static(b"b"))]);
}

#[tokio::test]
async fn the_newest_size_is_told_again_after_a_loss() {
    let wide = Size::new(40, 132).unwrap();
    let mut first = Play::new(|open| pieces(open, 0));
    first.requests = 1;
    let mut second = Play::new(|_| Vec::new());
    second.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(first), Scene::Play(second)]).await;
    let options = Options::operator("build", Some(Size::DEFAULT));
    let mut attachment = open(&relay.connection, options).await.unwrap();
    attachment.keys().resize(wide);
    all(&mut attachment).await;
    let seen = relay.seen();
    assert_eq!(seen.requests, [(0, Ask::Resize(wide.into()))]);
    let sizes: Vec<_> = seen.opens.iter().map(|open| open.size).collect();
    assert_eq!(sizes, [Some(Size::DEFAULT.into()), Some(wide.into())]);
}

#[tokio::test]
async fn a_relay_that_does_not_know_the_session_yet_is_asked_again() {
    let unknown = || Refusal::not_found("session-unknown", "there is no such session");
    let mut last = Play::new(|open| pieces(open, 20));
    last.then = vec![ended()];
    let relay = FakeRelay::start([
        Scene::Play(Play::new(|open| pieces(open, 10))),
        Scene::Refuse(unknown()),
        Scene::Play(last),
    ])
    .await;
    let mut attachment = open(&relay.connection, Options::observer("build"))
        .await
        .unwrap();
    let events = all(&mut attachment).await;
    assert_eq!(output(&events), log()[..20]);
}

#[tokio::test]
async fn what_cannot_pass_ends_the_attachment_with_its_reason() {
    let revoked = Refusal::denied("token-revoked", "this login was ended");
    let relay = FakeRelay::start([
        Scene::Play(Play::new(|open| pieces(open, 10))),
        Scene::Refuse(revoked.clone()),
    ])
    .await;
    let mut attachment = open(&relay.connection, Options::observer("build"))
        .await
        .unwrap();
    let events = all(&mut attachment).await;
    let Some(Event::Failed(Error::Refused(refusal))) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(*refusal, revoked);
    assert!(attachment.next().await.is_none());
}

#[tokio::test]
async fn a_refused_first_attach_is_an_error_of_the_call() {
    let unknown = Refusal::not_found("session-unknown", "there is no session `x`");
    let relay = FakeRelay::start([Scene::Refuse(unknown.clone())]).await;
    let error = open(&relay.connection, Options::observer("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused(refusal) if refusal == unknown));
}

#[tokio::test]
async fn detaching_waits_until_what_was_typed_is_written() {
    let mut only = Play::new(|open| pieces(open, 0));
    only.requests = 1;
    only.then = vec![Answer::InputAck(v1::InputAck {
        input_seq: 1,
        command_id: 1,
    })];
    let relay = FakeRelay::start([Scene::Play(only)]).await;
    let attachment = open(&relay.connection, Options::operator("build", None))
        .await
        .unwrap();
    attachment
        .keys()
        .input(Bytes::from_static(b"last words"))
        .await;
    attachment.detach().await;
    assert_eq!(inputs(&relay, 0), [(1, Bytes::from_static(b"last words"))]);
}

#[tokio::test]
async fn a_redraw_brings_the_whole_terminal_again_and_no_outage_is_told() {
    let mut first = Play::new(|open| pieces(open, 1000));
    // The stream stays open until it is given up.
    first.requests = 1;
    let mut second = Play::new(|open| pieces(open, 2000));
    second.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(first), Scene::Play(second)]).await;
    let options = Options::observer("build").latest(5);
    let mut attachment = open(&relay.connection, options).await.unwrap();
    attachment.keys().redraw();
    let events = all(&mut attachment).await;
    let pictures = events
        .iter()
        .filter(|event| matches!(event, Event::Keyframe { .. }));
    assert!((1..=2).contains(&pictures.count()));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Reconnecting { .. }))
    );
    let opens = relay.seen().opens;
    assert_eq!(opens.len(), 2);
    assert_eq!(opens[1].resume_from, None);
    assert_eq!(opens[1].client_id, opens[0].client_id);
    assert_eq!(opens[1].delivery(), v1::Delivery::Latest);
    assert_eq!(opens[1].max_updates_per_second, 5);
}

#[tokio::test]
async fn a_change_of_the_keyboard_is_asked_for_once() {
    let take = v1::KeyboardChange {
        change: Some(v1::keyboard_change::Change::Take(true)),
    };
    let mut first = Play::new(|_| Vec::new());
    first.requests = 1;
    let mut second = Play::new(|_| Vec::new());
    second.then = vec![ended()];
    let relay = FakeRelay::start([Scene::Play(first), Scene::Play(second)]).await;
    let mut attachment = open(&relay.connection, Options::operator("build", None))
        .await
        .unwrap();
    assert!(attachment.keys().keyboard(take.clone()));
    all(&mut attachment).await;
    assert_eq!(relay.seen().requests, [(0, Ask::Keyboard(take))]);
}
