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
    /// When its record's time is over; `None`: it is, and nothing more comes.
    forget_at: Option<Instant>,
}

impl Ended {
    fn is_forgotten_at(&self, now: Now) -> bool {
        self.forget_at.is_some_and(|at| now.instant >= at)
    }
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
            (Self::Ended(mut ended), Event::Tick) if ended.is_forgotten_at(now) => {
                // Once: whoever still holds the session may hold it for ever.
                ended.forget_at = None;
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
            (Self::Grace(grace), event) => grace.step(&event, terms, now),
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
            forget_at: Some(now.instant + terms.keep_ended),
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
            Self::Ended(ended) => ended.forget_at,
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

    /// Whether its clients went to the background, also while its agent is away.
    pub(crate) fn is_in_background(&self) -> bool {
        match self {
            Self::Background(_) => true,
            Self::Grace(grace) => grace.background_until.is_some(),
            Self::Pending(_) | Self::Connected(_) | Self::Ended(_) => false,
        }
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

    fn step(mut self, event: &Event, terms: &Terms, now: Now) -> (Life, Effect) {
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
            // Its agent may come back before they do.
            Event::WentBackground => {
                let until = now.instant + terms.background;
                self.background_until.get_or_insert(until);
                (Life::Grace(self), NOTHING)
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
mod tests;
