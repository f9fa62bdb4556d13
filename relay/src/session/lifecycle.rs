//! The life of one session as the relay sees it, free of IO and clocks.
//!
//! Events and the time come in; the next state comes out. Data lives in the state that needs it, and
//! a transition consumes its source. What a stream or a token is, it does not know.

use std::time::Duration;

use cmdop_proto::{LinkEpoch, v1};
use tokio::time::Instant;

/// The limits of a life; see `Limits` for their defaults and reasons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long it waits for its agent's first stream.
    pub(crate) pending: Duration,
    /// How long it outlives its agent's stream; `None`: forever.
    pub(crate) grace: Option<Duration>,
    /// How long it lives with all its clients in the background.
    pub(crate) background: Duration,
    /// How long its record is kept after its end.
    pub(crate) keep_ended: Duration,
}

/// A moment on both clocks: the one that tests pause, and the one that stands in records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For deadlines.
    pub(crate) instant: Instant,
    /// Milliseconds since the Unix epoch, for records.
    pub(crate) unix_ms: u64,
}

/// Which stream of the agent: a newer one fences off all that are older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fence {
    /// The link that it belongs to.
    pub(crate) link: LinkEpoch,
    /// Counts the streams that the session ever had.
    pub(crate) stream: u64,
}

/// Where a session is in its life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    /// Asked for; its agent has not opened the stream yet.
    Pending(Pending),
    /// Live.
    Connected(Connected),
    /// Live, and all its clients said that they went to the background.
    Background(Background),
    /// Its agent's stream is lost; the processes run on.
    Grace(Grace),
    /// Over.
    Ended(Ended),
}

/// See [`Life::Pending`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    until: Instant,
}

/// See [`Life::Connected`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connected {
    fence: Fence,
    since_ms: u64,
}

/// See [`Life::Background`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Background {
    connected: Connected,
    until: Instant,
}

/// Only a session that lost its agent has a grace deadline, and it remembers which stream it lost.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grace {
    lost: Fence,
    connected_ms: u64,
    since_ms: u64,
    until: Option<Instant>,
    /// It was in the background, and still is.
    background_until: Option<Instant>,
}

/// See [`Life::Ended`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    /// When, for the record.
    pub(crate) at_ms: u64,
    /// When it was connected last, for the record.
    pub(crate) connected_ms: u64,
    /// How its process ended, if that was seen.
    pub(crate) exit: Option<v1::Exit>,
    /// Why, as a sentence.
    pub(crate) reason: String,
    forget_at: Instant,
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Its agent opened a stream for it.
    Opened(Fence),
    /// That stream is lost, or the link that it belongs to.
    Lost(Fence),
    /// All its clients are in the background.
    WentBackground,
    /// One of its clients is not, or somebody typed.
    CameBack,
    /// Its process ended.
    Exited(Option<v1::Exit>),
    /// It is over for another reason, as a sentence.
    Over(String),
    /// Time passed.
    Tick,
}

/// What a transition asks of the shell around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The record looks different.
    pub(crate) changed: bool,
    /// It was the relay that ended it: the agent has to hear of it.
    pub(crate) end_on_agent: bool,
    /// The record's time is over too.
    pub(crate) forget: bool,
}

const NOTHING: Effect = Effect {
    changed: false,
    end_on_agent: false,
    forget: false,
};
const CHANGED: Effect = Effect {
    changed: true,
    ..NOTHING
};
const TIME_IS_UP: Effect = Effect {
    end_on_agent: true,
    ..CHANGED
};

impl Life {
    /// A session that was asked for.
    pub(crate) fn pending(terms: &Terms, now: Now) -> Self {
        Self::Pending(Pending {
            until: now.instant + terms.pending,
        })
    }

    /// A session that its agent brought back: it is on probation until its stream opens.
    pub(crate) fn found(terms: &Terms, connected_ms: u64, now: Now) -> Self {
        Self::Grace(Grace {
            lost: Fence::default(),
            connected_ms,
            since_ms: now.unix_ms,
            until: terms.grace.map(|grace| now.instant + grace),
            background_until: None,
        })
    }

    /// What `event` makes of it.
    pub(crate) fn step(self, event: Event, terms: &Terms, now: Now) -> (Self, Effect) {
        match (self, event) {
            (Self::Ended(ended), Event::Tick) if now.instant >= ended.forget_at => {
                let forget = Effect {
                    forget: true,
                    ..NOTHING
                };
                (Self::Ended(ended), forget)
            }
            (ended @ Self::Ended(_), _) => (ended, NOTHING),
            (life, Event::Exited(exit)) => (life.end(exit, String::new(), terms, now), CHANGED),
            (life, Event::Over(reason)) => (life.end(None, reason, terms, now), CHANGED),
            (life, Event::Tick) => life.tick(terms, now),
            (Self::Pending(_), Event::Opened(fence)) => {
                (Self::Connected(Connected::new(fence, now)), CHANGED)
            }
            (Self::Connected(connected), event) => connected.step(&event, terms, now),
            (Self::Background(background), event) => background.step(&event, terms, now),
            (Self::Grace(grace), event) => grace.step(&event, now),
            (life @ Self::Pending(_), _) => (life, NOTHING),
        }
    }

