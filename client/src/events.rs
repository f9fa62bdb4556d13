//! What happens in a workspace, as it happens: the control plane's events, over reconnects, each once.
//!
//! They travel over a WebSocket in the client protocol of Centrifugo, as they do to browsers
//! (docs/adr/0020). What was missed while a connection was lost is asked for by its number; what is not
//! kept any more is told as [`Event::Missed`], never passed over in silence.

mod socket;

use std::collections::VecDeque;

use cmdop_proto::Refusal;
use serde_json::{Value, json};

use crate::account;
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Error;
use crate::follow::is_passing;
use socket::{Socket, no_answer};

/// The protocol's code for "not allowed, or not there".
const PERMISSION_DENIED: u64 = 103;

/// The most that can be asked for of what was told before.
pub const MOST: u32 = 2048;

/// Something that a follower hears of.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What is told: an object with at least `type` and `at_ms`, as it came from the server.
    Told(Value),
    /// More happened on this channel than the server keeps; from here on it is told again.
    Missed(String),
}

/// A channel, and where it was left.
#[derive(Clone, Debug)]
struct Channel {
    name: String,
    /// Whether it may be left out for who is not allowed to hear it.
    is_optional: bool,
    position: Option<Position>,
}

#[derive(Clone, Debug)]
struct Position {
    epoch: Value,
    offset: u64,
}

impl Position {
    /// Reads where a stream ends from a reply.
    fn of(reply: &Value) -> Result<Self, Error> {
        let offset = reply["offset"].as_u64().unwrap_or(0);
        let epoch = reply["epoch"].clone();
        let is_there = epoch.is_string();
        is_there
            .then_some(Self { epoch, offset })
            .ok_or_else(no_answer)
    }
}

/// The events of the caller's workspace. Dropping it ends its connection.
#[derive(Debug)]
pub struct Follow {
    connection: Connection,
    channels: Vec<Channel>,
    socket: Option<Socket>,
    ready: VecDeque<Event>,
    backoff: Backoff,
}

impl Follow {
    /// Connects. The newest `past` events that were told before come first; then what happens. The audit log
    /// is among them for those who may read it.
    pub async fn start(connection: &Connection, past: u32) -> Result<Self, Error> {
        let workspace = account::whoami(connection).await?.workspace_id;
        let channel = |kind: &str, is_optional| Channel {
            name: format!("{kind}:{workspace}"),
            is_optional,
            position: None,
        };
        let mut follow = Self {
            connection: connection.clone(),
            channels: vec![channel("workspace", false), channel("audit", true)],
            socket: None,
            ready: VecDeque::new(),
            backoff: Backoff::new(),
        };
        let mut socket = Socket::open(connection).await?;
        follow.read_past(&mut socket, past.min(MOST)).await?;
        follow.subscribe(&mut socket).await?;
        follow.socket = Some(socket);
        Ok(follow)
    }

    /// Whether the audit log is among what is heard.
    pub fn hears_audit(&self) -> bool {
        self.channels.iter().any(|channel| channel.is_optional)
    }

