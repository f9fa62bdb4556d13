//! The keyboard of a session among its clients: who asks, whom they mean, and who has to hear of it.
//!
//! The rules themselves are in `keyboard`; here they meet the attached clients.

use cmdop_proto::{ClientId, InputSeq, Refusal, text, v1};
use tokio::time::Instant;
use v1::keyboard_change::Change as Asked;

use super::attached::{AttachmentId, Client, Mode};
use super::input::Accepted;
use super::keyboard::{Actor, Change, Typist};
use super::lifecycle::Now;
use super::size::Policy;
use super::state::{After, State};

/// The shortest beginning of a client id that counts as one.
const SHORTEST_PREFIX: usize = 4;

/// Accounts of clients that are remembered after their last attachment; the least recent go first.
const MAX_OWNERS: usize = 512;

/// Who asks without being attached: an account, by a call of its own.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// The account's id.
    pub(crate) account: String,
    /// The account is an owner or administrator of the workspace.
    pub(crate) governs: bool,
    /// Which of its clients it means; empty: the only one.
    pub(crate) client: String,
}

impl State {
    /// Refuses what a client types that may not, unless it repeats what was taken from it when it might.
    pub(super) fn may_not_type(&self, id: ClientId, seq: InputSeq) -> Result<Accepted, Refusal> {
        self.inputs
            .known(id, seq)
            .ok_or_else(|| self.keyboard.refusal())
    }

    /// An attached client asks for a change.
    pub(super) fn client_keyboard(
        &mut self,
        attachment: AttachmentId,
        asked: v1::KeyboardChange,
        now: Now,
        after: &mut After,
    ) -> Result<(), Refusal> {
        self.require_operator(attachment)?;
        self.require_alive()?;
        let client = self.client(attachment).map(|client| Actor {
            client: Some(client.typist()),
            governs: client.governs,
        });
        match client {
            Some(actor) => self.change_keyboard(asked, actor, now, after),
            None => Ok(()),
        }
    }

    /// An account asks for a change, by a call of its own.
    pub(super) fn account_keyboard(
        &mut self,
        asked: v1::KeyboardChange,
        asking: &Asking,
        now: Now,
        after: &mut After,
    ) -> Result<(), Refusal> {
        self.require_alive()?;
        let client = self.meant_client(&asked, asking)?;
        let actor = Actor {
            client,
            governs: asking.governs,
        };
        self.change_keyboard(asked, actor, now, after)
    }