    fn tick(self, terms: &Terms, now: Now) -> (Self, Effect) {
        if self
            .deadline()
            .is_none_or(|deadline| now.instant < deadline)
        {
            return (self, NOTHING);
        }
        let reason = match &self {
            Self::Pending(_) => format!(
                "its agent did not open it within {} s",
                terms.pending.as_secs()
            ),
            Self::Grace(grace) if grace.is_over(now) => {
                "its agent did not come back within the grace period".to_owned()
            }
            _ => "its clients stayed in the background for too long".to_owned(),
        };
        (self.end(None, reason, terms, now), TIME_IS_UP)
    }

    fn end(self, exit: Option<v1::Exit>, reason: String, terms: &Terms, now: Now) -> Self {
        Self::Ended(Ended {
            at_ms: now.unix_ms,
            connected_ms: self.connected_ms(),
            exit,
            reason,
            forget_at: now.instant + terms.keep_ended,
        })
    }

    /// When a [`Event::Tick`] will change something; `None`: not by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Pending(pending) => Some(pending.until),
            Self::Connected(_) => None,
            Self::Background(background) => Some(background.until),
            Self::Grace(grace) => [grace.until, grace.background_until]
                .into_iter()
                .flatten()
                .min(),
            Self::Ended(ended) => Some(ended.forget_at),
        }
    }

    /// How it stands in the record.
    pub(crate) fn status(&self) -> v1::SessionStatus {
        match self {
            Self::Pending(_) => v1::SessionStatus::Pending,
            Self::Connected(_) => v1::SessionStatus::Connected,
            Self::Background(_) => v1::SessionStatus::Background,
            Self::Grace(_) => v1::SessionStatus::GracePeriod,
            Self::Ended(_) => v1::SessionStatus::Disconnected,
        }
    }

    /// When it was connected last; 0: never.
    pub(crate) fn connected_ms(&self) -> u64 {
        match self {
            Self::Pending(_) => 0,
            Self::Connected(connected) => connected.since_ms,
            Self::Background(background) => background.connected.since_ms,
            Self::Grace(grace) => grace.connected_ms,
            Self::Ended(ended) => ended.connected_ms,
        }
    }

    /// Since when its agent is gone; 0: it is not.
    pub(crate) fn grace_started_ms(&self) -> u64 {
        match self {
            Self::Grace(grace) => grace.since_ms,
            _ => 0,
        }
    }

    /// Its end, if it has one.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        match self {
            Self::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Whether it is over.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether it waits for its agent since it lost that very stream.
    pub(crate) fn has_lost(&self, fence: Fence) -> bool {
        matches!(self, Self::Grace(grace) if grace.lost == fence)
    }

    /// Whether its agent's stream is there.
    pub(crate) fn is_linked(&self) -> bool {
        matches!(self, Self::Connected(_) | Self::Background(_))
    }
}

impl Connected {
    fn new(fence: Fence, now: Now) -> Self {
        Self {
            fence,
            since_ms: now.unix_ms,
        }
    }

    fn step(self, event: &Event, terms: &Terms, now: Now) -> (Life, Effect) {
        match event {
            Event::Opened(fence) if *fence > self.fence => {
                (Life::Connected(Self::new(*fence, now)), CHANGED)
            }
            Event::Lost(fence) if *fence == self.fence => {
                (Life::Grace(self.lost(None, terms, now)), CHANGED)
            }
            Event::WentBackground => {
                let until = now.instant + terms.background;
                let connected = self;
                (Life::Background(Background { connected, until }), CHANGED)
            }
            _ => (Life::Connected(self), NOTHING),
        }
    }

    fn lost(self, background_until: Option<Instant>, terms: &Terms, now: Now) -> Grace {
        Grace {
            lost: self.fence,
            connected_ms: self.since_ms,
            since_ms: now.unix_ms,
            until: terms.grace.map(|grace| now.instant + grace),
            background_until,
        }
    }
}

impl Background {
    fn step(self, event: &Event, terms: &Terms, now: Now) -> (Life, Effect) {
        match event {
            Event::CameBack => (Life::Connected(self.connected), CHANGED),
            Event::Opened(fence) if *fence > self.connected.fence => {
                let connected = Connected::new(*fence, now);
                (Life::Background(Self { connected, ..self }), CHANGED)
            }
            Event::Lost(fence) if *fence == self.connected.fence => {
                let grace = self.connected.lost(Some(self.until), terms, now);
                (Life::Grace(grace), CHANGED)
            }
            _ => (Life::Background(self), NOTHING),
        }
    }
}

impl Grace {
    fn is_over(&self, now: Now) -> bool {
        self.until.is_some_and(|until| now.instant >= until)
    }

    fn step(mut self, event: &Event, now: Now) -> (Life, Effect) {
        match event {
            // A stream older than the one that was lost is a ghost: it changes nothing.
            Event::Opened(fence) if *fence > self.lost => {
                let connected = Connected::new(*fence, now);
                let life = match self.background_until {
                    None => Life::Connected(connected),
                    Some(until) => Life::Background(Background { connected, until }),
                };
                (life, CHANGED)
            }
            Event::CameBack => {
                self.background_until = None;
                (Life::Grace(self), NOTHING)
            }
            _ => (Life::Grace(self), NOTHING),
        }
    }
}

#[cfg(test)]
mod tests {
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
    async fn an_ended_record_is_forgotten_when_its_time_is_up() {
        let life = run(connected(), &[Event::Exited(None)]);
        let (life, effect) = life.step(Event::Tick, &TERMS, after(599).await);
        assert!(!effect.forget);
        let (_, effect) = life.step(Event::Tick, &TERMS, after(1).await);
        assert!(effect.forget);
    }
}
