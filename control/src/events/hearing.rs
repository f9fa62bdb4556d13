//! What a connection hears: subscribing, from now on or from where it was left; and reading what was told before.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::channel::Channel;
use super::code::{End, Fault};
use super::connection::{Connection, Heard};
use super::hub::{Feed, Log};
use super::protocol::{self, History, Subscribe};
use super::ticket::Ticket;
use crate::permission::{self, Action};
use crate::plane::ControlPlane;
use crate::store::{self, KEPT, Part, Position, Told, UNNUMBERED, Workspace};

/// Channels that one connection may hear.
const MAX_CHANNELS: usize = 128;

/// What one reply may carry of what was missed.
const MAX_MISSED: usize = 4 << 20;

/// The feeds that a connection needs for its channels.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    events: Option<Feed>,
    audit: Option<Feed>,
}

impl Feeds {
    fn of(&mut self, log: Log) -> &mut Option<Feed> {
        match log {
            Log::Events => &mut self.events,
            Log::Audit => &mut self.audit,
        }
    }

    /// What is told next. Cancel-safe.
    pub(super) async fn next(&mut self) -> (Log, Result<Arc<Told>, RecvError>) {
        async fn hear(feed: &mut Option<Feed>) -> Result<Arc<Told>, RecvError> {
            match feed {
                Some(feed) => feed.recv().await,
                None => std::future::pending().await,
            }
        }
        // Cancel-safe: what is not taken stays in its feed.
        tokio::select! {
            told = hear(&mut self.events) => (Log::Events, told),
            told = hear(&mut self.audit) => (Log::Audit, told),
        }
    }

    /// What is there already.
    pub(super) fn ready(&mut self, log: Log) -> Option<Result<Arc<Told>, RecvError>> {
        match self.of(log).as_mut()?.try_recv() {
            Ok(told) => Some(Ok(told)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
            Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
        }
    }
}

/// Where a channel's events come from.
fn log_of(channel: Channel) -> Log {
    match channel {
        Channel::Workspace(_) | Channel::Session(_) => Log::Events,
        Channel::Audit(_) => Log::Audit,
    }
}

/// Whether somebody gets to see the names of files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paths {
    Shown,
    Hidden,
}

impl Paths {
    fn of(ticket: &Ticket) -> Self {
        if ticket.may(Action::SeePaths) {
            Self::Shown
        } else {
            Self::Hidden
        }
    }

    fn words(self, told: &Told) -> &str {
        match &told.told_with_paths {
            Some(all) if self == Self::Shown => all,
            _ => &told.told,
        }
    }
}

impl Connection {
    pub(super) async fn subscribe(
        &mut self,
        ticket: &Ticket,
        asked: Subscribe,
    ) -> Result<Value, Fault> {
        let channel = access(&self.plane, ticket, &asked.channel).await?;
        if self.heard.contains_key(&channel) {
            return Err(Fault::AlreadySubscribed);
        }
        if self.heard.len() >= MAX_CHANNELS {
            return Err(Fault::LimitExceeded);
        }
        // First the feed, then what is in the database: nothing can be told between the two unheard, and
        // what comes by both ways is known by its number.
        self.open_feed(ticket, log_of(channel)).await?;
        let after = if asked.recover {
            asked.offset
        } else {
            u64::MAX
        };
        let part = Part::After(after);
        let (position, missed) = read(&self.plane, ticket, channel, part, KEPT as u32).await?;
        self.has_read(missed.len());
        let mut result = protocol::position(&position);
        result["recoverable"] = json!(true);
        result["positioned"] = json!(true);
        if asked.recover {
            let recovered = is_all(&asked, &position, &missed);
            result["was_recovering"] = json!(true);
            result["recovered"] = json!(recovered);
            if recovered {
                result["publications"] = publications(ticket, &missed);
            }
        }
        let heard = Heard {
            name: asked.channel,
            newest: position.newest,
        };
        self.heard.insert(channel, heard);
        Ok(result)
    }

    /// Part of what a channel told, and where it ends.
    pub(super) async fn history(
        &mut self,
        ticket: &Ticket,
        asked: &History,
    ) -> Result<Value, Fault> {
        let channel = access(&self.plane, ticket, &asked.channel).await?;
        let limit = u32::try_from(asked.limit).map_or(KEPT, u64::from).min(KEPT);
        let from = asked.since.as_ref().map(|since| since.offset);
        let part = if asked.reverse {
            Part::Before(from.unwrap_or(u64::MAX))
        } else {
            Part::After(from.unwrap_or(0))
        };
        let (position, told) = read(&self.plane, ticket, channel, part, limit as u32).await?;
        self.has_read(told.len());
        let is_of_now = |since: &protocol::Since| since.epoch == position.epoch;
        if !asked.since.as_ref().is_none_or(is_of_now) {
            return Err(Fault::UnrecoverablePosition);
        }
        let mut result = protocol::position(&position);
        result["publications"] = publications(ticket, &told[..fitting(&told)]);
        Ok(result)
    }

    pub(super) fn unsubscribe(&mut self, name: &str) -> Value {
        if let Some(channel) = Channel::parse(name) {
            self.heard.remove(&channel);
            self.drop_unheard_feeds();
        }
        json!({})
    }

