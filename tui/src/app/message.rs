//! What can happen to the client, and what it can want.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, AttachMode, KeyboardChange};
use cmdop_proto::{MachineId, Refusal, SessionId, Size};
use crossterm::event::{KeyEvent, MouseEvent};
use tokio::time::Instant;

use super::saved::Saved;
use crate::browser;
use crate::config::Config;
use crate::copy::{Older, Page};
use crate::dashboard::{RunEvent, RunRequest};
use crate::pane::AttachmentId;
use crate::theme::Theme;
use crate::tiles::PaneId;

/// The time of a message: for waiting, and for comparing with what servers say.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Never goes back; tests can pause it.
    pub instant: Instant,
    /// Milliseconds since the Unix epoch, by this machine's clock.
    pub wall_ms: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The user's terminal has the focus of its desktop now, or has lost it.
    Focused(bool),
    /// The user's terminal has this size now: columns and rows, as it reports them.
    Resized(ratatui::layout::Size),
    /// The list of machines changed.
    Machines(Change<v1::Machine>),
    /// The list of sessions changed.
    Sessions(Change<v1::Session>),
    /// An attachment that was asked for stands, or does not.
    Attached(AttachmentId, Result<v1::Session, Refusal>),
    /// Something happened to an attachment.
    Pane(AttachmentId, attach::Event),
    /// The session that was asked for is there, or is not; with the number of the request.
    Created(u64, Result<v1::Session, Refusal>),
    /// A session was to be closed.
    Closed(Result<v1::Session, Refusal>),
    /// A session was to be renamed.
    Renamed(Result<v1::Session, Refusal>),
    /// A page of what a pane's session printed before, or why there is none.
    History(PaneId, Result<Page, Refusal>),
    /// A command on many machines told something.
    Run(RunEvent),
    /// Something happened to files.
    Files(browser::Event),
    /// Who is attached to a session.
    Clients(Result<v1::KeyboardResponse, Refusal>),
    /// How long a small call took there and back.
    RoundTrip(Duration),
    /// The theme changed in its file.
    Themed(Box<Theme>),
    /// The configuration was read again.
    Configured(Box<(Config, Theme)>),
    /// Something that was to be done on this machine could not be.
    Failed(Refusal),
    /// The time that [`super::Model::next_wake`] named has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Attach. Answered by [`Msg::Attached`].
    Attach {
        /// Its number.
        attachment: AttachmentId,
        /// Which session.
        session: SessionId,
        /// To type or to watch.
        mode: AttachMode,
        /// The room there is; an observer says none.
        size: Option<Size>,
    },
    /// End an attachment; its session lives on.
    Detach(AttachmentId),
    /// What this attachment says comes before what others say: somebody looks at it and types into it.
    Favour(AttachmentId),
    /// Type.
    Input(AttachmentId, Bytes),
    /// Tell a session the room there is.
    Resize(AttachmentId, Size),
    /// Ask for everything to be drawn anew.
    Redraw(AttachmentId),
    /// Ask for a change of who may type.
    Keyboard(AttachmentId, KeyboardChange),
    /// Start a login shell. Answered by [`Msg::Created`].
    Create {
        /// The number of the request.
        request: u64,
        /// On which machine.
        machine: MachineId,
        /// In what room.
        size: Size,
        /// In the directory in which this session's program is now.
        beside: Option<SessionId>,
        /// In this directory; empty: the home of the agent's user.
        directory: String,
    },
    /// End a session. Answered by [`Msg::Closed`].
    Close(SessionId),
    /// Name a session. Answered by [`Msg::Renamed`].
    Rename(SessionId, String),
    /// Ask who is attached. Answered by [`Msg::Clients`].
    AskClients(SessionId),
    /// Run a command on many machines; it ends any run before it. Answered by [`Msg::Run`].
    Run(RunRequest),
    /// End the run with this number.
    CancelRun(u64),
    /// Do something with files. Answered by [`Msg::Files`].
    Files(browser::Effect),
    /// Fetch what a session printed before. Answered by [`Msg::History`].
    History(PaneId, SessionId, Older),
    /// Put text into the clipboard.
    Copy(String),
    /// Keep the layout for the next start.
    Save(Saved),
    /// Read the configuration again. Answered by [`Msg::Configured`].
    Reload,
    /// Draw the whole screen anew: something else wrote on it.
    Repaint,
    /// Ring the terminal's bell.
    Bell,
    /// Leave.
    Quit,
}
