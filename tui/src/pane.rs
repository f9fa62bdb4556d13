//! One live session on the screen: an emulator fed by an attachment, and what is known about both.
//!
//! It does not know how bytes travel; it is told what happened and says what to show.

mod decoration;
mod picture;
mod widget;

use std::time::Duration;

use cmdop_emulator::{CursorShape, Emulator, Event, Modes, Options};
use cmdop_proto::v1::{self, AttachMode};
use cmdop_proto::{MachineId, Refusal, SessionId, Size};
use tokio::time::Instant;

use self::picture::Picture;
use crate::copy;
use crate::predict::{self, Echo, Predictor};

pub use decoration::Decoration;
pub use widget::Screen;
pub(crate) use widget::style_of;

/// A program that announced a frame (mode 2026) and does not finish it is shown all the same after
/// this; the time that other terminals give it.
const FRAME_TIMEOUT: Duration = Duration::from_millis(150);

/// What may be typed before a session is there.
const MAX_EARLY: usize = 64 << 10;

/// Scrollback that a pane keeps; older lines are fetched from the agent.
const SCROLLBACK_LINES: usize = 1_000;

/// Tells the attachments of one run apart: what arrives from an old one is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId(pub u64);

/// How an attachment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Its session is being made.
    Opening,
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

/// What happened in a pane that nobody looks at, the most urgent last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing.
    #[default]
    None,
    /// It printed.
    Activity,
    /// It rang.
    Bell,
}

/// What the program asked of this client with its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// It rang the bell.
    pub bell: bool,
    /// What it wants in which clipboard, base64 as it came; the last one counts.
    pub clipboard: Option<(String, String)>,
    /// What it wants a person to know: headline and text.
    pub notification: Option<(String, String)>,
}

/// See the module.
#[derive(Debug)]
pub struct Pane {
    /// Which attachment feeds it.
    pub attachment: AttachmentId,
    /// Which session it shows; none while that is being made.
    pub session: Option<SessionId>,
    /// On which machine.
    pub machine: Option<MachineId>,
    /// What people call the session: it is shown on when its record is gone.
    pub label: String,
    /// Whether keys may go to it.
    pub mode: AttachMode,
    /// How the attachment stands.
    pub link: Link,
    /// The room that the session was told last.
    pub told: Option<Size>,
    /// What happened while nobody looked.
    pub mark: Mark,
    /// Somebody looks back in it.
    pub copy: Option<copy::Mode>,
    /// What was typed before its session was there.
    early: Vec<u8>,
    emulator: Emulator,
    picture: Picture,
    /// Its lines have the numbers that the agent gives them.
    numbered: bool,
    /// Since when the program is in the middle of a frame.
    frame_since: Option<Instant>,
    /// A key went out and nothing came back yet: what comes next is drawn at once.
    awaits_echo: bool,
    /// When keys are guessed, and what they are guessed to do.
    prediction: predict::Mode,
    predictor: Predictor,
    /// How many inputs went out on this attachment.
    inputs: u64,
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
    /// A pane whose session is not known yet.
    pub fn opening(machine: Option<MachineId>, mode: AttachMode, size: Size) -> Self {
        let options = Options {
            scrollback_lines: SCROLLBACK_LINES,
            ..Options::default()
        };
        Self {
            attachment: AttachmentId::default(),
            session: None,
            machine,
            label: String::new(),
            mode,
            link: Link::Opening,
            told: None,
            mark: Mark::None,
            copy: None,
            early: Vec::new(),
            numbered: false,
            emulator: Emulator::new(size.rows(), size.cols(), options),
            picture: Picture::default(),
            frame_since: None,
            awaits_echo: false,
            prediction: predict::Mode::Off,
            predictor: Predictor::new(predict::Mode::Off),
            inputs: 0,
        }
    }

    /// From now on keys are guessed in this way.
    pub fn predict(&mut self, prediction: predict::Mode) {
        self.prediction = prediction;
        self.predictor.set_mode(prediction);
    }

