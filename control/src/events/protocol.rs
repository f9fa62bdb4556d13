//! The client protocol of Centrifugo, version 2, in its JSON form: commands in, replies and pushes out, several
//! of them in one text frame with newlines between. No IO and no decisions.
//!
//! Fields that we do not know are passed over, as the protocol asks; a command that names two methods is none.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::code::Fault;
use crate::store::Position;

/// The longest name of a channel: a kind and an id.
pub(crate) const MAX_CHANNEL: usize = 64;

/// A frame that is no sequence of commands.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame holds what is no command")]
pub(crate) struct Malformed;

/// One line of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The answer to our ping.
    Pong,
    /// Something to do. The number comes back in the reply.
    Command(u32, Method),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Say who it is.
    Connect { token: String },
    /// Hear a channel.
    Subscribe(Subscribe),
    /// Hear it no more.
    Unsubscribe { channel: String },
    /// What a channel told before.
    History(History),
    /// Another token, before the first is over.
    Refresh { token: String },
    /// We do answer.
    Ping,
    /// Needs no answer, and does nothing here.
    Send,
    /// Not for clients: only what happens is told.
    Publish,
    /// Part of the protocol, and not offered.
    NotOffered,
    /// Not part of what we know of the protocol.
    Unknown,
}

/// Hear a channel, perhaps from where it was left.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Subscribe {
    pub(crate) channel: String,
    /// Whether what was missed since `offset` is wanted.
    pub(crate) recover: bool,
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

/// What a channel told before.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct History {
    pub(crate) channel: String,
    /// How much of it; 0: only where it ends; below 0: all that is kept.
    pub(crate) limit: i32,
    pub(crate) since: Option<Since>,
    /// The newest first.
    pub(crate) reverse: bool,
}

/// From where on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Since {
    pub(crate) offset: u64,
    pub(crate) epoch: String,
}

#[derive(Deserialize)]
struct Tokened {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Channelled {
    #[serde(default)]
    channel: String,
}

/// A command as it travels.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Command {
    id: u32,
    connect: Option<Tokened>,
    subscribe: Option<Subscribe>,
    unsubscribe: Option<Channelled>,
    history: Option<History>,
    refresh: Option<Tokened>,
    ping: Option<IgnoredAny>,
    send: Option<IgnoredAny>,
    publish: Option<IgnoredAny>,
    presence: Option<IgnoredAny>,
    presence_stats: Option<IgnoredAny>,
    sub_refresh: Option<IgnoredAny>,
}

impl Command {
    fn read(self) -> Result<Line, Malformed> {
        let not_offered = [&self.presence, &self.presence_stats, &self.sub_refresh];
        let not_offered = not_offered.iter().any(|one| one.is_some());
        let mut methods = [
            self.connect.map(|connect| Method::Connect {
                token: connect.token,
            }),
            self.subscribe.map(Method::Subscribe),
            self.unsubscribe.map(|unsubscribe| Method::Unsubscribe {
                channel: unsubscribe.channel,
            }),
            self.history.map(Method::History),
            self.refresh.map(|refresh| Method::Refresh {
                token: refresh.token,
            }),
            self.ping.map(|_| Method::Ping),
            self.send.map(|_| Method::Send),
            self.publish.map(|_| Method::Publish),
            not_offered.then_some(Method::NotOffered),
        ]
        .into_iter()
        .flatten();
        let method = match (methods.next(), methods.next()) {
            (Some(method), None) => method,
            (None, _) if self.id == 0 => return Ok(Line::Pong),
            (None, _) => Method::Unknown,
            (Some(_), Some(_)) => return Err(Malformed),
        };
        // Without a number there is no way to answer.
        match (self.id, &method) {
            (0, Method::Send) => Ok(Line::Command(0, method)),
            (0, _) => Err(Malformed),
            (id, _) => Ok(Line::Command(id, method)),
        }
    }
}

/// The lines of a frame, each when it is its turn.
pub(crate) fn lines(frame: &str) -> impl Iterator<Item = Result<Line, Malformed>> {
    let lines = frame.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| {
        // An array would be read as the members of a command in their order.
        if !line.trim_start().starts_with('{') {
            return Err(Malformed);
        }
        let command: Command = serde_json::from_str(line).map_err(|_| Malformed)?;
        command.read()
    })
}

/// The ping that the server sends.
pub(crate) const PING: &str = "{}";

/// The answer to a command.
pub(crate) fn reply(id: u32, method: &str, result: &Value) -> String {
    json!({"id": id, method: result}).to_string()
}

/// A command that is not done.
pub(crate) fn error(id: u32, fault: Fault) -> String {
    let (code, message, is_temporary) = fault.words();
    let mut error = json!({"code": code, "message": message});
    if is_temporary {
        error["temporary"] = json!(true);
    }
    json!({"id": id, "error": error}).to_string()
}

/// A publication as it stands in replies and pushes. `data` is JSON of ours.
pub(crate) fn publication(offset: u64, data: &str) -> Value {
    json!({"offset": offset, "data": verbatim(data)})
}

/// What is told to those who hear the channel now, and to nobody later: without a number, which clients take as a
/// publication outside the channel's history.
pub(crate) fn push_unnumbered(channel: &str, data: &str) -> String {
    json!({"push": {"channel": channel, "pub": {"data": verbatim(data)}}}).to_string()
}

/// An event for those who hear the channel.
pub(crate) fn push(channel: &str, offset: u64, data: &str) -> String {
    json!({"push": {"channel": channel, "pub": publication(offset, data)}}).to_string()
}

/// The client does not hear the channel any more.
pub(crate) fn unsubscribed(channel: &str, reason: &str) -> String {
    // Below 2500: not to be subscribed to again.
    let unsubscribe = json!({"code": 2000, "reason": reason});
    json!({"push": {"channel": channel, "unsubscribe": unsubscribe}}).to_string()
}

/// Where a channel ends, as replies say it.
pub(crate) fn position(position: &Position) -> Value {
    json!({"epoch": position.epoch, "offset": position.newest})
}

/// What we kept as JSON is JSON; were it not, it is told as text rather than not at all.
fn verbatim(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()))
}

#[cfg(test)]
mod tests;
