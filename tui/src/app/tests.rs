//! What the client promises its user, key by key.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::v1::{self, AttachMode, SessionStatus};
use cmdop_proto::{MachineId, Offset, Refusal, SessionId, Size};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size as Terminal;
use tokio::time::Instant;

use super::*;
use crate::keymap::Context;
use crate::pane::{AttachmentId, Link};
use crate::theme::{Depth, Theme};

struct Client {
    model: Model,
    now: Now,
    web: MachineId,
    build: SessionId,
    other: SessionId,
}

impl Client {
    /// One machine with two sessions; nothing is attached.
    fn new() -> Self {
        let setup = Setup {
            profile: "default".into(),
            theme: Theme::standard(Depth::None),
            depth: Depth::Palette,
            screen: Terminal::new(80, 24),
            first_shell: false,
        };
        let now = Now {
            instant: Instant::now(),
            wall_ms: 1_000_000,
        };
        let model = Model::new(setup, now);
        let (web, build, other) = (MachineId::new(), SessionId::new(), SessionId::new());
        let mut client = Self {
            model,
            now,
            web,
            build,
            other,
        };
        client.tell(Msg::Machines(Change::Changed(machine(web, "web-1"))));
        client.tell(Msg::Machines(Change::Synced));
        client.tell(Msg::Sessions(Change::Changed(session(
            build, web, "build", 1,
        ))));
        client.tell(Msg::Sessions(Change::Changed(session(
            other, web, "other", 2,
        ))));
        client.tell(Msg::Sessions(Change::Synced));
        client
    }

    fn tell(&mut self, message: Msg) -> Vec<Effect> {
        update(&mut self.model, message, self.now)
    }

    fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn key(&mut self, c: char) -> Vec<Effect> {
        self.press(KeyCode::Char(c))
    }

    fn prefix(&mut self) -> Vec<Effect> {
        self.tell(Msg::Key(KeyEvent::new(
            KeyCode::Char('b'),
            KeyModifiers::CONTROL,
        )))
    }

    fn select(&mut self, session: SessionId) {
        self.model.select(Row::Session(session));
    }

    /// Selects `build` and attaches to it; returns the attachment.
    fn attached(&mut self, how: KeyCode) -> AttachmentId {
        self.select(self.build);
        let effects = self.press(how);
        let [Effect::Attach { attachment, .. }] = effects[..] else {
            panic!("{effects:?}")
        };
        let record = session(self.build, self.web, "build", 1);
        self.tell(Msg::Attached(attachment, Ok(record)));
        attachment
    }

    fn printed(&mut self, attachment: AttachmentId, bytes: &'static [u8]) -> Vec<Effect> {
        let data = Bytes::from_static(bytes);
        self.tell(Msg::Pane(
            attachment,
            Event::Output {
                offset: Offset::START,
                data,
            },
        ))
    }

    fn toasts(&self) -> Vec<&str> {
        self.model
            .toasts
            .iter()
            .map(|toast| toast.text.as_str())
            .collect()
    }
}

fn machine(id: MachineId, name: &str) -> v1::Machine {
    v1::Machine {
        id: id.to_string(),
        name: name.into(),
        presence: v1::Presence::Online.into(),
        last_heartbeat_ms: 999_000,
        ..v1::Machine::default()
    }
}

fn session(id: SessionId, on: MachineId, name: &str, created_at_ms: u64) -> v1::Session {
    v1::Session {
        id: id.to_string(),
        machine_id: on.to_string(),
        machine_name: "web-1".into(),
        name: name.into(),
        status: SessionStatus::Connected.into(),
        created_at_ms,
        ..v1::Session::default()
    }
}

fn ended(id: SessionId, on: MachineId) -> v1::Session {
    v1::Session {
        status: SessionStatus::Disconnected.into(),
        ..session(id, on, "build", 1)
    }
}

fn input(bytes: &'static [u8]) -> Vec<Effect> {
    vec![Effect::Input(Bytes::from_static(bytes))]
}

#[test]
fn rows_are_machines_with_their_sessions_below() {
    let client = Client::new();
    let expected = [
        Row::Machine(client.web),
        Row::Session(client.build),
        Row::Session(client.other),
    ];
    assert_eq!(client.model.rows(), expected);
    assert_eq!(client.model.selection.row(), Some(expected[0]));
}

#[test]
fn a_session_of_an_unknown_machine_is_listed_all_the_same() {
    let mut client = Client::new();
    client.tell(Msg::Machines(Change::Removed(client.web.to_string())));
    let expected = [Row::Session(client.build), Row::Session(client.other)];
    assert_eq!(client.model.rows(), expected);
    assert_eq!(client.model.selection.row(), Some(expected[0]));
}