    /// What keys are guessed to do.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// A small call took so long there and back.
    pub fn round_trip(&mut self, time: Duration) {
        self.predictor.round_trip(time);
    }

    /// Whether a guess is on the screen.
    pub fn shows_guesses(&self, now: Instant) -> bool {
        self.predictor.cursor(now).is_some() || self.predictor.overlay(now).next().is_some()
    }

    /// When a guess that nothing came of has to be looked at again.
    pub fn guess_deadline(&self) -> Option<Instant> {
        self.predictor.deadline()
    }

    /// That time has come.
    pub fn look_at_guesses(&mut self, now: Instant) {
        self.predictor.tick(&self.emulator, now);
    }

    /// The connection is lost: what was guessed may not have been written.
    pub fn forget_guesses(&mut self) {
        self.predictor.forget();
    }

    /// Its session is asked for; `room` is what it is told.
    pub fn attaching(&mut self, attachment: AttachmentId, session: SessionId, room: Size) {
        self.attachment = attachment;
        self.session = Some(session);
        self.link = Link::Attaching;
        self.told = (!self.is_observer()).then_some(room);
        self.frame_since = None;
        self.predictor = Predictor::new(self.prediction);
        self.inputs = 0;
    }

    /// Whether what is typed can reach its session now.
    pub fn takes_input(&self) -> bool {
        matches!(self.link, Link::Live | Link::Attaching) && !self.is_observer()
    }

    /// Keeps what is typed before the session is there, for [`Self::take_early`]. `false`: it is more
    /// than anybody types in that time.
    pub fn type_early(&mut self, bytes: &[u8]) -> bool {
        let has_room = self.early.len() + bytes.len() <= MAX_EARLY;
        if has_room {
            self.early.extend_from_slice(bytes);
        }
        has_room
    }

    /// What was typed before the session was there, once.
    pub fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// Whether there is an attachment that hears of sizes.
    pub fn is_attached(&self) -> bool {
        matches!(self.link, Link::Live | Link::Reconnecting { .. })
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
        Screen::new(&self.emulator).picture(&self.picture)
    }

    /// An input went out.
    pub fn typed(&mut self, bytes: &[u8], now: Instant) {
        self.awaits_echo = true;
        self.inputs += 1;
        self.predictor
            .typed(bytes, self.inputs, &self.emulator, now);
    }

    /// What the terminal does with what is typed.
    pub fn echo(&mut self, echo: v1::Echo) {
        self.predictor.echo(match echo {
            v1::Echo::Unspecified => Echo::Unknown,
            v1::Echo::Terminal => Echo::Terminal,
            v1::Echo::Program => Echo::Program,
            v1::Echo::Hidden => Echo::Hidden,
        });
    }

    /// The newest input that is known to be written; after the output that says so.
    pub fn reached(&mut self, reached: Option<u64>, now: Instant) {
        self.predictor.output(reached, &self.emulator, now);
    }

    /// The whole terminal: forgets what was there.
    ///
    /// The lines above its screen go on being numbered from `history`, so that those that are here and
    /// those that the agent has are told apart.
    pub fn keyframe(
        &mut self,
        size: Size,
        data: &[u8],
        history: Option<v1::HistoryMark>,
        now: Instant,
    ) -> Shown {
        self.emulator.reset();
        self.emulator.resize(size.rows(), size.cols());
        self.predictor.forget();
        let shown = self.output(data, now);
        // After the picture, whose first words clear everything and so begin to count anew.
        self.numbered = history.is_some();
        if let Some(mark) = history {
            self.emulator.continue_history(mark.epoch, mark.next);
        }
        shown
    }

