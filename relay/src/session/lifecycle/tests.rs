//! What each event makes of a session, and when.

use super::*;

const TERMS: Terms = Terms {
    pending: Duration::from_secs(60),
    grace: Some(Duration::from_secs(30)),
    background: Duration::from_secs(3600),
    keep_ended: Duration::from_secs(600),
};

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: 1,
    }
}

fn fence(link: u64, stream: u64) -> Fence {
    Fence {
        link: LinkEpoch(link),
        stream,
    }
}

async fn after(seconds: u64) -> Now {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    now()
}

fn run(life: Life, events: &[Event]) -> Life {
    events.iter().fold(life, |life, event| {
        life.step(event.clone(), &TERMS, now()).0
    })
}

fn connected() -> Life {
    run(Life::pending(&TERMS, now()), &[Event::Opened(fence(5, 1))])
}

fn status_after(events: &[Event]) -> v1::SessionStatus {
    run(connected(), events).status()
}

#[tokio::test(start_paused = true)]
async fn each_event_leads_where_the_table_says() {
    use v1::SessionStatus::{Background, Connected, Disconnected, GracePeriod};
    let lost = Event::Lost(fence(5, 1));
    let back = Event::Opened(fence(6, 2));
    let away = Event::WentBackground;
    let here = Event::CameBack;
    let exited = Event::Exited(None);
    let cases: [(&[Event], v1::SessionStatus); 11] = [
        (&[], Connected),
        (std::slice::from_ref(&lost), GracePeriod),
        (&[lost.clone(), back.clone()], Connected),
        (std::slice::from_ref(&away), Background),
        (&[away.clone(), here.clone()], Connected),
        (&[away.clone(), lost.clone()], GracePeriod),
        (&[away.clone(), lost.clone(), back.clone()], Background),
        (
            &[away.clone(), lost.clone(), here.clone(), back.clone()],
            Connected,
        ),
        (std::slice::from_ref(&exited), Disconnected),
        (&[exited.clone(), back.clone()], Disconnected),
        (
            &[
                Event::Over("closed".into()),
                lost.clone(),
                here.clone(),
                away.clone(),
                back,
            ],
            Disconnected,
        ),
    ];
    for (events, wanted) in cases {
        assert_eq!(status_after(events), wanted, "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ghost_link_changes_nothing() {
    for ghost in [fence(4, 9), fence(5, 0)] {
        let life = connected();
        for event in [Event::Lost(ghost), Event::Opened(ghost)] {
            assert_eq!(
                life.clone().step(event, &TERMS, now()),
                (life.clone(), NOTHING)
            );
        }
    }
    let grace = run(connected(), &[Event::Lost(fence(5, 1))]);
    for ghost in [fence(4, 9), fence(5, 1)] {
        let event = Event::Opened(ghost);
        assert_eq!(
            grace.clone().step(event, &TERMS, now()),
            (grace.clone(), NOTHING)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_agent_stays_away_ends_exactly_when_its_grace_is_over() {
    let life = run(connected(), &[Event::Lost(fence(5, 1))]);
    let (life, effect) = life.step(Event::Tick, &TERMS, after(29).await);
    assert_eq!(
        (life.status(), effect),
        (v1::SessionStatus::GracePeriod, NOTHING)
    );
    let (life, effect) = life.step(Event::Tick, &TERMS, after(1).await);
    assert_eq!(effect, TIME_IS_UP);
    assert!(life.ended().unwrap().reason.contains("grace"));
}

#[tokio::test(start_paused = true)]
async fn grace_forever_has_no_deadline() {
    let terms = Terms {
        grace: None,
        ..TERMS
    };
    let (life, _) = connected().step(Event::Lost(fence(5, 1)), &terms, now());
    assert_eq!(life.deadline(), None);
    let (life, _) = life.step(Event::Tick, &terms, after(100_000_000).await);
    assert_eq!(life.status(), v1::SessionStatus::GracePeriod);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_no_agent_opens_ends_with_a_reason() {
    let life = Life::pending(&TERMS, now());
    let (life, effect) = life.step(Event::Tick, &TERMS, after(60).await);
    assert!(effect.end_on_agent);
    assert!(life.ended().unwrap().reason.contains("60 s"));
}

#[tokio::test(start_paused = true)]
async fn the_background_has_its_own_limit_also_without_an_agent() {
    let life = run(connected(), &[Event::WentBackground]);
    let (life, _) = life.step(Event::Tick, &TERMS, after(3590).await);
    assert_eq!(life.status(), v1::SessionStatus::Background);
    let (life, _) = life.step(Event::Lost(fence(5, 1)), &TERMS, now());
    let (life, _) = life.step(Event::Tick, &TERMS, after(10).await);
    assert!(life.ended().unwrap().reason.contains("background"));
}

#[tokio::test(start_paused = true)]
async fn clients_that_go_to_the_background_while_the_agent_is_away_are_there_when_it_is_back() {
    let lost = [Event::Lost(fence(5, 1)), Event::WentBackground];
    let life = run(connected(), &lost);
    let (life, _) = life.step(Event::Opened(fence(6, 2)), &TERMS, after(29).await);
    assert_eq!(life.status(), v1::SessionStatus::Background);
    // Their hour began when they went.
    let (life, _) = life.step(Event::Tick, &TERMS, after(3570).await);
    assert_eq!(life.status(), v1::SessionStatus::Background);
    let (life, _) = life.step(Event::Tick, &TERMS, after(1).await);
    assert!(life.ended().unwrap().reason.contains("background"));
}

#[tokio::test(start_paused = true)]
async fn an_ended_record_is_forgotten_once_when_its_time_is_up() {
    let life = run(connected(), &[Event::Exited(None)]);
    let (life, effect) = life.step(Event::Tick, &TERMS, after(599).await);
    assert!(!effect.forget);
    let (life, effect) = life.step(Event::Tick, &TERMS, after(1).await);
    assert!(effect.forget);
    assert_eq!(life.deadline(), None);
    assert_eq!(life.step(Event::Tick, &TERMS, now()).1, NOTHING);
}
