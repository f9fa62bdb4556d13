//! What people see, as snapshots; and that no size and no name makes drawing fail.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, SessionStatus};
use cmdop_proto::{MachineId, Offset, Refusal, SessionId, Size};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Position;
use tokio::time::Instant;
use uuid::Uuid;

use super::view;
use crate::app::{Effect, Model, Msg, Now, Setup, update};
use crate::pane::AttachmentId;
use crate::theme::{Depth, Theme};

const WALL_MS: u64 = 1_800_000_000_000;

/// A client with its screen, driven by messages.
struct Client {
    model: Model,
    start: Instant,
    after: Duration,
}

impl Client {
    fn new(width: u16, height: u16) -> Self {
        let setup = Setup {
            profile: "default".into(),
            theme: Theme::named("mono", Depth::None).unwrap(),
            depth: Depth::Palette,
            screen: ratatui::layout::Size::new(width, height),
            first_shell: false,
        };
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

    fn tell(&mut self, message: Msg) -> Vec<Effect> {
        let instant = self.start + self.after;
        let wall_ms = WALL_MS + self.after.as_millis() as u64;
        update(&mut self.model, message, Now { instant, wall_ms })
    }

    fn wait(&mut self, time: Duration) {
        self.after += time;
        self.tell(Msg::Tick);
    }

    fn key(&mut self, code: KeyCode) -> Vec<Effect> {
        self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn prefix(&mut self, c: char) -> Vec<Effect> {
        self.tell(Msg::Key(KeyEvent::new(
            KeyCode::Char('b'),
            KeyModifiers::CONTROL,
        )));
        self.key(KeyCode::Char(c))
    }

    /// Three machines and three sessions.
    fn with_fleet(mut self) -> Self {
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

    /// Selects the first session and opens it.
    fn with_pane(mut self, key: KeyCode, size: Size, printed: &'static str) -> Self {
        self.key(KeyCode::Char('g'));
        for _ in 0..3 {
            self.key(KeyCode::Char('j'));
        }
        let effects = self.key(key);
        let [Effect::Attach { attachment, .. }] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        let attachment = *attachment;
        self.tell(Msg::Attached(attachment, Ok(session(1, 1, "build"))));
        let data = Bytes::from_static(printed.as_bytes());
        let keyframe = Event::Keyframe {
            offset: Offset::START,
            size,
            data,
            history: None,
        };
        self.tell(Msg::Pane(attachment, keyframe));
        self
    }

    fn attachment(&self) -> AttachmentId {
        self.model.pane.as_ref().unwrap().attachment
    }

    /// The screen's text, and where the cursor stands.
    fn screen(&self) -> (String, Position) {
        let size = self.model.setup.screen;
        let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        let position = terminal.get_cursor_position().unwrap();
        (terminal.backend().to_string(), position)
    }

    fn text(&self) -> String {
        self.screen().0
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (number << 80) + number)
}

fn machine(number: u128, name: &str) -> v1::Machine {
    v1::Machine {
        id: MachineId::from(id(number)).to_string(),
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

fn offline(number: u128, name: &str) -> v1::Machine {
    let heard = WALL_MS - 7_200_000;
    v1::Machine {
        presence: v1::Presence::Offline.into(),
        last_heartbeat_ms: heard,
        ..machine(number, name)
    }
}

fn session(number: u128, on: u128, name: &str) -> v1::Session {
    v1::Session {
        id: SessionId::from(id(number)).to_string(),
        machine_id: MachineId::from(id(on)).to_string(),
        machine_name: format!("web-{on}"),
        name: name.into(),
        status: SessionStatus::Connected.into(),
        created_at_ms: WALL_MS + number as u64,
        operator_count: 1,
        ..v1::Session::default()
    }
}

fn grace(number: u128, on: u128, name: &str) -> v1::Session {
    v1::Session {
        status: SessionStatus::GracePeriod.into(),
        machine_name: "laptop".into(),
        grace_period_started_at_ms: WALL_MS - 7_000,
        command: vec!["vim".into(), "notes.txt".into()],
        ..session(number, on, name)
    }
}

const SHELL: &str = "$ make\r\ncc -c main.c\r\n\x1b[1;31merror\x1b[m: 漢字 expected\r\n$ ";

#[test]
fn the_first_screen_shows_machines_and_sessions() {
    insta::assert_snapshot!("list_80x24", Client::new(80, 24).with_fleet().text());
    insta::assert_snapshot!("list_120x40", Client::new(120, 40).with_fleet().text());
    insta::assert_snapshot!("list_20x5", Client::new(20, 5).with_fleet().text());
}

#[test]
fn a_session_with_the_keys_has_the_screen() {
    let pane = |width, height| {
        let client = Client::new(width, height).with_fleet();
        let room = client.model.room();
        client.with_pane(KeyCode::Enter, room, SHELL)
    };
    insta::assert_snapshot!("pane_80x24", pane(80, 24).text());
    insta::assert_snapshot!("pane_120x40", pane(120, 40).text());
    insta::assert_snapshot!("pane_20x5", pane(20, 5).text());
    assert_eq!(pane(80, 24).screen().1, Position::new(2, 3));
    assert_eq!(pane(120, 40).screen().1, Position::new(46 + 1 + 2, 1 + 3));
}

#[test]
fn beside_the_list_a_narrow_screen_shows_the_session_cropped() {
    let mut client = Client::new(80, 24).with_fleet();
    let room = client.model.room();
    client = client.with_pane(KeyCode::Enter, room, SHELL);
    client.prefix('d');
    insta::assert_snapshot!("list_with_pane_80x24", client.text());
}

#[test]
fn an_observer_is_told_so_and_sees_another_size_whole_or_cropped() {
    let large = Size::clamped(50, 200);
    let client = Client::new(120, 40)
        .with_fleet()
        .with_pane(KeyCode::Char('o'), large, SHELL);
    assert!(client.text().contains("OBSERVER"));
    assert!(client.text().contains("200x50"));
    let small = Size::clamped(4, 20);
    let client = Client::new(60, 10)
        .with_fleet()
        .with_pane(KeyCode::Char('o'), small, SHELL);
    insta::assert_snapshot!("observer_60x10", client.text());
}

#[test]
fn who_holds_an_exclusive_keyboard_stands_in_the_status() {
    let mut client = Client::new(120, 10).with_fleet();
    let room = client.model.room();
    client = client.with_pane(KeyCode::Enter, room, SHELL);
    assert!(!client.text().contains("keyboard"));
    let held = |holder: Option<&str>| v1::Session {
        keyboard: Some(v1::Keyboard {
            mode: v1::KeyboardMode::Exclusive.into(),
            holder: holder.map(|name| v1::Typist {
                account_name: name.into(),
                ..v1::Typist::default()
            }),
            ..v1::Keyboard::default()
        }),
        ..session(1, 1, "build")
    };
    let attachment = client.attachment();
    let state = Event::State(held(Some("ada\x1b[2J")));
    client.tell(Msg::Pane(attachment, state));
    assert!(client.text().contains("keyboard: ada"), "{}", client.text());
    client.tell(Msg::Pane(attachment, Event::State(held(None))));
    assert!(client.text().contains("keyboard: nobody"));
}

#[test]
fn the_prefix_shows_what_can_follow() {
    let mut client = Client::new(120, 10).with_fleet();
    client.tell(Msg::Key(KeyEvent::new(
        KeyCode::Char('b'),
        KeyModifiers::CONTROL,
    )));
    let text = client.text();
    assert!(
        text.contains("PREFIX") && text.contains("d: back to the list"),
        "{text}"
    );
}

#[test]
fn help_and_questions_lie_on_top() {
    let mut client = Client::new(80, 30).with_fleet();
    client.key(KeyCode::Char('?'));
    insta::assert_snapshot!("help_80x30", client.text());
    client.key(KeyCode::Esc);
    for _ in 0..3 {
        client.key(KeyCode::Down);
    }
    client.key(KeyCode::Char('x'));
    insta::assert_snapshot!("confirm_80x30", client.text());
    client.tell(Msg::Resized(ratatui::layout::Size::new(24, 8)));
    insta::assert_snapshot!("confirm_24x8", client.text());
}

#[test]
fn a_grace_period_counts_down_and_ages_grow() {
    let mut client = Client::new(100, 12).with_fleet();
    assert!(client.text().contains("grace 23s"), "{}", client.text());
    assert!(client.text().contains("12s"), "{}", client.text());
    client.wait(Duration::from_secs(3));
    assert!(client.text().contains("grace 20s"), "{}", client.text());
    assert!(client.text().contains("15s"), "{}", client.text());
}

#[test]
fn an_outage_and_errors_are_told() {
    let mut client = Client::new(80, 12).with_fleet();
    let lost = cmdop_client::Error::Lost("reset by peer".into());
    client.tell(Msg::Machines(Change::Lost(lost)));
    client.wait(Duration::from_secs(4));
    let offline = Refusal::unavailable(
        "machine-offline",
        "web-1 is offline: its agent is not linked",
    )
    .hint("start cmdopd on web-1");
    client.tell(Msg::Created(99, Err(offline)));
    insta::assert_snapshot!("outage_80x12", client.text());
}

#[test]
fn the_end_of_a_session_is_told_over_its_last_screen() {
    let client = Client::new(80, 10).with_fleet();
    let room = client.model.room();
    let mut client = client.with_pane(KeyCode::Enter, room, SHELL);
    let ended = v1::Session {
        status: SessionStatus::Disconnected.into(),
        exit: Some(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(3)),
        }),
        ..session(1, 1, "build")
    };
    client.tell(Msg::Pane(client.attachment(), Event::Ended(ended)));
    insta::assert_snapshot!("ended_80x10", client.text());
}

#[test]
fn an_empty_workspace_says_what_to_do() {
    let mut client = Client::new(80, 8);
    assert!(client.text().contains("loading"), "{}", client.text());
    client.tell(Msg::Machines(Change::Synced));
    client.tell(Msg::Sessions(Change::Synced));
    assert!(
        client.text().contains("cmdop machines enroll-token"),
        "{}",
        client.text()
    );
}

/// Whatever a remote peer says, no cell of the screen holds a control or a mark that hides others.
fn assert_clean(client: &Client) {
    let text = client.text();
    let bad = text
        .chars()
        .find(|c| *c != '\n' && cmdop_proto::text::is_hidden(*c));
    assert_eq!(bad, None, "{text:?}");
}

#[test]
fn no_remote_name_steers_the_terminal() {
    let hostile = "\x1b]0;owned\x07\x1b[2J\u{202e}evil\u{9b}31m\r\n";
    let mut client = Client::new(120, 30);
    client.tell(Msg::Machines(Change::Changed(v1::Machine {
        os: hostile.into(),
        agent_version: hostile.into(),
        labels: [(hostile.to_owned(), hostile.to_owned())].into(),
        ..machine(1, hostile)
    })));
    client.tell(Msg::Sessions(Change::Changed(v1::Session {
        machine_name: hostile.into(),
        command: vec![hostile.into()],
        reason: hostile.into(),
        ..session(1, 1, hostile)
    })));
    client.tell(Msg::Created(
        9,
        Err(Refusal::internal(hostile).hint(hostile)),
    ));
    assert_clean(&client);
    assert!(client.text().contains("evil"));
    client.key(KeyCode::Char('j'));
    client.key(KeyCode::Char('x'));
    assert_clean(&client);
    client.key(KeyCode::Esc);
    client.key(KeyCode::Enter);
    let attachment = client.attachment();
    let reason = hostile.to_owned();
    client.tell(Msg::Pane(
        attachment,
        Event::Reconnecting { reason, attempt: 1 },
    ));
    assert_clean(&client);
    let record = v1::Session {
        reason: hostile.into(),
        ..session(1, 1, hostile)
    };
    client.tell(Msg::Pane(attachment, Event::Ended(record)));
    assert_clean(&client);
}

#[test]
fn without_colours_the_chrome_has_none_and_a_program_keeps_its_own() {
    let client = Client::new(120, 30).with_fleet();
    let room = client.model.room();
    let client = client.with_pane(KeyCode::Enter, room, SHELL);
    let size = client.model.setup.screen;
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    terminal.draw(|frame| view(&client.model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let coloured = buffer
        .content
        .iter()
        .filter(|cell| cell.fg != ratatui::style::Color::Reset);
    let text: String = coloured.map(ratatui::buffer::Cell::symbol).collect();
    assert_eq!(text, "error");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn drawing_never_panics(
        width in 1u16..200,
        height in 1u16..80,
        later in (1u16..200, 1u16..80),
        rows in 2u16..100,
        cols in 2u16..250,
        printed in "[ -~\u{a0}-\u{3000}\u{1f300}-\u{1f6ff}\u{fe0f}\r\n\u{1b}]{0,300}",
        keys in proptest::collection::vec(0usize..12, 0..12),
        name in "\\PC{0,80}",
    ) {
        let mut client = Client::new(width, height).with_fleet();
        client.tell(Msg::Machines(Change::Changed(machine(4, &name))));
        client.tell(Msg::Machines(Change::Removed(machine(4, "").id)));
        client = client.with_pane(KeyCode::Char('o'), Size::clamped(rows, cols), SHELL);
        let output = Event::Output { offset: Offset::START, data: Bytes::from(printed) };
        client.tell(Msg::Pane(client.attachment(), output));
        client.screen();
        client.prefix('d');
        for key in keys {
            let all = ['j', 'k', 'g', 'G', 'x', 'o', 'n', '?', 'y', 'q', '\t', 'd'];
            client.key(if all[key] == '\t' { KeyCode::Tab } else { KeyCode::Char(all[key]) });
            client.screen();
        }
        client.tell(Msg::Resized(ratatui::layout::Size::new(later.0, later.1)));
        client.screen();
    }
}