    /// Bytes that the session printed.
    pub fn output(&mut self, data: &[u8], now: Instant) -> Shown {
        self.picture.forget();
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

    /// Looks back, from what the screen shows now, in a room of so many rows and columns.
    pub fn look_back(&mut self, keys: copy::Keys, room: (u16, u16)) -> &mut copy::Mode {
        let cursor = self.emulator.cursor();
        let cursor = copy::Position::new(cursor.row.into(), cursor.col);
        let (emulator, numbered) = (&self.emulator, self.numbered);
        self.copy.get_or_insert_with(|| {
            let mut document = copy::Document::of_screen(emulator);
            if emulator.modes().alternate_screen {
                document = document.without_history();
            }
            let mut mode = copy::Mode::new(document, cursor, keys, room);
            if numbered {
                let mark = emulator.history_mark();
                mode.begins_at(mark.epoch, mark.end());
            }
            mode
        })
    }

    /// How the program wants the cursor to look.
    pub fn cursor_shape(&self) -> CursorShape {
        self.emulator.cursor().shape
    }

    /// What the program asked for since the last call.
    pub fn take_asked(&mut self) -> Asked {
        let mut asked = Asked::default();
        for event in self.emulator.take_events() {
            match event {
                Event::Bell => asked.bell = true,
                Event::Clipboard { selection, data } => {
                    asked.clipboard = Some((selection, data));
                }
                Event::Notification { title, body } => asked.notification = Some((title, body)),
                _ => {}
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pane() -> Pane {
        let mut pane = Pane::opening(None, AttachMode::Operator, Size::DEFAULT);
        pane.attaching(AttachmentId(1), SessionId::new(), Size::DEFAULT);
        pane
    }

    #[test]
    fn an_echo_is_shown_at_once_and_what_follows_is_not() {
        let mut pane = pane();
        let now = Instant::now();
        assert_eq!(pane.output(b"x", now), Shown::Soon);
        pane.typed(b"l", now);
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
        pane.keyframe(Size::clamped(10, 20), b"new", None, now);
        assert_eq!(pane.size(), (10, 20));
        assert!(!pane.modes().bracketed_paste);
        assert!(pane.screen().text().starts_with("new"));
    }

    #[test]
    fn lines_are_asked_for_by_the_numbers_that_the_agent_gives_them() {
        let mut agent = Emulator::new(10, 40, Options::default());
        for line in 0..500 {
            agent.feed(format!("line {line}\r\n").as_bytes());
        }
        let mark = agent.history_mark();
        let told = v1::HistoryMark {
            epoch: mark.epoch,
            next: mark.next,
            goes_on: mark.goes_on,
            first_kept: mark.first_kept,
        };
        let mut pane = pane();
        let picture = agent.snapshot(0);
        pane.keyframe(
            Size::clamped(10, 40),
            &picture.bytes,
            Some(told),
            Instant::now(),
        );
        // What is printed from here on both number alike.
        for text in [&b"more\r\nand more\r\n"[..], b"\x1b[32mlast\x1b[m\r\n"] {
            agent.feed(text);
            pane.output(text, Instant::now());
        }
        let copy = pane.look_back(copy::Keys::Vi, (10, 40));
        let older = copy.wants_older().unwrap();
        let page = agent.history(older.before, 100, 64 << 10);
        assert_eq!(older.epoch, Some(page.mark.epoch));
        assert_eq!(older.before, Some(agent.history_mark().end()));
        let lines = (page.from..)
            .zip(page.text.lines())
            .map(|(number, text)| copy::Line {
                number,
                text: text.to_owned(),
            });
        let page = copy::Page {
            epoch: page.mark.epoch,
            lines: lines.collect(),
            continues: false,
            is_oldest: false,
        };
        assert_eq!(copy.prepend(&page), copy::Joined::Rows(100));
    }

    #[test]
    fn what_a_program_asks_for_is_told_once() {
        let mut pane = pane();
        assert_eq!(pane.take_asked(), Asked::default());
        pane.emulator
            .feed(b"\x07\x07\x1b]52;c;aGk=\x07\x1b]9;done\x07");
        let asked = pane.take_asked();
        assert!(asked.bell);
        assert_eq!(asked.clipboard.unwrap().1, "aGk=");
        assert_eq!(asked.notification.unwrap().1, "done");
        assert_eq!(pane.take_asked(), Asked::default());
    }
}
