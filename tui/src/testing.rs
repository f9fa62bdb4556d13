//! A client for tests: its model, driven by messages on a clock of its own, and its screen.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, SessionStatus};
use cmdop_proto::{MachineId, Offset, SessionId, Size};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::Style;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{Effect, Model, Msg, Now, Setup, update};
use crate::config::Config;
use crate::keymap::Chord;
use crate::pane::{AttachmentId, Decoration};
use crate::theme::{Depth, Theme};
use crate::view::view;

pub(crate) const WALL_MS: u64 = 1_800_000_000_000;

pub(crate) struct Client {
    pub(crate) model: Model,
    start: Instant,
    pub(crate) after: Duration,
}

impl Client {
    /// Knows nothing yet.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let setup = Setup {
            profile: "default".into(),
            config: Config::default(),
            theme: Theme::named("mono", Depth::None).unwrap(),
            depth: Depth::Palette,
            decoration: Decoration::Plain,
            screen: ratatui::layout::Size::new(width, height),
            first_shell: false,
            saved: None,
            bookmarks: crate::browser::Bookmarks::default(),
        };
        Self::with(setup)
    }

    pub(crate) fn with(setup: Setup) -> Self {
        // Far from the clock's own start, so that times before it exist.
        let start = Instant::now() + Duration::from_secs(1_000_000);
        let now = Now {
            instant: start,
            wall_ms: WALL_MS,
        };
        Self {
            model: Model::new(setup, now),
            start,
            after: Duration::ZERO,
        }
    }

    /// Three machines and three sessions.
    pub(crate) fn with_fleet(mut self) -> Self {
        for machine in [
            machine(1, "web-1"),
            machine(2, "web-2"),
            offline(3, "laptop"),
        ] {
            self.tell(Msg::Machines(Change::Changed(machine)));
        }
        self.tell(Msg::Machines(Change::Synced));
        for session in [
            session(1, 1, "build"),
            session(2, 1, ""),
            grace(3, 3, "notes"),
        ] {
            self.tell(Msg::Sessions(Change::Changed(session)));
        }
        self.tell(Msg::Sessions(Change::Synced));
        self
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + self.after
    }

    /// What is to be done, without what only keeps house.
    pub(crate) fn tell(&mut self, message: Msg) -> Vec<Effect> {
        let mut effects = self.tell_all(message);
        effects.retain(|effect| !matches!(effect, Effect::Save(_) | Effect::Favour(_)));
        effects
    }

    pub(crate) fn tell_all(&mut self, message: Msg) -> Vec<Effect> {
        let wall_ms = WALL_MS + self.after.as_millis() as u64;
        let instant = self.now();
        update(&mut self.model, message, Now { instant, wall_ms })
    }

    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.after += time;
        self.tell(Msg::Tick)
    }

    /// Keys as people write them: `C-b %`.
    pub(crate) fn keys(&mut self, keys: &str) -> Vec<Effect> {
        let chords = keys.split_whitespace();
        chords.flat_map(|key| self.chord(key)).collect()
    }

    pub(crate) fn chord(&mut self, key: &str) -> Vec<Effect> {
        let chord: Chord = key.parse().unwrap();
        self.tell(Msg::Key(chord.event()))
    }

    pub(crate) fn write(&mut self, text: &str) -> Vec<Effect> {
        let key = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        text.chars()
            .flat_map(|c| self.tell(Msg::Key(key(c))))
            .collect()
    }

    pub(crate) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> Vec<Effect> {
        let modifiers = KeyModifiers::NONE;
        self.tell(Msg::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers,
        }))
    }

    /// What was asked for with these effects is there.
    pub(crate) fn fulfil(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Attach {
                    attachment,
                    session,
                    ..
                } => {
                    let mut record = v1::Session {
                        id: session.to_string(),
                        status: SessionStatus::Connected.into(),
                        ..v1::Session::default()
                    };
                    if let Some(known) = self.model.sessions.get(session) {
                        record.machine_id =
                            known.machine.map(|id| id.to_string()).unwrap_or_default();
                        record.machine_name.clone_from(&known.machine_name);
                        record.name.clone_from(&known.name);
                        record.created_at_ms = known.created_at_ms;
                    }
                    let more = self.tell(Msg::Attached(attachment, Ok(record)));
                    self.fulfil(more);
                }
                Effect::Create {
                    request, machine, ..
                } => {
                    let number = 100 + request as u128;
                    let name = self.model.machines.get(machine).map(|m| m.name.clone());
                    let record = v1::Session {
                        machine_id: machine.to_string(),
                        machine_name: name.unwrap_or_default(),
                        ..session(number, 1, &format!("s{number}"))
                    };
                    let more = self.tell(Msg::Created(request, Ok(record)));
                    self.fulfil(more);
                }
                _ => {}
            }
        }
    }

    /// Types keys, and has what they ask for.
    pub(crate) fn done(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let effects = self.chord(key);
            self.fulfil(effects);
        }
    }

    /// The session `build` in a pane, typed into.
    pub(crate) fn with_build(mut self) -> Self {
        self.done("g j j j Enter");
        self
    }

    pub(crate) fn attachment(&self) -> AttachmentId {
        self.model.focused_pane().unwrap().attachment
    }

    /// The focused pane's session prints.
    pub(crate) fn prints(&mut self, bytes: &str) -> Vec<Effect> {
        let attachment = self.attachment();
        self.prints_in(attachment, bytes)
    }

    pub(crate) fn prints_in(&mut self, attachment: AttachmentId, bytes: &str) -> Vec<Effect> {
        let data = Bytes::copy_from_slice(bytes.as_bytes());
        let offset = Offset::START;
        let output = Event::Output {
            offset,
            data,
            reached: None,
            echo: v1::Echo::Unspecified,
        };
        self.tell(Msg::Pane(attachment, output))
    }

    pub(crate) fn keyframe(&mut self, size: Size, printed: &str) {
        let keyframe = Event::Keyframe {
            offset: Offset::START,
            size,
            data: Bytes::copy_from_slice(printed.as_bytes()),
            history: None,
            echo: v1::Echo::Unspecified,
        };
        let attachment = self.attachment();
        self.tell(Msg::Pane(attachment, keyframe));
    }

    /// The focused pane's session draws its screen for the room that it has.
    pub(crate) fn draws(&mut self, printed: &str) {
        let size = self.model.focused_pane().unwrap().told.unwrap();
        self.keyframe(size, printed);
    }

    pub(crate) fn toasts(&self) -> Vec<String> {
        self.model
            .toasts
            .iter()
            .map(|toast| toast.text.clone())
            .collect()
    }

    pub(crate) fn terminal(&self) -> Terminal<TestBackend> {
        let size = self.model.setup.screen;
        let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        terminal
    }

    /// The screen's text.
    pub(crate) fn text(&self) -> String {
        let terminal = self.terminal();
        // The backend's own text knows no screen without columns.
        if self.model.setup.screen.width == 0 {
            return String::new();
        }
        terminal.backend().to_string()
    }

    /// The screen's text, and how each cell of it looks in two themes.
    pub(crate) fn look(&mut self) -> String {
        let mut look = self.text();
        for name in ["dark", "light"] {
            let theme = Theme::named(name, Depth::True).unwrap();
            let plain = std::mem::replace(&mut self.model.setup.theme, theme);
            let styles = styles(self.terminal().backend().buffer());
            self.model.setup.theme = plain;
            let _ = write!(look, "\n{name}\n{styles}");
        }
        look
    }

    pub(crate) fn cursor(&self) -> Position {
        self.terminal().get_cursor_position().unwrap()
    }
}