#[test]
fn the_selection_stays_on_what_it_was_when_the_list_changes() {
    let mut client = Client::new();
    client.select(client.other);
    client.tell(Msg::Machines(Change::Changed(machine(
        MachineId::new(),
        "aaa",
    ))));
    client.tell(Msg::Sessions(Change::Changed(ended(
        client.build,
        client.web,
    ))));
    assert_eq!(
        client.model.selection.row(),
        Some(Row::Session(client.other))
    );
    // When it is gone itself, what took its place is selected.
    client.tell(Msg::Sessions(Change::Changed(ended(
        client.other,
        client.web,
    ))));
    assert_eq!(client.model.selection.row(), Some(Row::Machine(client.web)));
}

#[test]
fn enter_on_a_session_attaches_with_the_room_there_is() {
    let mut client = Client::new();
    client.select(client.build);
    let effects = client.press(KeyCode::Enter);
    let expected = Effect::Attach {
        attachment: AttachmentId(1),
        session: client.build,
        mode: AttachMode::Operator,
        size: Some(Size::clamped(23, 80)),
    };
    assert_eq!(effects, [expected]);
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn enter_on_a_machine_opens_a_shell_and_attaches_when_it_is_there() {
    let mut client = Client::new();
    let effects = client.press(KeyCode::Enter);
    let [
        Effect::Create {
            request, machine, ..
        },
    ] = effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(machine, client.web);
    let new = SessionId::new();
    let effects = client.tell(Msg::Created(request, Ok(session(new, client.web, "", 3))));
    assert!(
        matches!(effects[..], [Effect::Attach { session, .. }] if session == new),
        "{effects:?}"
    );
    assert_eq!(client.model.selection.row(), Some(Row::Session(new)));
}

#[test]
fn a_shell_that_comes_late_does_not_take_the_keys_from_another() {
    let mut client = Client::new();
    let effects = client.key('n');
    let [Effect::Create { request, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    client.attached(KeyCode::Enter);
    let late = client.tell(Msg::Created(
        request,
        Ok(session(SessionId::new(), client.web, "x", 3)),
    ));
    assert_eq!(late, []);
    assert_eq!(client.model.pane.as_ref().unwrap().session, client.build);
    assert!(
        client
            .toasts()
            .iter()
            .any(|toast| toast.contains("is ready: x"))
    );
}

#[test]
fn a_refused_shell_says_why() {
    let mut client = Client::new();
    let effects = client.press(KeyCode::Enter);
    let [Effect::Create { request, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    let why = Refusal::unavailable("machine-offline", "web-1 is offline").hint("start its agent");
    client.tell(Msg::Created(request, Err(why)));
    assert!(client.toasts().contains(&"web-1 is offline"));
    assert_eq!(client.model.context(), Context::List);
}

#[test]
fn in_a_pane_keys_are_the_programs() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    assert_eq!(client.key('q'), input(b"q"));
    assert_eq!(client.key('?'), input(b"?"));
    assert_eq!(client.press(KeyCode::Esc), input(b"\x1b"));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(client.tell(Msg::Key(interrupt)), input(b"\x03"));
}

#[test]
fn keys_follow_the_modes_of_the_program() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    assert_eq!(client.press(KeyCode::Up), input(b"\x1b[A"));
    client.printed(attachment, b"\x1b[?1h");
    assert_eq!(client.press(KeyCode::Up), input(b"\x1bOA"));
}

#[test]
fn the_prefix_leads_back_to_the_list_and_twice_is_itself() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    assert_eq!(client.prefix(), []);
    assert_eq!(client.model.context(), Context::Prefix);
    assert_eq!(client.prefix(), input(b"\x02"));
    assert_eq!(client.model.context(), Context::Pane);
    client.prefix();
    assert_eq!(client.key('d'), []);
    assert_eq!(client.model.context(), Context::List);
    assert!(client.model.pane.is_some(), "the session is shown on");
    assert_eq!(client.press(KeyCode::Tab), []);
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn an_unknown_key_after_the_prefix_goes_nowhere() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    client.prefix();
    assert_eq!(client.key('z'), []);
    assert_eq!(client.key('z'), input(b"z"));
}

#[test]
fn quit_works_from_the_list_and_behind_the_prefix_only() {
    let mut client = Client::new();
    assert_eq!(client.key('q'), [Effect::Quit]);
    client.attached(KeyCode::Enter);
    client.prefix();
    assert_eq!(client.key('q'), [Effect::Quit]);
}

#[test]
fn enter_on_the_attached_session_only_gives_it_the_keys() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    client.prefix();
    client.key('d');
    assert_eq!(client.press(KeyCode::Enter), []);
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn an_observer_sends_nothing_and_never_resizes() {
    let mut client = Client::new();
    client.select(client.build);
    let effects = client.key('o');
    let observes = |effect: &Effect| {
        matches!(
            effect,
            Effect::Attach {
                mode: AttachMode::Observer,
                size: None,
                ..
            }
        )
    };
    assert!(
        effects.iter().all(observes) && effects.len() == 1,
        "{effects:?}"
    );
    assert_eq!(client.key('x'), []);
    assert_eq!(client.tell(Msg::Paste("rm\n".into())), []);
    assert_eq!(client.tell(Msg::Resized(Terminal::new(100, 30))), []);
    assert!(client.toasts()[0].contains("only watched"));
    // The same session can be taken over to type.
    client.prefix();
    client.key('d');
    let effects = client.press(KeyCode::Enter);
    assert!(matches!(
        effects[..],
        [Effect::Attach {
            mode: AttachMode::Operator,
            ..
        }]
    ));
}

#[test]
fn a_resize_reaches_the_session_once_and_only_if_its_room_changed() {
    let mut client = Client::new();
    assert_eq!(client.tell(Msg::Resized(Terminal::new(81, 24))), []);
    client.attached(KeyCode::Enter);
    let resized = client.tell(Msg::Resized(Terminal::new(90, 30)));
    assert_eq!(resized, [Effect::Resize(Size::clamped(29, 90))]);
    assert_eq!(client.tell(Msg::Resized(Terminal::new(90, 30))), []);
}

#[test]
fn closing_asks_first_and_names_the_session_it_will_close() {
    let mut client = Client::new();
    client.select(client.build);
    assert_eq!(client.key('x'), []);
    assert_eq!(client.press(KeyCode::Enter), [], "Enter is no yes");
    client.key('x');
    // The list changes under the question.
    client.tell(Msg::Machines(Change::Changed(machine(
        MachineId::new(),
        "aaa",
    ))));
    assert_eq!(client.key('y'), [Effect::Close(client.build)]);
}

#[test]
fn a_question_about_a_session_that_ended_goes_away() {
    let mut client = Client::new();
    client.select(client.build);
    client.key('x');
    client.tell(Msg::Sessions(Change::Changed(ended(
        client.build,
        client.web,
    ))));
    assert_eq!(client.model.context(), Context::List);
    assert_eq!(client.key('y'), []);
}

#[test]
fn a_machine_is_never_closed() {
    let mut client = Client::new();
    assert_eq!(client.key('x'), []);
    assert_eq!(client.model.context(), Context::List);
}

#[test]
fn several_lines_are_pasted_after_a_yes_unless_the_program_brackets_them() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    assert_eq!(client.tell(Msg::Paste("ls".into())), input(b"ls"));
    assert_eq!(client.tell(Msg::Paste("a\nb\n".into())), []);
    assert_eq!(client.model.context(), Context::Confirm);
    assert_eq!(client.key('y'), input(b"a\rb\r"));
    client.printed(attachment, b"\x1b[?2004h");
    assert_eq!(
        client.tell(Msg::Paste("a\nb".into())),
        input(b"\x1b[200~a\rb\x1b[201~")
    );
}

#[test]
fn a_paste_is_not_typed_into_another_session_than_it_was_meant_for() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    client.tell(Msg::Paste("a\nb".into()));
    client.model.pane.as_mut().unwrap().attachment = AttachmentId(99);
    assert_eq!(client.key('y'), []);
}

