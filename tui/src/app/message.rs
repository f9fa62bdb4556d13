//! What can happen to the client, and what it can want.

use bytes::Bytes;
use cmdop_client::attach;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, AttachMode};
use cmdop_proto::{MachineId, Refusal, SessionId, Size};
use crossterm::event::KeyEvent;
use tokio::time::Instant;

use crate::pane::AttachmentId;

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
    /// The time that [`super::Model::next_wake`] named has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Attach; ends any other attachment. Answered by [`Msg::Attached`].
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
    /// Type into the attached session.
    Input(Bytes),
    /// Tell the attached session the room there is.
    Resize(Size),
    /// Start a login shell. Answered by [`Msg::Created`].
    Create {
        /// The number of the request.
        request: u64,
        /// On which machine.
        machine: MachineId,
        /// In what room.
        size: Size,
    },
    /// End a session. Answered by [`Msg::Closed`].
    Close(SessionId),
    /// Ring the terminal's bell.
    Bell,
    /// Leave.
    Quit,
}