    /// Which of its clients an account means.
    fn meant_client(
        &self,
        asked: &v1::KeyboardChange,
        asking: &Asking,
    ) -> Result<Option<Typist>, Refusal> {
        let own = |client: &&Client| client.is_operator() && client.account == asking.account;
        if !asking.client.is_empty() {
            let client = self.named(&asking.client, own)?;
            return Ok(Some(client.typist()));
        }
        let holder = self.keyboard.holder();
        let hands_over = matches!(asked.change, Some(Asked::Give(_) | Asked::Mode(_)));
        if let Some(holder) = holder.filter(|who| hands_over && who.account == asking.account) {
            return Ok(Some(holder.clone()));
        }
        let mut all = self.clients.iter().filter(own);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(client), None) => Ok(Some(client.typist())),
            // A lock without a holder, or a change that needs none.
            (Some(_), Some(_))
                if matches!(asked.change, Some(Asked::Mode(_) | Asked::Observe(_))) =>
            {
                Ok(None)
            }
            (Some(_), Some(_)) => Err(Refusal::invalid(
                "client-ambiguous",
                "several of your clients are attached to the session",
            )
            .hint("name one with --client; `cmdop keyboard SESSION` lists them")),
        }
    }

    fn change_keyboard(
        &mut self,
        asked: v1::KeyboardChange,
        actor: Actor,
        now: Now,
        after: &mut After,
    ) -> Result<(), Refusal> {
        let change = match asked.change {
            Some(Asked::Mode(mode)) => Change::mode(
                v1::KeyboardMode::try_from(mode).unwrap_or(v1::KeyboardMode::Unspecified),
            )?,
            Some(Asked::Request(_)) => Change::Request,
            Some(Asked::Take(_)) => Change::Take,
            Some(Asked::Give(to)) => Change::Give(self.named(&to, |_| true)?.typist()),
            Some(Asked::Observe(whom)) => Change::Observe(self.named(&whom, |_| true)?.id),
            None => {
                return Err(Refusal::invalid(
                    "bad-request",
                    "the request names no change of the keyboard",
                ));
            }
        };
        let clients = &self.clients;
        let changed = self
            .keyboard
            .change(change.clone(), actor, now.instant, &|id| {
                operates(clients, id)
            })?;
        if let Change::Observe(id) = change {
            self.make_observer(id, now, after);
        }
        if changed {
            self.settings_changed(after);
            self.count_votes(after);
            // Whoever waited for room may not type any more, or may now.
            after.input_moves = true;
        }
        Ok(())
    }

    fn make_observer(&mut self, id: ClientId, now: Now, after: &mut After) {
        let Some(client) = self.clients.iter_mut().find(|client| client.id == id) else {
            return;
        };
        client.mode = Mode::Observer;
        client.vote = None;
        let attachment = client.attachment;
        self.refuse_client(attachment, made_observer(), InputSeq(0), now, after);
        self.agent.wake(after);
        self.look_at_background(now, after);
    }

    /// The one attached client that people mean, among those that `may` be meant.
    fn named(&self, name: &str, may: impl Fn(&&Client) -> bool) -> Result<&Client, Refusal> {
        let wanted = name.to_ascii_lowercase();
        let is_meant = |client: &&Client| {
            let id = client.id.to_string();
            let is_prefix = wanted.len() >= SHORTEST_PREFIX && id.starts_with(&wanted);
            may(client) && (is_prefix || client.name == name)
        };
        let mut all = self.clients.iter().filter(is_meant);
        match (all.next(), all.next()) {
            (Some(client), None) => Ok(client),
            (None, _) => Err(Refusal::not_found(
                "client-unknown",
                format!("no such client is attached: `{}`", text::shown(name, 64)),
            )
            .hint("`cmdop keyboard SESSION` lists those that are")),
            (Some(_), Some(_)) => Err(Refusal::invalid(
                "client-ambiguous",
                format!("several attached clients are `{}`", text::shown(name, 64)),
            )
            .hint("give more characters of the client's id")),
        }
    }

    /// All hear of it, and the agent keeps it for a relay that may come after this one.
    pub(super) fn settings_changed(&mut self, after: &mut After) {
        self.record_changed(after);
        let settings = self.settings();
        self.agent.keep(settings, after);
    }

    /// Whether the agent has the settings as they are. They may have changed while it was away, and a
    /// worker that was restarted has those of the session's making.
    pub(super) fn is_kept(&self, summary: &v1::SessionSummary) -> bool {
        let record = summary.session.as_ref();
        let policy = record.map_or(Policy::Latest, super::policy);
        let keyboard = record.and_then(|record| record.keyboard.as_ref());
        let is_exclusive = keyboard.is_some_and(|k| k.mode() == v1::KeyboardMode::Exclusive);
        // An exclusive one may have another holder.
        policy == self.policy && !is_exclusive && !self.keyboard.is_exclusive()
    }

    pub(super) fn settings(&self) -> v1::SessionSettings {
        v1::SessionSettings {
            keyboard: Some(v1::Keyboard {
                requests: Vec::new(),
                ..self.keyboard_message()
            }),
            size_policy: self.policy.message().into(),
        }
    }

    pub(super) fn keyboard_message(&self) -> v1::Keyboard {
        self.keyboard.message(&|id| operates(&self.clients, id))
    }

    /// Who is attached, and who may type.
    pub(super) fn keyboard_response(&self, now: Instant) -> v1::KeyboardResponse {
        let takeable = self
            .keyboard
            .takeable_in(now, &|id| operates(&self.clients, id));
        v1::KeyboardResponse {
            session: None,
            clients: self.clients.iter().map(Client::message).collect(),
            takeable_in_ms: takeable.as_millis() as u64,
        }
    }

    /// A client id belongs to the account that used it first, for as long as that is remembered:
    /// nobody types, or holds a keyboard, in the name of another.
    pub(super) fn own(&mut self, id: ClientId, account: &str) -> Result<(), Refusal> {
        let holder = self.keyboard.holder().filter(|holder| holder.client == id);
        let known = self.owners.iter().position(|(owned, _)| *owned == id);
        let owner = match (holder, known) {
            (Some(holder), _) => Some(holder.account.as_str()),
            (None, Some(at)) => Some(self.owners[at].1.as_str()),
            (None, None) => None,
        };
        if owner.is_some_and(|owner| owner != account) {
            return Err(Refusal::denied(
                "client-id-taken",
                "another account uses this client id in the session",
            )
            .hint("use a client id of your own"));
        }
        if let Some(at) = known {
            self.owners.remove(at);
        } else if self.owners.len() >= MAX_OWNERS {
            self.owners.pop_front();
        }
        self.owners.push_back((id, account.to_owned()));
        Ok(())
    }
}

/// Whether an operator with this client id is attached.
fn operates(clients: &[Client], id: ClientId) -> bool {
    clients
        .iter()
        .any(|client| client.id == id && client.is_operator())
}

pub(super) fn made_observer() -> Refusal {
    Refusal::denied(
        "made-observer",
        "an administrator made this client an observer of the session",
    )
    .hint("it can only watch from now on")
}