#[test]
fn a_long_paste_goes_out_in_pieces_and_whole() {
    let mut client = Client::new();
    client.attached(KeyCode::Enter);
    let effects = client.tell(Msg::Paste("x".repeat(100_000)));
    assert!(effects.len() > 1);
    let length: usize = effects
        .iter()
        .map(|effect| match effect {
            Effect::Input(bytes) => bytes.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(length, 100_000);
}

#[test]
fn what_is_typed_while_the_connection_is_lost_is_not_kept() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    let lost = Event::Reconnecting {
        reason: "reset".into(),
        attempt: 1,
    };
    client.tell(Msg::Pane(attachment, lost));
    assert_eq!(client.key('x'), []);
    assert!(client.toasts()[0].contains("keys are not sent"));
    client.tell(Msg::Pane(attachment, Event::Reconnected));
    assert_eq!(client.key('x'), input(b"x"));
}

#[test]
fn what_an_old_attachment_says_is_dropped() {
    let mut client = Client::new();
    let old = client.attached(KeyCode::Enter);
    client.prefix();
    client.key('d');
    client.select(client.other);
    client.press(KeyCode::Enter);
    assert_eq!(client.printed(old, b"\x07ghost"), []);
    client.tell(Msg::Pane(
        old,
        Event::Ended(ended(client.build, client.web)),
    ));
    assert_eq!(client.model.pane.as_ref().unwrap().link, Link::Attaching);
}

#[test]
fn when_the_shell_exits_no_key_falls_through_to_the_list() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    client.tell(Msg::Pane(
        attachment,
        Event::Ended(ended(client.build, client.web)),
    ));
    assert_eq!(client.model.context(), Context::Ended);
    for c in "xyn".chars() {
        assert_eq!(client.key(c), []);
        assert_eq!(client.model.context(), Context::Ended);
    }
    assert_eq!(client.press(KeyCode::Enter), []);
    assert_eq!(client.model.context(), Context::List);
    assert!(!client.model.rows().contains(&Row::Session(client.build)));
}