    /// What is there already: after [`Follow::start`], what was told before.
    pub fn ready(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// The next one. An error is final: not logged in, or not allowed.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let error = match self.hear().await {
                Ok(()) => continue,
                Err(error) => error,
            };
            self.socket = None;
            if !is_passing(&error) {
                return Err(error);
            }
            tracing::debug!(%error, "the connection for events is lost");
            tokio::time::sleep(self.backoff.next_wait()).await;
        }
    }

    /// Takes in what comes next; connects first if need be.
    async fn hear(&mut self) -> Result<(), Error> {
        let Some(socket) = &mut self.socket else {
            let mut socket = Socket::open(&self.connection).await?;
            self.subscribe(&mut socket).await?;
            self.backoff.reset();
            self.socket = Some(socket);
            return Ok(());
        };
        let push = socket.push().await?;
        let channel = self
            .channels
            .iter_mut()
            .find(|one| push["channel"] == one.name);
        let Some(channel) = channel else {
            return Ok(());
        };
        if push["pub"].is_object() {
            self.ready.extend(take(channel, &push["pub"]));
            return Ok(());
        }
        // The server does not let us hear it any more.
        let name = channel.name.clone();
        if push["unsubscribe"].is_object() {
            return Err(Error::Lost(format!("{name} is not told any more")));
        }
        Ok(())
    }

    /// Reads the newest events that were told before, and where they end.
    async fn read_past(&mut self, socket: &mut Socket, past: u32) -> Result<(), Error> {
        let mut told = Vec::new();
        let mut allowed = Vec::new();
        for mut channel in std::mem::take(&mut self.channels) {
            let asked = json!({"channel": channel.name, "limit": past, "reverse": true});
            let reply = match socket.call("history", asked).await? {
                Ok(reply) => reply,
                Err(fault) if channel.is_optional && fault.code == PERMISSION_DENIED => continue,
                Err(fault) => return Err(fault.into()),
            };
            channel.position = Some(Position::of(&reply)?);
            let publications = reply["publications"].as_array().into_iter().flatten();
            told.extend(publications.map(|one| one["data"].clone()));
            allowed.push(channel);
        }
        self.channels = allowed;
        // What happened in one moment stays in the order of its channel.
        told.reverse();
        told.sort_by_key(|data| data["at_ms"].as_u64());
        let surplus = told.len().saturating_sub(past as usize);
        self.ready
            .extend(told.into_iter().skip(surplus).map(Event::Told));
        Ok(())
    }

    /// Subscribes to each channel, from where it was left.
    async fn subscribe(&mut self, socket: &mut Socket) -> Result<(), Error> {
        for channel in &mut self.channels {
            let mut asked = json!({"channel": channel.name});
            if let Some(position) = &channel.position {
                asked["recover"] = json!(true);
                asked["epoch"] = position.epoch.clone();
                asked["offset"] = json!(position.offset);
            }
            let reply = socket.call("subscribe", asked).await??;
            let position = Position::of(&reply)?;
            let was_left = channel.position.is_some();
            let publications = reply["publications"].as_array().into_iter().flatten();
            for publication in publications {
                self.ready.extend(take(channel, publication));
            }
            if was_left && reply["recovered"] != true {
                self.ready.push_back(Event::Missed(channel.name.clone()));
            }
            channel.position = Some(position);
        }
        Ok(())
    }
}

/// An event, unless it was told before.
fn take(channel: &mut Channel, publication: &Value) -> Option<Event> {
    let position = channel.position.as_mut()?;
    let Some(offset) = publication["offset"].as_u64().filter(|offset| *offset > 0) else {
        // It has no place in the channel's history: how far a transfer is.
        return Some(Event::Told(publication["data"].clone()));
    };
    if offset <= position.offset {
        return None;
    }
    position.offset = offset;
    Some(Event::Told(publication["data"].clone()))
}

/// An error in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    code: u64,
    message: String,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let message = format!("the control plane does not tell events: {}", fault.message);
        let refusal = match fault.code {
            PERMISSION_DENIED => Refusal::denied("permission-denied", message)
                .hint("a key needs the scopes machines:read and sessions:read"),
            100 | 108 | 111 => Refusal::unavailable("unavailable", message),
            _ => Refusal::internal(message),
        };
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_taken_once() {
        let mut channel = Channel {
            name: "workspace:x".into(),
            is_optional: false,
            position: Some(Position {
                epoch: json!("e"),
                offset: 4,
            }),
        };
        let mut take = |offset: u64| take(&mut channel, &json!({"offset": offset, "data": offset}));
        assert_eq!(take(4), None);
        assert_eq!(take(5), Some(Event::Told(json!(5))));
        assert_eq!(take(5), None);
        assert_eq!(take(6), Some(Event::Told(json!(6))));
        // What has no number moves nothing.
        assert_eq!(take(0), Some(Event::Told(json!(0))));
        assert_eq!(take(7), Some(Event::Told(json!(7))));
    }

    #[test]
    fn a_refusal_says_whether_to_try_again() {
        let error = |code| {
            Error::from(Fault {
                code,
                message: "x".into(),
            })
        };
        assert_eq!(error(103).exit_code(), 77);
        assert!(is_passing(&error(100)) && !is_passing(&error(103)));
    }
}
