//! Who may type into a session: everybody who operates it, or one client that holds the keyboard.
//!
//! Pure: it is told who asks, who is attached and what time it is. The rule that everything rests on:
//! while the keyboard is exclusive, nobody but its holder may type, and it passes on only by its
//! holder's will, or where the holder is away, idle, or made to watch.

mod change;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use cmdop_proto::{ClientId, Refusal, limits, text, v1};
use tokio::time::Instant;

pub(crate) use change::{Actor, Change};

/// A holder who typed nothing for so long may be relieved: long enough to read an answer, short
/// enough that nobody has to wait for somebody who went to lunch.
pub(crate) const IDLE: Duration = Duration::from_secs(30);

/// Requests that may wait for the holder; the record carries them all.
const MAX_REQUESTS: usize = 16;

/// Clients that are remembered to be observers; the oldest are forgotten first.
const MAX_WATCHERS: usize = 256;

/// A client and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typist {
    pub(crate) client: ClientId,
    /// The account's id.
    pub(crate) account: String,
    /// The account's name, for people.
    pub(crate) name: String,
}

/// The keyboard of one session.
#[derive(Debug, Default)]
pub(crate) struct Keyboard {
    /// `None`: free, every operator types.
    exclusive: Option<Exclusive>,
    /// Made to watch by an administrator.
    watchers: VecDeque<ClientId>,
}

#[derive(Debug, Default)]
struct Exclusive {
    holder: Option<Holder>,
    /// The oldest first; none of them the holder.
    requests: Vec<Typist>,
}

#[derive(Debug)]
struct Holder {
    who: Typist,
    /// When it got the keyboard, or typed last.
    active: Instant,
}

/// Whether an operator with this client id is attached now.
pub(crate) type IsAttached<'a> = &'a dyn Fn(ClientId) -> bool;

impl Keyboard {
    /// What an agent kept of it while the relay was away.
    pub(crate) fn restored(kept: Option<&v1::Keyboard>, now: Instant) -> Self {
        let exclusive = kept
            .filter(|kept| kept.mode() == v1::KeyboardMode::Exclusive)
            .map(|kept| Exclusive {
                holder: kept
                    .holder
                    .as_ref()
                    .and_then(Typist::read)
                    .map(|who| Holder {
                        who,
                        // It has its time to come back, as if it had typed just now.
                        active: now,
                    }),
                requests: Vec::new(),
            });
        Self {
            exclusive,
            ..Self::default()
        }
    }

    /// Whether this client's keys reach the session. It has to be an operator besides.
    pub(crate) fn may_type(&self, client: ClientId) -> bool {
        match &self.exclusive {
            None => true,
            Some(exclusive) => exclusive.is_held_by(client),
        }
    }

    /// Its holder typed.
    pub(crate) fn typed(&mut self, now: Instant) {
        if let Some(holder) = self.exclusive.as_mut().and_then(|e| e.holder.as_mut()) {
            holder.active = now;
        }
    }

    /// Why a client that may not type may not.
    pub(crate) fn refusal(&self) -> Refusal {
        match self.holder() {
            Some(holder) => Refusal::denied(
                "keyboard-held",
                format!("{} holds the keyboard of the session", holder.name),
            )
            .hint("ask for it with `cmdop keyboard SESSION --request`; attached: ctrl-] r"),
            None => Refusal::denied(
                "keyboard-vacant",
                "nobody holds the keyboard of the session",
            )
            .hint("take it with `cmdop keyboard SESSION --take`; attached: ctrl-] t"),
        }
    }

    /// Who holds it; `None` also while it is free.
    pub(crate) fn holder(&self) -> Option<&Typist> {
        let holder = self.exclusive.as_ref()?.holder.as_ref()?;
        Some(&holder.who)
    }

    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive.is_some()
    }

    /// An administrator made this client watch; it stays an observer when it attaches again.
    pub(crate) fn must_watch(&self, client: ClientId) -> bool {
        self.watchers.contains(&client)
    }

    /// A client is attached no longer: it asks for nothing any more. What it holds stays reserved for
    /// its return, until somebody takes it. `true`: the record looks different.
    pub(crate) fn left(&mut self, client: ClientId) -> bool {
        let Some(exclusive) = &mut self.exclusive else {
            return false;
        };
        let before = exclusive.requests.len();
        exclusive.requests.retain(|who| who.client != client);
        exclusive.requests.len() != before || exclusive.is_held_by(client)
    }

    /// How long until it may be taken if no key comes; zero: it may now, or nobody holds it.
    pub(crate) fn takeable_in(&self, now: Instant, is_attached: IsAttached<'_>) -> Duration {
        match self.exclusive.as_ref().and_then(|e| e.holder.as_ref()) {
            Some(holder) if is_attached(holder.who.client) => {
                IDLE.saturating_sub(now.saturating_duration_since(holder.active))
            }
            _ => Duration::ZERO,
        }
    }

    /// As it stands in the record.
    pub(crate) fn message(&self, is_attached: IsAttached<'_>) -> v1::Keyboard {
        let Some(exclusive) = &self.exclusive else {
            return v1::Keyboard {
                mode: v1::KeyboardMode::Free.into(),
                ..v1::Keyboard::default()
            };
        };
        let holder = self.holder();
        v1::Keyboard {
            mode: v1::KeyboardMode::Exclusive.into(),
            holder: holder.map(Typist::message),
            holder_attached: holder.is_some_and(|holder| is_attached(holder.client)),
            requests: exclusive.requests.iter().map(Typist::message).collect(),
        }
    }
}

impl Exclusive {
    fn is_held_by(&self, client: ClientId) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.who.client == client)
    }

    fn pass_to(&mut self, who: Typist, now: Instant) {
        self.requests.retain(|other| other.client != who.client);
        self.holder = Some(Holder { who, active: now });
    }
}

impl Typist {
    pub(crate) fn message(&self) -> v1::Typist {
        v1::Typist {
            client_id: self.client.to_string(),
            account_name: self.name.clone(),
            account_id: self.account.clone(),
        }
    }

    /// What an agent kept. Agents are hostile: bounded and stripped.
    fn read(kept: &v1::Typist) -> Option<Self> {
        Some(Self {
            client: kept.client_id.parse().ok()?,
            account: text::shown(&kept.account_id, limits::MAX_NAME),
            name: text::shown(&kept.account_name, limits::MAX_NAME),
        })
    }
}
