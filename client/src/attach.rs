//! A live view of one session that survives its connection.
//!
//! ```no_run
//! # async fn f(connection: cmdop_client::Connection) -> Result<(), cmdop_client::Error> {
//! use cmdop_client::attach::{self, Event};
//! let mut attachment = attach::open(&connection, attach::Options::operator("web", None)).await?;
//! attachment.keys().input(bytes::Bytes::from_static(b"ls\r")).await;
//! while let Some(event) = attachment.next().await {
//!     match event {
//!         Event::Output { data, .. } => { /* draw */ }
//!         Event::Ended(_) | Event::Failed(_) => break,
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Invariants: the bytes of `Output` events join without gap or overlap from the last `Keyframe` on;
//! input is written to the PTY once and in order, or told as refused; both hold over any number of
//! lost connections. Dropping the [`Attachment`] detaches; the session lives on.

mod cursor;
#[cfg(test)]
mod fake_relay;
mod link;
#[cfg(test)]
mod tests;
mod unacked;
mod written;

use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::limits::MAX_INPUT;
use cmdop_proto::v1::{AttachMode, KeyboardChange};
use cmdop_proto::{ClientId, Offset, Refusal, Size, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::error::Error;

/// Pieces of output between the connection and the screen. Few, so that Ctrl-C's keyframe does not
/// stand behind old output: four pieces are 256 KiB.
const EVENTS: usize = 4;

/// Pieces of input on their way to the connection; a paste waits at its source beyond that.
const INPUTS: usize = 16;

/// Changes of the keyboard on their way to the connection: what one person asks for in a moment.
const ASKS: usize = 4;

/// How long a detaching client waits for the acknowledgement of what it typed.
const DETACH_TIMEOUT: Duration = Duration::from_secs(2);

/// How to attach.
#[derive(Clone, Debug)]
pub struct Options {
    /// An id, a unique prefix of one, or a name.
    pub session: String,
    /// Whether it may type.
    pub mode: AttachMode,
    /// The size of the terminal that will show it; an observer has none.
    pub size: Option<Size>,
    /// The newest state at most so many times a second (1 to 60; 0: the relay's default) instead of
    /// every byte: much output then comes as a keyframe. `None`: every byte.
    pub latest: Option<u32>,
    /// Wants the log from its first byte, as whoever made the session a moment ago does, and gets it of
    /// a session that has ended in the meantime too; else a keyframe.
    pub from_start: bool,
}

impl Options {
    /// To type and resize.
    pub fn operator(session: &str, size: Option<Size>) -> Self {
        Self {
            session: session.to_owned(),
            mode: AttachMode::Operator,
            size,
            latest: None,
            from_start: false,
        }
    }

    /// To watch.
    pub fn observer(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            mode: AttachMode::Observer,
            size: None,
            latest: None,
            from_start: false,
        }
    }

    /// The same with the newest state, at most so many times a second: 1 to 60, or 0 for the relay's
    /// default.
    pub fn latest(mut self, updates_per_second: u32) -> Self {
        self.latest = Some(updates_per_second);
        self
    }
}

/// What happens to an attached session.
#[derive(Debug)]
pub enum Event {
    /// The whole terminal without the lines above its screen: reset an emulator to `size` and feed it
    /// `data`.
    Keyframe {
        /// The log goes on here.
        offset: Offset,
        /// The session's size.
        size: Size,
        /// Bytes that redraw it.
        data: Bytes,
        /// Where the numbering of the lines above it stands, for [`crate::history::Pager::at`]. `None`
        /// from agents that number none.
        history: Option<v1::HistoryMark>,
        /// What the terminal does with what is typed.
        echo: v1::Echo,
    },
    /// Bytes that the session printed, after those before.
    Output {
        /// The first byte's offset.
        offset: Offset,
        /// At most 256 KiB.
        data: Bytes,
        /// The newest input of this attachment, counted from 1, that is known to have been written before
        /// the last of these bytes was read; `None` before any.
        reached: Option<u64>,
        /// What the terminal did with what is typed when they were read.
        echo: v1::Echo,
    },
    /// The record changed: status, name, size, who is attached.
    State(v1::Session),
    /// The connection is lost and being made again; input is kept meanwhile.
    Reconnecting {
        /// Why, for people.
        reason: String,
        /// Counts from 1 in each outage.
        attempt: u32,
    },
    /// It stands again, and output goes on where it stopped.
    Reconnected,
    /// A request (mostly an input) was refused; the attachment goes on.
    Refused(Refusal),
    /// The session is over. The last event.
    Ended(v1::Session),
    /// Attaching again cannot help (the session is unknown, the login is over). The last event.
    Failed(Error),
}

