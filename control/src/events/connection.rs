//! One connection: commands are answered in their order, events are passed on as they come, and whatever ends
//! it says so in the close frame.
//!
//! Nothing is queued for a client beyond what the hub keeps for all: one that does not read holds up only
//! itself, and not for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use cmdop_proto::limits::CLOCK_LEEWAY;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use super::channel::Channel;
use super::code::{End, Fault};
use super::hearing::Feeds;
use super::hub::{Log, Seat};
use super::pace::Pace;
use super::protocol::{self, Line, Method};
use super::ticket::Ticket;
use super::voids::Voids;
use crate::plane::Shared;
use crate::store::Told;

/// A client has this long to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// How often the server pings. (The protocol's clients wait for that, and for 10 s more.)
const PING_EVERY: Duration = Duration::from_secs(25);

/// A client has this long to answer.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A client that takes nothing for so long does not read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Events that are there already go in one frame, up to this.
const GATHER: usize = 64 << 10;

/// One client.
pub(super) struct Connection {
    pub(super) plane: Shared,
    socket: WebSocket,
    /// What the client is called in replies: nothing but that.
    id: String,
    who: Option<Holder>,
    voids: Voids,
    pub(super) heard: HashMap<Channel, Heard>,
    pub(super) feeds: Feeds,
    pace: Pace,
    begun: Instant,
    ping_at: Instant,
    pong_until: Option<Instant>,
    ticks: Interval,
}

/// Who it is.
struct Holder {
    ticket: Ticket,
    _seat: Seat,
}

/// A channel that the client subscribed to.
pub(super) struct Heard {
    /// As the client called it.
    pub(super) name: String,
    /// The number of the newest event that it has.
    pub(super) newest: u64,
}

