//! The terminal client at 200×60 with eight panes: what a key takes inside it, from the event to the bytes
//! for the user's terminal.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, SessionStatus};
use cmdop_proto::{MachineId, Offset, SessionId};
use cmdop_tui::app::{Effect, Model, Msg, Now, Setup, update};
use cmdop_tui::config::Config;
use cmdop_tui::pane::{AttachmentId, Decoration};
use cmdop_tui::theme::{Depth, Theme};
use cmdop_tui::view::view;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use ratatui::{Terminal as Screen, TerminalOptions, Viewport};
use tokio::time::Instant;

use crate::figures::Samples;

const PANES: usize = 8;
const SIZE: Size = Size {
    width: 200,
    height: 60,
};

/// What is typed.
const KEYS: &[u8] = b"QVWXYZ";

/// Prints what a key takes inside the client. It needs no servers.
pub(crate) fn inside(steps: usize) {
    let mut bench = Inside::new();
    let mut samples = Samples::default();
    for step in 0..steps {
        samples.push(bench.key_and_echo(step));
    }
    let at = |share| samples.quantile(share).as_secs_f64() * 1e3;
    println!(
        "client: {PANES} panes, {}x{}, a key and its echo",
        SIZE.width, SIZE.height
    );
    println!(
        "  from both events to the frame          p50 {:.3} ms  p99 {:.3} ms   goal p99 1 ms",
        at(0.5),
        at(0.99)
    );
}

/// Takes bytes as a terminal that is never slow, and counts them.
struct Counted(Rc<Cell<usize>>);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client without servers: what it asks for is there at once.
struct Inside {
    model: Model,
    screen: Screen<CrosstermBackend<Counted>>,
    drawn: Rc<Cell<usize>>,
    now: Now,
    focused: AttachmentId,
    offset: Offset,
}

impl Inside {
    fn new() -> Self {
        let now = Now {
            instant: Instant::now() + Duration::from_secs(1_000_000),
            wall_ms: 1_800_000_000_000,
        };
        let setup = Setup {
            profile: "default".into(),
            config: Config::default(),
            theme: Theme::named("dark", Depth::True).expect("it is built in"),
            depth: Depth::True,
            decoration: Decoration::Full,
            screen: SIZE,
            first_shell: false,
            saved: None,
            bookmarks: cmdop_tui::browser::Bookmarks::default(),
        };
        let drawn = Rc::new(Cell::new(0));
        let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.width, SIZE.height));
        let screen = Screen::with_options(
            CrosstermBackend::new(Counted(drawn.clone())),
            TerminalOptions { viewport },
        );
        let mut bench = Self {
            model: Model::new(setup, now),
            screen: screen.expect("nothing is asked of a terminal"),
            drawn,
            now,
            focused: AttachmentId(0),
            offset: Offset::START,
        };
        bench.open_panes();
        bench
    }

    fn open_panes(&mut self) {
        let machine = v1::Machine {
            id: MachineId::new().to_string(),
            name: "web-1".into(),
            presence: v1::Presence::Online.into(),
            ..v1::Machine::default()
        };
        self.tell(Msg::Machines(Change::Changed(machine)));
        self.tell(Msg::Machines(Change::Synced));
        self.tell(Msg::Sessions(Change::Synced));
        self.key(KeyCode::Enter, KeyModifiers::NONE);
        for pane in 1..PANES {
            self.fill();
            self.key(KeyCode::Char('b'), KeyModifiers::CONTROL);
            let split = if pane % 2 == 0 { '"' } else { '%' };
            self.key(KeyCode::Char(split), KeyModifiers::NONE);
            self.key(KeyCode::Char('b'), KeyModifiers::CONTROL);
            self.key(KeyCode::Char('5'), KeyModifiers::ALT);
        }
        self.fill();
        self.draw();
    }

    /// The newest pane's program has drawn a screen in many colours.
    fn fill(&mut self) {
        let line =
            |line: usize| format!("\x1b[38;5;{}m{}\x1b[m\r\n", line % 256, "text ".repeat(40));
        let drawn: String = (0..60).map(line).collect();
        self.print(drawn.as_bytes());
    }

    fn print(&mut self, bytes: &[u8]) {
        let output = Event::Output {
            offset: self.offset,
            data: Bytes::copy_from_slice(bytes),
            reached: None,
            echo: v1::Echo::Unspecified,
        };
        self.tell(Msg::Pane(self.focused, output));
    }

    fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.tell(Msg::Key(KeyEvent::new(code, modifiers)));
    }

    fn tell(&mut self, message: Msg) {
        for effect in update(&mut self.model, message, self.now) {
            match effect {
                Effect::Create {
                    request, machine, ..
                } => {
                    let session = v1::Session {
                        id: SessionId::new().to_string(),
                        machine_id: machine.to_string(),
                        status: SessionStatus::Connected.into(),
                        ..v1::Session::default()
                    };
                    self.tell(Msg::Created(request, Ok(session)));
                }
                Effect::Attach {
                    attachment,
                    session,
                    ..
                } => {
                    self.focused = attachment;
                    let session = v1::Session {
                        id: session.to_string(),
                        status: SessionStatus::Connected.into(),
                        ..v1::Session::default()
                    };
                    self.tell(Msg::Attached(attachment, Ok(session)));
                }
                _ => {}
            }
        }
    }

    fn draw(&mut self) -> usize {
        self.drawn.set(0);
        let model = &self.model;
        self.screen
            .draw(|frame| view(model, frame))
            .expect("what is counted is taken");
        self.drawn.get()
    }

    /// A key, then its echo, then the frame: what of a key's way the client itself takes.
    fn key_and_echo(&mut self, step: usize) -> Duration {
        let key = KEYS[step % KEYS.len()];
        let before = Instant::now();
        self.key(KeyCode::Char(key.into()), KeyModifiers::NONE);
        self.print(&[key]);
        let drawn = self.draw();
        let took = before.elapsed();
        assert!(drawn > 0, "the echo is drawn");
        took
    }
}
