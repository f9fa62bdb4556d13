//! Keys and pastes: what reaches a program, what is ours, and what is never sent.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_proto::v1::AttachMode;
use ratatui::layout::Size as Terminal;

use super::super::*;
use crate::pane::AttachmentId;
use crate::testing::{Client, session_id};

fn client() -> Client {
    Client::new(80, 24).with_fleet().with_build()
}

fn typed(client: &Client, bytes: &'static [u8]) -> Vec<Effect> {
    vec![Effect::Input(
        client.attachment(),
        Bytes::from_static(bytes),
    )]
}

#[test]
fn in_a_pane_keys_are_the_programs() {
    let mut client = client();
    for (key, bytes) in [
        ("q", b"q".as_slice()),
        ("?", b"?"),
        ("Esc", b"\x1b"),
        ("C-c", b"\x03"),
    ] {
        assert_eq!(client.chord(key), typed(&client, bytes));
    }
}

#[test]
fn keys_follow_the_modes_of_the_program() {
    let mut client = client();
    assert_eq!(client.chord("Up"), typed(&client, b"\x1b[A"));
    client.prints("\x1b[?1h");
    assert_eq!(client.chord("Up"), typed(&client, b"\x1bOA"));
}

#[test]
fn the_prefix_makes_the_next_key_ours_and_twice_is_itself() {
    let mut client = client();
    assert_eq!(client.chord("C-b"), []);
    assert_eq!(client.model.context(), Context::Table("prefix".into()));
    assert_eq!(client.chord("C-b"), typed(&client, b"\x02"));
    assert_eq!(client.model.context(), Context::Pane);
    assert_eq!(client.keys("C-b D"), []);
    assert_eq!(client.model.context(), Context::Fleet);
    assert_eq!(client.chord("Tab"), []);
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn an_unknown_key_after_the_prefix_goes_nowhere_and_is_told() {
    let mut client = client();
    assert_eq!(client.keys("C-b F7"), []);
    assert!(client.toasts()[0].contains("F7 does nothing"));
    assert_eq!(client.chord("z"), typed(&client, b"z"));
}

#[test]
fn a_key_that_repeats_needs_no_prefix_for_a_moment() {
    let mut client = client();
    client.done("C-b %");
    let moved = |client: &mut Client, key| {
        client
            .chord(key)
            .iter()
            .any(|effect| matches!(effect, Effect::Resize(..)))
    };
    client.chord("C-b");
    assert!(moved(&mut client, "C-Left"));
    assert!(moved(&mut client, "C-Left"), "again, without the prefix");
    client.wait(Duration::from_millis(600));
    assert_eq!(client.chord("C-Left"), typed(&client, b"\x1b[1;5D"));
}

#[test]
fn what_can_follow_the_prefix_is_shown_when_nothing_follows() {
    let mut client = client();
    client.chord("C-b");
    assert_eq!(client.model.hints(), None);
    let wake = client.model.next_wake().unwrap();
    client.wait(wake - client.now());
    assert_eq!(client.model.hints(), Some("prefix"));
    client.chord("Esc");
    assert_eq!(client.model.hints(), None);
    assert_eq!(client.model.next_wake(), None);
}

#[test]
fn locked_every_key_is_the_programs_until_it_is_unlocked() {
    let mut client = client();
    client.keys("C-b L");
    assert_eq!(client.chord("C-b"), typed(&client, b"\x02"));
    assert_eq!(client.chord("d"), typed(&client, b"d"));
    // The key that unlocks, once, is a key like others when another follows.
    assert_eq!(client.chord("C-g"), []);
    let both = [typed(&client, b"\x07"), typed(&client, b"x")].concat();
    assert_eq!(client.chord("x"), both);
    assert_eq!(client.keys("C-g C-g"), []);
    assert_eq!(client.model.context(), Context::Pane);
    assert_eq!(client.keys("C-b D"), []);
}

#[test]
fn an_observer_sends_nothing_and_never_resizes() {
    let mut client = Client::new(80, 24).with_fleet();
    client.keys("g j j j");
    let effects = client.chord("o");
    let observes = matches!(
        effects[..],
        [Effect::Attach {
            mode: AttachMode::Observer,
            size: None,
            ..
        }]
    );
    assert!(observes, "{effects:?}");
    client.fulfil(effects);
    assert_eq!(client.chord("x"), []);
    assert_eq!(client.tell(Msg::Paste("rm\n".into())), []);
    assert_eq!(client.tell(Msg::Resized(Terminal::new(100, 30))), []);
    assert_eq!(client.prints("\x1b[?1004h"), []);
    assert_eq!(
        client.tell(Msg::Focused(false)),
        [],
        "no report of the focus either"
    );
    assert!(client.toasts()[0].contains("only watched"));
    // The same session can be attached to type, in its place.
    let effects = client.keys("C-b O");
    assert!(matches!(
        effects[..],
        [
            Effect::Detach(_),
            Effect::Attach {
                mode: AttachMode::Operator,
                size: Some(_),
                ..
            }
        ]
    ));
}

#[test]
fn a_resize_reaches_the_session_once_and_only_if_its_room_changed() {
    let mut client = client();
    let resized = client.tell(Msg::Resized(Terminal::new(90, 30)));
    let size = cmdop_proto::Size::clamped(29, 90);
    assert_eq!(resized, [Effect::Resize(client.attachment(), size)]);
    assert_eq!(client.tell(Msg::Resized(Terminal::new(90, 30))), []);
}

#[test]
fn several_lines_are_pasted_after_a_yes_unless_the_program_brackets_them() {
    let mut client = client();
    assert_eq!(client.tell(Msg::Paste("ls".into())), typed(&client, b"ls"));
    assert_eq!(client.tell(Msg::Paste("a\nb\n".into())), []);
    assert_eq!(client.model.context(), Context::Confirm);
    assert_eq!(client.chord("y"), typed(&client, b"a\rb\r"));
    client.prints("\x1b[?2004h");
    let bracketed = typed(&client, b"\x1b[200~a\rb\x1b[201~");
    assert_eq!(client.tell(Msg::Paste("a\nb".into())), bracketed);
}

#[test]
fn a_paste_into_a_synchronised_tab_asks_for_all_and_each_gets_it_as_it_wants() {
    let mut client = client();
    let brackets = client.attachment();
    client.prints("\x1b[?2004h");
    client.done("C-b %");
    let plain = client.attachment();
    client.done("C-b S C-b Left");
    assert_eq!(client.attachment(), brackets);
    // The program with the keys brackets it, and the other would run it.
    assert_eq!(client.tell(Msg::Paste("a\nb".into())), []);
    assert_eq!(client.model.context(), Context::Confirm);
    let effects = client.chord("y");
    let bytes = |attachment| {
        effects.iter().find_map(|effect| match effect {
            Effect::Input(to, bytes) if *to == attachment => Some(bytes.to_vec()),
            _ => None,
        })
    };
    assert_eq!(bytes(brackets).unwrap(), b"\x1b[200~a\rb\x1b[201~");
    assert_eq!(bytes(plain).unwrap(), b"a\rb");
}

#[test]
fn a_paste_is_not_typed_into_another_session_than_it_was_meant_for() {
    let mut client = client();
    client.tell(Msg::Paste("a\nb".into()));
    let focused = client.model.focused().unwrap();
    client.model.panes.get_mut(&focused).unwrap().attachment = AttachmentId(99);
    assert_eq!(client.chord("y"), []);
}

#[test]
fn a_long_paste_goes_out_in_pieces_and_whole() {
    let mut client = client();
    let effects = client.tell(Msg::Paste("x".repeat(100_000)));
    assert!(effects.len() > 1);
    let length = |effect: &Effect| match effect {
        Effect::Input(_, bytes) => bytes.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(effects.iter().map(length).sum::<usize>(), 100_000);
}

#[test]
fn what_is_typed_while_the_connection_is_lost_is_not_kept() {
    let mut client = client();
    let attachment = client.attachment();
    let lost = Event::Reconnecting {
        reason: "reset".into(),
        attempt: 1,
    };
    client.tell(Msg::Pane(attachment, lost));
    assert_eq!(client.chord("x"), []);
    assert!(client.toasts()[0].contains("keys are not sent"));
    client.tell(Msg::Pane(attachment, Event::Reconnected));
    assert_eq!(client.chord("x"), typed(&client, b"x"));
}

#[test]
fn a_synchronised_tab_types_into_all_its_panes() {
    let mut client = client();
    client.done("C-b % C-b S");
    assert_eq!(client.chord("x").len(), 2);
    client.tell(Msg::Paste("a\nb".into()));
    assert!(
        client.text().contains("into all 2 panes"),
        "{}",
        client.text()
    );
    assert_eq!(client.chord("y").len(), 2);
    client.done("C-b S");
    assert_eq!(client.chord("x").len(), 1);
}

#[test]
fn a_program_that_wants_to_know_is_told_of_the_focus() {
    let mut client = client();
    client.prints("\x1b[?1004h");
    let first = client.attachment();
    let told =
        |attachment, bytes: &'static [u8]| Effect::Input(attachment, Bytes::from_static(bytes));
    assert_eq!(client.tell(Msg::Focused(false)), [told(first, b"\x1b[O")]);
    assert_eq!(client.tell(Msg::Focused(true)), [told(first, b"\x1b[I")]);
    let effects = client.keys("C-b %");
    assert!(effects.contains(&told(first, b"\x1b[O")), "{effects:?}");
}

#[test]
fn a_bell_rings_in_the_users_terminal() {
    assert_eq!(client().prints("\x07"), [Effect::Bell]);
}

#[test]
fn what_a_program_copies_is_announced_and_an_observers_is_not_taken() {
    let mut client = client();
    let copies = "\x1b]52;c;aGVsbG8=\x07";
    assert_eq!(client.prints(copies), [Effect::Copy("hello".into())]);
    assert!(client.toasts()[0].contains("copied 5 characters"));
    client.model.setup.config.program_clipboard = false;
    assert_eq!(client.prints(copies), []);
    client.model.setup.config.program_clipboard = true;
    let effects = client.keys("C-b O");
    client.fulfil(effects);
    assert_eq!(client.prints(copies), []);
}

#[test]
fn an_echo_is_drawn_at_once_and_a_flood_with_the_next_frame() {
    let mut client = client();
    client.model.take_redraw();
    client.prints("flood");
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    client.chord("l");
    assert_eq!(
        client.model.take_redraw(),
        Redraw::No,
        "a key changes nothing until its echo"
    );
    client.prints("l");
    assert_eq!(client.model.take_redraw(), Redraw::Now);
}

#[test]
fn a_flood_that_nobody_sees_is_not_drawn() {
    let mut client = client();
    let hidden = client.attachment();
    client.done("C-b c");
    client.model.take_redraw();
    client.prints_in(hidden, "x");
    assert_eq!(
        client.model.take_redraw(),
        Redraw::Soon,
        "its tab is marked"
    );
    client.prints_in(hidden, "x");
    assert_eq!(client.model.take_redraw(), Redraw::No);
    let _ = session_id(1);
}
