//! How the keyboard passes from one client to another, and who may make it.

use cmdop_proto::{ClientId, Refusal, v1};
use tokio::time::Instant;

use super::{Exclusive, IDLE, IsAttached, Keyboard, MAX_REQUESTS, MAX_WATCHERS, Typist};

/// Who asks for a change.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// The attached operator that it is asked for; `None`: the account has none here.
    pub(crate) client: Option<Typist>,
    /// The account is an owner or administrator of the workspace.
    pub(crate) governs: bool,
}

/// What is asked for; the clients that it names are attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Every operator may type.
    Free,
    /// One holds it from now on.
    Exclusive,
    /// The holder is asked for it.
    Request,
    /// It passes to who asks.
    Take,
    /// It passes to this operator.
    Give(Typist),
    /// This client is an observer from now on.
    Observe(ClientId),
}

impl Keyboard {
    /// Does it, or says why not. `true`: something is different now.
    pub(crate) fn change(
        &mut self,
        change: Change,
        actor: Actor,
        now: Instant,
        is_attached: IsAttached<'_>,
    ) -> Result<bool, Refusal> {
        match change {
            Change::Exclusive => Ok(self.lock(actor.client, now)),
            Change::Free => self.free(&actor, now, is_attached),
            Change::Observe(client) => self.make_watch(client, &actor),
            Change::Request => self.request(operator(actor)?, now),
            Change::Take => self.take(operator(actor)?, now, is_attached),
            Change::Give(to) => self.give(to, &operator(actor)?, now, is_attached),
        }
    }

    /// Where it is exclusive already, this changes nothing: it is no way to take it.
    fn lock(&mut self, client: Option<Typist>, now: Instant) -> bool {
        if self.exclusive.is_some() {
            return false;
        }
        let mut exclusive = Exclusive::default();
        if let Some(who) = client {
            exclusive.pass_to(who, now);
        }
        self.exclusive = Some(exclusive);
        true
    }

    fn free(
        &mut self,
        actor: &Actor,
        now: Instant,
        is_attached: IsAttached<'_>,
    ) -> Result<bool, Refusal> {
        let Some(exclusive) = &self.exclusive else {
            return Ok(false);
        };
        let client = actor.client.as_ref();
        let holds = client.is_some_and(|who| exclusive.is_held_by(who.client));
        if !holds && !actor.governs {
            self.require_takeable(now, is_attached)?;
        }
        self.exclusive = None;
        Ok(true)
    }

    fn make_watch(&mut self, client: ClientId, actor: &Actor) -> Result<bool, Refusal> {
        if !actor.governs {
            return Err(Refusal::denied(
                "role-too-low",
                "making another client an observer takes an owner or administrator",
            )
            .hint("ask an administrator of the workspace"));
        }
        if let Some(exclusive) = &mut self.exclusive {
            exclusive.requests.retain(|who| who.client != client);
            if exclusive.is_held_by(client) {
                exclusive.holder = None;
            }
        }
        if !self.must_watch(client) {
            if self.watchers.len() >= MAX_WATCHERS {
                self.watchers.pop_front();
            }
            self.watchers.push_back(client);
        }
        Ok(true)
    }

    fn request(&mut self, who: Typist, now: Instant) -> Result<bool, Refusal> {
        let exclusive = self.exclusive.as_mut().ok_or_else(free)?;
        let has_asked = exclusive.requests.iter().any(|r| r.client == who.client);
        if has_asked || exclusive.is_held_by(who.client) {
            return Ok(false);
        }
        if exclusive.holder.is_none() {
            exclusive.pass_to(who, now);
            return Ok(true);
        }
        if exclusive.requests.len() >= MAX_REQUESTS {
            return Err(Refusal::exhausted(
                "too-many-requests",
                format!("{MAX_REQUESTS} others have asked for the keyboard already"),
            )
            .hint("ask again when one of them has had it"));
        }
        exclusive.requests.push(who);
        Ok(true)
    }

    fn take(
        &mut self,
        who: Typist,
        now: Instant,
        is_attached: IsAttached<'_>,
    ) -> Result<bool, Refusal> {
        let exclusive = self.exclusive.as_ref().ok_or_else(free)?;
        if exclusive.is_held_by(who.client) {
            return Ok(false);
        }
        self.require_takeable(now, is_attached)?;
        if let Some(exclusive) = &mut self.exclusive {
            exclusive.pass_to(who, now);
        }
        Ok(true)
    }

    fn give(
        &mut self,
        to: Typist,
        who: &Typist,
        now: Instant,
        is_attached: IsAttached<'_>,
    ) -> Result<bool, Refusal> {
        let exclusive = self.exclusive.as_mut().ok_or_else(free)?;
        if !exclusive.is_held_by(who.client) {
            return Err(Refusal::denied(
                "keyboard-held",
                "only who holds the keyboard can hand it over",
            )
            .hint("`cmdop keyboard SESSION` shows who holds it"));
        }
        if !is_attached(to.client) || self.watchers.contains(&to.client) {
            return Err(Refusal::invalid(
                "client-observes",
                format!("{} only watches the session", to.name),
            )
            .hint("it can hold the keyboard once it is attached as an operator"));
        }
        if to.client == who.client {
            return Ok(false);
        }
        exclusive.pass_to(to, now);
        Ok(true)
    }

    /// Whether its holder, if there is one, may be relieved of it.
    fn require_takeable(&self, now: Instant, is_attached: IsAttached<'_>) -> Result<(), Refusal> {
        let left = self.takeable_in(now, is_attached);
        let Some(holder) = self.holder().filter(|_| !left.is_zero()) else {
            return Ok(());
        };
        let ago = IDLE.saturating_sub(left).as_secs();
        Err(Refusal::denied(
            "keyboard-held",
            format!(
                "{} holds the keyboard and was active {ago} s ago; it can be taken after {} s",
                holder.name,
                IDLE.as_secs()
            ),
        )
        .hint("ask for it with `cmdop keyboard SESSION --request`; attached: ctrl-] r"))
    }
}

impl Change {
    /// The mode of a request.
    pub(crate) fn mode(mode: v1::KeyboardMode) -> Result<Self, Refusal> {
        match mode {
            v1::KeyboardMode::Free => Ok(Self::Free),
            v1::KeyboardMode::Exclusive => Ok(Self::Exclusive),
            v1::KeyboardMode::Unspecified => Err(Refusal::invalid(
                "bad-request",
                "the request names no mode of the keyboard",
            )),
        }
    }
}

fn operator(actor: Actor) -> Result<Typist, Refusal> {
    actor.client.ok_or_else(|| {
        Refusal::invalid(
            "not-attached",
            "the keyboard belongs to attached operators, and you are not one of this session's",
        )
        .hint("attach with `cmdop attach` first")
    })
}

fn free() -> Refusal {
    Refusal::invalid(
        "keyboard-free",
        "the keyboard is free: every operator may type",
    )
    .hint("`cmdop keyboard SESSION --mode exclusive` gives it to one")
}