#[test]
fn a_bell_rings_in_the_users_terminal() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    assert_eq!(client.printed(attachment, b"\x07"), [Effect::Bell]);
}

#[test]
fn an_echo_is_drawn_at_once_and_a_flood_with_the_next_frame() {
    let mut client = Client::new();
    let attachment = client.attached(KeyCode::Enter);
    client.model.take_redraw();
    client.printed(attachment, b"flood");
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    client.key('l');
    assert_eq!(
        client.model.take_redraw(),
        Redraw::No,
        "a key changes nothing until its echo"
    );
    client.printed(attachment, b"l");
    assert_eq!(client.model.take_redraw(), Redraw::Now);
}

#[test]
fn nothing_ticks_where_nothing_counts() {
    let mut client = Client::new();
    // Ages are on the screen.
    let second = client.now.instant + Duration::from_secs(1);
    assert_eq!(client.model.next_wake(), Some(second));
    // A session has the whole screen: none is.
    client.attached(KeyCode::Enter);
    assert_eq!(client.model.next_wake(), None);
    // A message leaves by itself.
    client.model.toasts.info("x", client.now.instant);
    let wake = client.model.next_wake().unwrap();
    assert!(wake > client.now.instant);
    client.now.instant = wake;
    client.model.take_redraw();
    client.tell(Msg::Tick);
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    assert_eq!(client.model.next_wake(), None);
}

#[test]
fn a_tick_that_comes_early_draws_nothing_and_the_next_is_later() {
    let mut client = Client::new();
    client.model.take_redraw();
    client.tell(Msg::Tick);
    assert_eq!(client.model.take_redraw(), Redraw::No);
    client.now.instant += Duration::from_secs(5);
    client.tell(Msg::Tick);
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    assert!(client.model.next_wake().unwrap() > client.now.instant);
}

#[test]
fn an_outage_is_told_until_the_lists_are_whole_again() {
    let mut client = Client::new();
    assert_eq!(client.model.trouble(), None);
    let lost = cmdop_client::Error::Lost("reset".into());
    client.tell(Msg::Sessions(Change::Lost(lost)));
    assert!(
        client
            .model
            .trouble()
            .unwrap()
            .0
            .starts_with("reconnecting…")
    );
    client.tell(Msg::Sessions(Change::Changed(session(
        client.build,
        client.web,
        "build",
        1,
    ))));
    assert!(client.model.trouble().is_some());
    client.tell(Msg::Sessions(Change::Synced));
    assert_eq!(client.model.trouble(), None);
    assert_eq!(
        client.model.rows().len(),
        2,
        "what the new snapshot does not name is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_start_opens_a_shell_and_a_later_one_does_not() {
    let start = |sessions: usize| {
        let mut client = Client::new();
        client.model.setup.first_shell = true;
        client.model.sessions = Book::new();
        for number in 0..sessions {
            let record = session(SessionId::new(), client.web, "build", number as u64 + 1);
            client.tell(Msg::Sessions(Change::Changed(record)));
        }
        let effects = client.tell(Msg::Sessions(Change::Synced));
        let again = client.tell(Msg::Sessions(Change::Synced));
        assert!(
            !again
                .iter()
                .any(|effect| matches!(effect, Effect::Create { .. }))
        );
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Create { .. }))
            .count()
    };
    assert_eq!((start(0), start(1)), (1, 0));
}
