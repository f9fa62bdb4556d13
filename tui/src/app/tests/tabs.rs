//! Tabs, pickers, prompts.

use cmdop_client::attach::Event;
use cmdop_proto::v1;

use super::super::*;
use crate::pane::Mark;
use crate::testing::{Client, ended, machine_id, session, session_id};

fn client() -> Client {
    Client::new(80, 24).with_fleet().with_build()
}

#[test]
fn tabs_are_made_gone_through_moved_and_closed() {
    let mut client = client();
    client.done("C-b c C-b c");
    assert_eq!(
        (client.model.tabs.count(), client.model.tabs.current_place()),
        (3, 2)
    );
    for (keys, place) in [
        ("C-b n", 0),
        ("C-b p", 2),
        ("C-b 1", 1),
        ("C-b l", 2),
        ("C-b <", 1),
    ] {
        client.done(keys);
        assert_eq!(client.model.tabs.current_place(), place, "{keys}");
    }
    client.done("C-b &");
    assert_eq!(client.model.tabs.count(), 2);
    client.done("C-b & C-b &");
    assert_eq!(client.model.page, Page::Fleet);
    assert!(client.model.panes.is_empty());
}

#[test]
fn what_happens_in_another_tab_marks_it_until_somebody_looks() {
    let mut client = client();
    let first = client.attachment();
    client.done("C-b c");
    client.prints_in(first, "news");
    assert!(client.text().contains("0:build-#"), "{}", client.text());
    assert_eq!(client.prints_in(first, "\x07"), [Effect::Bell]);
    assert!(client.text().contains("0:build-!"));
    client.done("C-b M-n");
    assert_eq!(client.model.tabs.current_place(), 0);
    assert_eq!(client.model.focused_pane().unwrap().mark, Mark::None);
}

#[test]
fn a_tab_is_renamed_and_a_session_too() {
    let mut client = client();
    client.done("C-b , C-u");
    client.write("logs\u{1b}");
    client.done("Enter");
    assert!(client.text().contains("0:logs*"), "{}", client.text());
    client.done("C-b $ C-u");
    client.write("ci");
    assert_eq!(
        client.chord("Enter"),
        [Effect::Rename(session_id(1), "ci".into())]
    );
    client.tell(Msg::Renamed(Ok(session(1, 1, "ci"))));
    assert_eq!(client.model.focused_pane().unwrap().label, "web-1/ci");
}

#[test]
fn a_pane_gets_a_tab_of_its_own_and_comes_back() {
    let mut client = client();
    client.done("C-b % C-b !");
    assert_eq!(client.model.tabs.count(), 2);
    client.done("C-b J");
    assert!(client.text().contains("bring here"));
    client.done("Enter");
    assert_eq!(client.model.tabs.count(), 1);
    assert_eq!(client.model.tabs.current().unwrap().panes().len(), 2);
}

#[test]
fn a_session_is_picked_by_a_part_of_its_name() {
    let mut client = client();
    client.done("C-b s");
    client.write("lapnot");
    let effects = client.chord("Enter");
    assert!(
        matches!(effects[..], [Effect::Attach { session, .. }] if session == session_id(3)),
        "{effects:?}"
    );
    assert_eq!(client.model.tabs.count(), 2);
}

#[test]
fn a_machine_is_picked_for_a_split() {
    let mut client = client();
    client.done("C-b M");
    client.write("web-2");
    let effects = client.chord("Enter");
    let machines: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Create { machine, .. } => Some(*machine),
            _ => None,
        })
        .collect();
    assert_eq!(machines, [machine_id(2)]);
    assert_eq!(client.model.tabs.current().unwrap().panes().len(), 2);
}

#[test]
fn everything_can_be_done_by_its_name() {
    let mut client = client();
    client.done("C-b %");
    client.done("C-b :");
    client.write("zoom");
    client.done("Enter");
    assert!(client.model.tabs.current().unwrap().zoomed);
    // What matches nothing leaves the line as it is.
    client.done("C-b :");
    client.write("qqqq");
    client.done("Enter");
    assert_eq!(client.model.context(), Context::Line);
    client.done("Esc");
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn another_theme_is_a_matter_of_its_name() {
    let mut client = client();
    let before = client.model.setup.theme.clone();
    client.model.setup.depth = crate::theme::Depth::True;
    client.done("C-b :");
    client.write("theme light");
    client.done("Enter");
    assert_ne!(client.model.setup.theme, before);
}

#[test]
fn who_is_attached_is_asked_and_shown() {
    let mut client = client();
    assert_eq!(client.keys("C-b W"), [Effect::AskClients(session_id(1))]);
    let who = |name: &str, id: &str| v1::Typist {
        client_id: id.into(),
        account_name: name.into(),
        ..v1::Typist::default()
    };
    let attached = |name: &str, id: &str, mode: v1::AttachMode| v1::AttachedClient {
        who: Some(who(name, id)),
        mode: mode.into(),
        ..v1::AttachedClient::default()
    };
    let keyboard = v1::Keyboard {
        mode: v1::KeyboardMode::Exclusive.into(),
        holder: Some(who("ada", "c1")),
        requests: vec![who("bob", "c2")],
        ..v1::Keyboard::default()
    };
    client.tell(Msg::Clients(Ok(v1::KeyboardResponse {
        session: Some(v1::Session {
            keyboard: Some(keyboard),
            ..session(1, 1, "build")
        }),
        clients: vec![
            attached("ada\u{1b}[2J", "c1", v1::AttachMode::Operator),
            attached("bob", "c2", v1::AttachMode::Operator),
            attached("eve", "c3", v1::AttachMode::Observer),
        ],
        ..v1::KeyboardResponse::default()
    })));
    let text = client.text();
    for part in [
        "ada[2J (c1) operates, holds the keyboard",
        "bob (c2) operates, asked for",
        "eve (c3) watches",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn the_keyboard_is_asked_for_handed_over_and_taken() {
    let mut client = client();
    let change = |effects: Vec<Effect>| match effects.into_iter().next() {
        Some(Effect::Keyboard(_, change)) => change.change,
        other => panic!("{other:?}"),
    };
    use v1::keyboard_change::Change as To;
    let exclusive = To::Mode(v1::KeyboardMode::Exclusive.into());
    assert_eq!(change(client.keys("C-b R")), Some(exclusive));
    let keyboard = v1::Keyboard {
        mode: v1::KeyboardMode::Exclusive.into(),
        requests: vec![v1::Typist {
            client_id: "c2".into(),
            ..v1::Typist::default()
        }],
        ..v1::Keyboard::default()
    };
    let attachment = client.attachment();
    let record = v1::Session {
        keyboard: Some(keyboard),
        ..session(1, 1, "build")
    };
    client.tell(Msg::Pane(attachment, Event::State(record)));
    assert_eq!(change(client.keys("C-b R")), Some(To::Request(true)));
    assert_eq!(change(client.keys("C-b G")), Some(To::Give("c2".into())));
    assert_eq!(change(client.keys("C-b K")), Some(To::Take(true)));
}

#[test]
fn messages_are_kept_to_be_read_later() {
    let mut client = client();
    let attachment = client.attachment();
    client.tell(Msg::Pane(attachment, Event::Ended(ended(1, 1))));
    client.keys("C-b F7");
    client.model.toasts.clear();
    client.keys("C-b ~");
    assert!(
        client.text().contains("F7 does nothing"),
        "{}",
        client.text()
    );
}