/// An open attachment.
#[derive(Debug)]
pub struct Attachment {
    session: v1::Session,
    client_id: ClientId,
    events: mpsc::Receiver<Event>,
    keys: Keys,
    _task: JoinSet<()>,
}

/// The way in. Clones speak to the same attachment, in the order of their calls.
#[derive(Clone, Debug)]
pub struct Keys {
    inputs: mpsc::Sender<Bytes>,
    asks: mpsc::Sender<KeyboardChange>,
    wishes: watch::Sender<Wishes>,
}

/// What the client wants to be true; only the newest counts, and it is told again after a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wishes {
    size: Option<Size>,
    background: bool,
    /// Counts the wishes to see the whole terminal again.
    redraws: u64,
}

/// Attaches, and returns when the relay has accepted it. From then on losses are repaired.
pub async fn open(connection: &Connection, options: Options) -> Result<Attachment, Error> {
    let (events_in, events) = mpsc::channel(EVENTS);
    let (inputs, inputs_out) = mpsc::channel(INPUTS);
    let (wishes, wishes_out) = watch::channel(Wishes {
        size: options.size,
        ..Wishes::default()
    });
    let (asks, asks_out) = mpsc::channel(ASKS);
    let timeout = connection.timeout();
    let client_id = ClientId::new();
    let mut client = link::Client::new(connection.clone(), options, client_id, wishes_out);
    let opening = client.open();
    let (link, session) =
        tokio::time::timeout(timeout, opening)
            .await
            .map_err(|_| Error::Timeout {
                what: "attaching".into(),
                after: timeout,
            })??;
    let mut task = JoinSet::new();
    task.spawn(client.run(link, (inputs_out, asks_out), events_in));
    Ok(Attachment {
        session,
        client_id,
        events,
        keys: Keys {
            inputs,
            asks,
            wishes,
        },
        _task: task,
    })
}

impl Attachment {
    /// The record as it was when the relay accepted the attachment.
    pub fn session(&self) -> &v1::Session {
        &self.session
    }

    /// What others know this attachment by, over all its connections.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }

    /// The way in.
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Detaches once the agent has written all that was typed, or after 2 s; `false` then: the last
    /// of it may be lost. Every clone of its [`Keys`] must be dropped before.
    pub async fn detach(self) -> bool {
        let Self {
            mut events,
            keys,
            _task: task,
            ..
        } = self;
        drop(keys);
        let written = async { while events.recv().await.is_some() {} };
        let written = tokio::time::timeout(DETACH_TIMEOUT, written).await;
        drop(task);
        written.is_ok()
    }

    /// The next event; `None` after the last one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// An event that is there already: to draw a burst at once.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

impl Keys {
    /// Types. Waits while more than 1 MiB is not yet written by the agent. `false`: the attachment is over.
    pub async fn input(&self, mut data: Bytes) -> bool {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(MAX_INPUT));
            if self.inputs.send(piece).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Types if that needs no waiting; else gives back what was not taken.
    pub fn try_input(&self, mut data: Bytes) -> Result<(), Bytes> {
        while !data.is_empty() {
            let piece = data.slice(..data.len().min(MAX_INPUT));
            let length = piece.len();
            if self.inputs.try_send(piece).is_err() {
                return Err(data);
            }
            let _ = data.split_to(length);
        }
        Ok(())
    }

    /// The terminal that shows the session has this size now.
    pub fn resize(&self, size: Size) {
        self.wishes.send_if_modified(|wishes| {
            let changed = wishes.size != Some(size);
            wishes.size = Some(size);
            changed
        });
    }

    /// Asks for a change of who may type: what comes of it is told by [`Event::State`] or
    /// [`Event::Refused`]. `false`: not now, too much was asked at once or the attachment is over. What
    /// is asked while the connection is lost is forgotten: it may not be wanted any more by then.
    pub fn keyboard(&self, change: KeyboardChange) -> bool {
        self.asks.try_send(change).is_ok()
    }

    /// Shows the whole terminal again: a keyframe comes, or the log from its first byte.
    pub fn redraw(&self) {
        self.wishes.send_modify(|wishes| wishes.redraws += 1);
    }

    /// The client went to the background (a phone) or came back.
    pub fn background(&self, background: bool) {
        self.wishes.send_if_modified(|wishes| {
            let changed = wishes.background != background;
            wishes.background = background;
            changed
        });
    }
}