    /// Adds an event to a frame, for each channel that it is told on.
    pub(super) fn add(&mut self, log: Log, told: &Told, frame: &mut String) -> Result<(), End> {
        let Some(ticket) = self.ticket() else {
            return Ok(());
        };
        let (workspace, paths) = (ticket.workspace(), Paths::of(ticket));
        let session = told.session.map(|(id, _)| Channel::Session(id));
        let channels = match log {
            Log::Events => [Some(Channel::Workspace(workspace)), session],
            Log::Audit => [Some(Channel::Audit(workspace)), None],
        };
        for channel in channels.into_iter().flatten() {
            let Some(heard) = self.heard.get_mut(&channel) else {
                continue;
            };
            let Some(number) = told.number_in(channel.stream()) else {
                continue;
            };
            if number == UNNUMBERED {
                line(
                    frame,
                    &protocol::push_unnumbered(&heard.name, paths.words(told)),
                );
                continue;
            }
            if number <= heard.newest {
                continue;
            }
            if number > heard.newest + 1 {
                return Err(End::InsufficientState);
            }
            heard.newest = number;
            line(
                frame,
                &protocol::push(&heard.name, number, paths.words(told)),
            );
        }
        Ok(())
    }

    /// Hears no more what this ticket is not good for; the names.
    pub(super) fn drop_unless_allowed(&mut self, ticket: &Ticket) -> Vec<String> {
        let may = |channel: &Channel| channel.takes().iter().all(|action| ticket.may(*action));
        let dropped = self.heard.extract_if(|channel, _| !may(channel));
        let names = dropped.map(|(_, heard)| heard.name).collect();
        self.drop_unheard_feeds();
        names
    }

    fn drop_unheard_feeds(&mut self) {
        for log in [Log::Events, Log::Audit] {
            if !self.heard.keys().any(|channel| log_of(*channel) == log) {
                *self.feeds.of(log) = None;
            }
        }
    }

    async fn open_feed(&mut self, ticket: &Ticket, log: Log) -> Result<(), Fault> {
        if self.feeds.of(log).is_none() {
            let hub = &self.plane.hub;
            let feed = hub.feed(&self.plane.store, ticket.workspace(), log).await;
            *self.feeds.of(log) = Some(feed.map_err(|error| failed(&error))?);
        }
        Ok(())
    }
}

async fn read(
    plane: &ControlPlane,
    ticket: &Ticket,
    channel: Channel,
    part: Part,
    limit: u32,
) -> Result<(Position, Vec<(u64, Told)>), Fault> {
    let workspace = workspace(plane, ticket);
    let read = workspace.events(channel.stream(), part, limit).await;
    read.map_err(|error| failed(&error))
}

fn workspace<'a>(plane: &'a ControlPlane, ticket: &Ticket) -> Workspace<'a> {
    let workspace = plane.store.workspace(ticket.workspace());
    workspace.by(ticket.actor())
}

/// The channel of that name, if this ticket is good for it. What is not there and what is another
/// workspace's are answered alike.
async fn access(plane: &ControlPlane, ticket: &Ticket, name: &str) -> Result<Channel, Fault> {
    let channel = Channel::parse(name).ok_or(Fault::UnknownChannel)?;
    let mut takes = channel.takes().iter();
    if let Some(action) = takes.find(|action| !ticket.may(**action)) {
        let words = permission::rule_of(*action).words;
        return Err(denied(plane, ticket, words).await);
    }
    match (channel.workspace(), channel) {
        (Some(named), _) if named != ticket.workspace() => {
            Err(denied(plane, ticket, "hear another workspace").await)
        }
        (None, Channel::Session(id)) => {
            let workspace = workspace(plane, ticket);
            match workspace.has_session(id, ticket.reach()).await {
                Ok(true) => Ok(channel),
                Ok(false) => Err(Fault::PermissionDenied),
                Err(error) => Err(failed(&error)),
            }
        }
        // It tells of every machine.
        (Some(_), Channel::Workspace(_)) if !ticket.reach().is_all() => {
            Err(denied(plane, ticket, "hear all of the workspace").await)
        }
        _ => Ok(channel),
    }
}

/// Every refusal is recorded, as fast as the throttle lets it.
async fn denied(plane: &ControlPlane, ticket: &Ticket, words: &str) -> Fault {
    let workspace = workspace(plane, ticket);
    let recorded = plane
        .record_denial(&workspace, ticket.account(), words)
        .await;
    match recorded {
        Ok(()) => Fault::PermissionDenied,
        Err(_) => Fault::Internal,
    }
}

/// Whether that is all that was missed.
fn is_all(asked: &Subscribe, position: &Position, missed: &[(u64, Told)]) -> bool {
    asked.epoch == position.epoch
        && position.newest.checked_sub(asked.offset) == Some(missed.len() as u64)
        && fitting(missed) == missed.len()
}

/// Adds a line to a frame.
fn line(frame: &mut String, text: &str) {
    if !frame.is_empty() {
        frame.push('\n');
    }
    frame.push_str(text);
}

/// How many of them fit a reply.
fn fitting(told: &[(u64, Told)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, told): &&(u64, Told)| {
        let longest = told.told_with_paths.as_ref().unwrap_or(&told.told);
        bytes += longest.len() + 64;
        bytes <= MAX_MISSED
    };
    told.iter().take_while(fits).count()
}

fn publications(ticket: &Ticket, told: &[(u64, Told)]) -> Value {
    let (told, paths) = (told.iter(), Paths::of(ticket));
    told.map(|(number, told)| protocol::publication(*number, paths.words(told)))
        .collect()
}

fn failed(error: &store::Error) -> Fault {
    tracing::error!(%error, "the database failed");
    Fault::Internal
}
