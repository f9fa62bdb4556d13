//! One live session on the screen: an emulator fed by an attachment, and what is known about both.
//!
//! It does not know how bytes travel; it is told what happened and says what to show.

mod widget;

use std::time::Duration;

use cmdop_emulator::{Emulator, Event, Modes, Options};
use cmdop_proto::v1::AttachMode;
use cmdop_proto::{Refusal, SessionId, Size};
use tokio::time::Instant;

pub use widget::Screen;
pub(crate) use widget::style_of;

/// A program that announced a frame (mode 2026) and does not finish it is shown all the same after
/// this; the time that other terminals give it.
const FRAME_TIMEOUT: Duration = Duration::from_millis(150);

/// Scrollback that a pane keeps; nothing shows more than the screen yet.
const SCROLLBACK_LINES: usize = 1_000;

/// Tells the attachments of one run apart: what arrives from an old one is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttachmentId(pub u64);

/// How an attachment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Asked for, not answered yet.
    Attaching,
    /// Bytes flow.
    Live,
    /// The connection is lost and being made again.
    Reconnecting {
        /// Why, for people.
        reason: String,
    },
    /// The session is over: how, for people.
    Ended(String),
    /// It could not be attached, and trying again cannot help.
    Failed(Refusal),
}

/// See the module.
#[derive(Debug)]
pub struct Pane {
    /// Which attachment feeds it.
    pub attachment: AttachmentId,
    /// Which session it shows.
    pub session: SessionId,
    /// What people call the session: it is shown on when its record is gone.
    pub label: String,
    /// Whether keys may go to it.
    pub mode: AttachMode,
    /// How the attachment stands.
    pub link: Link,
    emulator: Emulator,
    /// Since when the program is in the middle of a frame.
    frame_since: Option<Instant>,
    /// A key went out and nothing came back yet: what comes next is drawn at once.
    awaits_echo: bool,
}

/// What new output means for the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The program is in the middle of a frame: nothing yet.
    NotYet,
    /// With the next frame of ours.
    Soon,
    /// At once: it answers a key.
    Now,
}

impl Pane {
    /// A pane for an attachment that was just asked for.
    pub fn new(attachment: AttachmentId, session: SessionId, mode: AttachMode, size: Size) -> Self {
        let options = Options {
            scrollback_lines: SCROLLBACK_LINES,
            ..Options::default()
        };
        Self {
            attachment,
            session,
            label: String::new(),
            mode,
            link: Link::Attaching,
            emulator: Emulator::new(size.rows(), size.cols(), options),
            frame_since: None,
            awaits_echo: false,
        }
    }

    /// Whether nothing more can come from this attachment.
    pub fn is_over(&self) -> bool {
        matches!(self.link, Link::Ended(_) | Link::Failed(_))
    }

    /// Whether it only watches.
    pub fn is_observer(&self) -> bool {
        self.mode == AttachMode::Observer
    }

    /// The modes of the program, which shape keys and pastes.
    pub fn modes(&self) -> Modes {
        self.emulator.modes()
    }

    /// The title that the program set, stripped; may be empty.
    pub fn title(&self) -> &str {
        self.emulator.title()
    }

    /// The session's size, as this pane knows it: `(rows, cols)`.
    pub fn size(&self) -> (u16, u16) {
        self.emulator.size()
    }

    /// What to draw.
    pub fn screen(&self) -> Screen<'_> {
        Screen::new(&self.emulator)
    }

    /// A key or a paste went out.
    pub fn typed(&mut self) {
        self.awaits_echo = true;
    }

    /// The whole terminal: forgets what was there.
    pub fn keyframe(&mut self, size: Size, data: &[u8], now: Instant) -> Shown {
        self.emulator.reset();
        self.emulator.resize(size.rows(), size.cols());
        self.output(data, now)
    }

    /// Bytes that the session printed.
    pub fn output(&mut self, data: &[u8], now: Instant) -> Shown {
        self.emulator.feed(data);
        if !self.emulator.modes().synchronized {
            self.frame_since = None;
        } else if now.duration_since(*self.frame_since.get_or_insert(now)) < FRAME_TIMEOUT {
            return Shown::NotYet;
        }
        if std::mem::take(&mut self.awaits_echo) {
            Shown::Now
        } else {
            Shown::Soon
        }
    }

    /// When a frame that the program does not finish is to be shown all the same.
    pub fn frame_deadline(&self) -> Option<Instant> {
        self.frame_since.map(|since| since + FRAME_TIMEOUT)
    }

    /// The deadline passed.
    pub fn give_up_frame(&mut self) {
        self.frame_since = None;
    }

    /// Whether the program rang the bell since the last call. Every other event is dropped: nobody
    /// may set a clipboard or raise a notification through a pane yet.
    pub fn take_bell(&mut self) -> bool {
        self.emulator
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Bell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pane() -> Pane {
        Pane::new(
            AttachmentId(1),
            SessionId::new(),
            AttachMode::Operator,
            Size::DEFAULT,
        )
    }

    #[test]
    fn an_echo_is_shown_at_once_and_what_follows_is_not() {
        let mut pane = pane();
        let now = Instant::now();
        assert_eq!(pane.output(b"x", now), Shown::Soon);
        pane.typed();
        assert_eq!(pane.output(b"l", now), Shown::Now);
        assert_eq!(pane.output(b"flood", now), Shown::Soon);
    }

    #[test]
    fn a_half_frame_is_not_shown_until_it_is_done_or_too_late() {
        let mut pane = pane();
        let now = Instant::now();
        assert_eq!(pane.output(b"\x1b[?2026hhalf", now), Shown::NotYet);
        assert_eq!(pane.frame_deadline(), Some(now + FRAME_TIMEOUT));
        assert_eq!(pane.output(b"more", now + FRAME_TIMEOUT), Shown::Soon);
        assert_eq!(
            pane.output(b"\x1b[?2026l", now + FRAME_TIMEOUT),
            Shown::Soon
        );
        assert_eq!(pane.frame_deadline(), None);
    }

    #[test]
    fn a_keyframe_replaces_everything_and_brings_its_size() {
        let mut pane = pane();
        let now = Instant::now();
        pane.output(b"\x1b[?2004hold", now);
        pane.keyframe(Size::clamped(10, 20), b"new", now);
        assert_eq!(pane.size(), (10, 20));
        assert!(!pane.modes().bracketed_paste);
        assert!(pane.screen().text().starts_with("new"));
    }

    #[test]
    fn a_bell_rings_once() {
        let mut pane = pane();
        assert!(!pane.take_bell());
        pane.emulator.feed(b"\x07\x07");
        assert!(pane.take_bell());
        assert!(!pane.take_bell());
    }
}