/// A letter for each cell's style, a point for the terminal's own, and what the letters mean.
fn styles(buffer: &Buffer) -> String {
    let mut known = Vec::new();
    let mut letter = |style: Style| {
        if style == ratatui::buffer::Cell::EMPTY.style() {
            return '.';
        }
        let at = known.iter().position(|seen| *seen == style);
        let at = at.unwrap_or_else(|| {
            known.push(style);
            known.len() - 1
        });
        ('a'..='z').chain('A'..='Z').nth(at).unwrap_or('?')
    };
    let rows = buffer.content.chunks(buffer.area.width.into());
    let rows: Vec<String> = rows
        .map(|row| row.iter().map(|cell| letter(cell.style())).collect())
        .collect();
    let mut said = rows.join("\n");
    said.push('\n');
    for (at, style) in known.iter().enumerate() {
        let letter = ('a'..='z').chain('A'..='Z').nth(at).unwrap_or('?');
        let _ = writeln!(said, "{letter} {style:?}");
    }
    said
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (number << 80) + number)
}

pub(crate) fn session_id(number: u128) -> SessionId {
    SessionId::from(id(number))
}

pub(crate) fn machine_id(number: u128) -> MachineId {
    MachineId::from(id(number))
}

pub(crate) fn machine(number: u128, name: &str) -> v1::Machine {
    v1::Machine {
        id: machine_id(number).to_string(),
        name: name.into(),
        presence: v1::Presence::Online.into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        agent_version: "0.1.0".into(),
        last_heartbeat_ms: WALL_MS - 12_000,
        session_count: 2,
        metrics: Some(v1::Metrics {
            cpu_percent: 37.4,
            cpu_cores: 8,
            memory_used_bytes: 14 << 30,
            memory_total_bytes: 16 << 30,
            disk_used_bytes: 200 << 30,
            disk_total_bytes: 500 << 30,
            load_1: 1.5,
            load_5: 0.75,
            load_15: 0.5,
            uptime_ms: 93_784_000,
            process_count: 321,
            battery: None,
        }),
        ..v1::Machine::default()
    }
}

pub(crate) fn offline(number: u128, name: &str) -> v1::Machine {
    v1::Machine {
        presence: v1::Presence::Offline.into(),
        last_heartbeat_ms: WALL_MS - 7_200_000,
        ..machine(number, name)
    }
}

pub(crate) fn session(number: u128, on: u128, name: &str) -> v1::Session {
    v1::Session {
        id: session_id(number).to_string(),
        machine_id: machine_id(on).to_string(),
        machine_name: format!("web-{on}"),
        name: name.into(),
        status: SessionStatus::Connected.into(),
        created_at_ms: WALL_MS + number as u64,
        operator_count: 1,
        ..v1::Session::default()
    }
}

pub(crate) fn ended(number: u128, on: u128) -> v1::Session {
    v1::Session {
        status: SessionStatus::Disconnected.into(),
        exit: Some(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(3)),
        }),
        ..session(number, on, "build")
    }
}

pub(crate) fn grace(number: u128, on: u128, name: &str) -> v1::Session {
    v1::Session {
        status: SessionStatus::GracePeriod.into(),
        machine_name: "laptop".into(),
        grace_period_started_at_ms: WALL_MS - 7_000,
        command: vec!["vim".into(), "notes.txt".into()],
        ..session(number, on, name)
    }
}