impl Connection {
    pub(super) fn new(plane: Shared, socket: WebSocket) -> Self {
        let now = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            voids: Voids::new(plane.hub.voids()),
            plane,
            socket,
            id: Uuid::new_v4().to_string(),
            who: None,
            heard: HashMap::new(),
            feeds: Feeds::default(),
            pace: Pace::new(now),
            begun: now,
            ping_at: now + PING_EVERY,
            pong_until: None,
            ticks,
        }
    }

    /// Serves it until it ends.
    pub(super) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let (code, reason) = end.words();
        // Its place is free from now on, however long the farewell takes.
        let who = self.who.take();
        let account = who.map(|who| who.ticket.account().name.clone());
        tracing::debug!(account, code, reason, "a client of events is gone");
        if end != End::Gone {
            let farewell = farewell(&mut self.socket, code, reason);
            let _ = timeout(FAREWELL, farewell).await;
        }
    }

    async fn step(&mut self) -> Result<(), End> {
        let ticket = self.who.as_ref().map(|who| &who.ticket);
        // All branches are cancel-safe: what is not taken stays where it is.
        tokio::select! {
            () = self.plane.stop.cancelled() => Err(End::Shutdown),
            () = self.voids.hit(&self.plane.store, ticket) => Err(End::Expired),
            (log, told) = self.feeds.next() => self.tell(log, told).await,
            frame = self.socket.recv() => self.frame(frame).await,
            _ = self.ticks.tick() => self.tick().await,
        }
    }

    /// Sends one frame. It waits for a client that reads slowly, but not for ever, and not for one that may
    /// not be here any more.
    async fn send(&mut self, frame: String) -> Result<(), End> {
        let ticket = self.who.as_ref().map(|who| &who.ticket);
        // A send that is given up leaves half a frame: the connection ends with it.
        tokio::select! {
            sent = self.socket.send(Message::Text(frame.into())) => sent.map_err(|_| End::Gone),
            () = self.plane.stop.cancelled() => Err(End::Shutdown),
            () = self.voids.hit(&self.plane.store, ticket) => Err(End::Expired),
            () = tokio::time::sleep(PATIENCE) => Err(End::Slow),
        }
    }

    /// What is due by the clock.
    async fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        match &self.who {
            None if now >= self.begun + INTRODUCTION => return Err(End::Stale),
            None => return Ok(()),
            Some(who) => {
                let now_s = self.plane.clock.now_s() - CLOCK_LEEWAY.as_secs() as i64;
                if who.ticket.lives_s(now_s) == Some(0) {
                    return Err(End::Expired);
                }
            }
        }
        if self.pong_until.is_some_and(|until| now >= until) {
            return Err(End::NoPong);
        }
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            self.pong_until = Some(now + PONG_WITHIN);
            self.send(protocol::PING.to_owned()).await?;
        }
        Ok(())
    }

    /// Passes on what is told, and what is there besides.
    async fn tell(&mut self, log: Log, told: Result<Arc<Told>, RecvError>) -> Result<(), End> {
        let mut frame = String::new();
        let mut told = Some(told);
        while let Some(next) = told {
            let event = next.map_err(|missed| match missed {
                RecvError::Lagged(_) => End::Slow,
                RecvError::Closed => End::ServerError,
            })?;
            self.add(log, &event, &mut frame)?;
            told = (frame.len() < GATHER)
                .then(|| self.feeds.ready(log))
                .flatten();
        }
        if frame.is_empty() {
            return Ok(());
        }
        self.send(frame).await
    }

    /// One frame of the client's.
    async fn frame(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.pong_until = None;
        if !self.pace.allows(Instant::now()) {
            return Err(End::TooManyRequests);
        }
        let text = match frame {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Err(error)) => return Err(broken(error)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(End::InappropriateProtocol),
            Some(Ok(Message::Text(text))) => text,
        };
        for line in protocol::lines(&text) {
            let Line::Command(id, method) = line.map_err(|_| End::BadRequest)? else {
                continue;
            };
            if !self.pace.allows(Instant::now()) {
                return Err(End::TooManyRequests);
            }
            if let Some(reply) = self.command(id, method).await? {
                self.send(reply).await?;
            }
        }
        Ok(())
    }

    /// Does what is asked; the reply, if there is to be one.
    async fn command(&mut self, id: u32, method: Method) -> Result<Option<String>, End> {
        let Some(who) = &self.who else {
            return match method {
                Method::Connect { token } => self.connect(id, &token).await.map(Some),
                _ => Err(End::BadRequest),
            };
        };
        let ticket = who.ticket.clone();
        let (name, done) = match method {
            Method::Connect { .. } => return Err(End::BadRequest),
            Method::Send => return Ok(None),
            Method::Subscribe(asked) => ("subscribe", self.subscribe(&ticket, asked).await),
            Method::Unsubscribe { channel } => ("unsubscribe", Ok(self.unsubscribe(&channel))),
            Method::History(asked) => ("history", self.history(&ticket, &asked).await),
            Method::Refresh { token } => ("refresh", self.refresh(&ticket, &token).await?),
            Method::Ping => ("ping", Ok(json!({}))),
            Method::Publish => ("publish", Err(Fault::PermissionDenied)),
            Method::NotOffered => ("", Err(Fault::NotAvailable)),
            Method::Unknown => ("", Err(Fault::MethodNotFound)),
        };
        Ok(Some(match done {
            Ok(result) => protocol::reply(id, name, &result),
            Err(fault) => protocol::error(id, fault),
        }))
    }

    async fn connect(&mut self, id: u32, token: &str) -> Result<String, End> {
        let ticket = match self.plane.ticket(token).await {
            Ok(ticket) => ticket,
            Err(why) => return Ok(protocol::error(id, why.on_connect()?)),
        };
        let seat = self.plane.hub.seat(ticket.account().id);
        let seat = seat.ok_or(End::ConnectionLimit)?;
        let mut result = self.introduction(&ticket);
        result["ping"] = json!(PING_EVERY.as_secs());
        result["pong"] = json!(true);
        tracing::debug!(account = %ticket.account().name, "a client hears events");
        self.who = Some(Holder {
            ticket,
            _seat: seat,
        });
        Ok(protocol::reply(id, "connect", &result))
    }

    /// Another token of the same account. What it is not good for is not heard any more.
    async fn refresh(&mut self, ticket: &Ticket, token: &str) -> Result<Result<Value, Fault>, End> {
        let other = match self.plane.ticket(token).await {
            Ok(other) if other.is_same_holder(ticket) => other,
            Ok(_) => return Err(End::InvalidToken),
            Err(why) => return Ok(Err(why.on_refresh()?)),
        };
        // What made the old one void has taken something, perhaps what is heard here. The new one was made after
        // that, so the revocation, of which we may not have been told yet, will not hit it.
        match self.plane.store.is_revoked(ticket.claims()).await {
            Ok(false) => {}
            Ok(true) => return Err(End::Expired),
            Err(_) => return Err(End::ServerError),
        }
        let result = self.introduction(&other);
        let dropped = self.drop_unless_allowed(&other);
        // Before anything is waited for: a revocation that comes meanwhile is compared with this one.
        if let Some(who) = &mut self.who {
            who.ticket = other;
        }
        for name in dropped {
            self.send(protocol::unsubscribed(&name, "permission denied"))
                .await?;
        }
        Ok(Ok(result))
    }

    /// What `connect` and `refresh` are answered with.
    fn introduction(&self, ticket: &Ticket) -> Value {
        let mut result = json!({"client": self.id, "version": cmdop_service::VERSION});
        if let Some(ttl) = ticket.lives_s(self.plane.clock.now_s()) {
            result["expires"] = json!(true);
            result["ttl"] = json!(ttl.clamp(1, u64::from(u32::MAX)));
        }
        result
    }

    /// So much was read for it: it may ask the less for a while.
    pub(super) fn has_read(&mut self, publications: usize) {
        self.pace.has_read(publications, Instant::now());
    }

    /// Who it is, once it said so.
    pub(super) fn ticket(&self) -> Option<&Ticket> {
        self.who.as_ref().map(|who| &who.ticket)
    }
}

/// Why a connection broke.
fn broken(error: axum::Error) -> End {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => End::TooLarge,
        Some(tungstenite::Error::Utf8(_) | tungstenite::Error::Protocol(_)) => End::BadRequest,
        _ => End::Gone,
    }
}

/// Says why, and waits until the client has closed too: what it still sends would otherwise make the system
/// throw away what it has not read.
async fn farewell(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
