//! The list of machines and sessions, and what hangs on what servers say.

use std::time::Duration;

use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::v1::AttachMode;
use cmdop_proto::{Refusal, Size};

use super::super::*;
use crate::pane::Link;
use crate::testing::{Client, ended, machine, machine_id, session, session_id};

fn client() -> Client {
    Client::new(80, 24).with_fleet()
}

fn build() -> Row {
    Row::Session(session_id(1))
}

#[test]
fn rows_are_machines_by_name_with_their_sessions_below() {
    let expected = [
        Row::Machine(machine_id(3)),
        Row::Session(session_id(3)),
        Row::Machine(machine_id(1)),
        build(),
        Row::Session(session_id(2)),
        Row::Machine(machine_id(2)),
    ];
    assert_eq!(client().model.rows(), expected);
    assert_eq!(client().model.selection.row(), Some(expected[0]));
}

#[test]
fn a_session_of_an_unknown_machine_is_listed_all_the_same() {
    let mut client = client();
    client.tell(Msg::Machines(Change::Removed(machine_id(1).to_string())));
    assert_eq!(
        client.model.rows().last(),
        Some(&Row::Session(session_id(2)))
    );
}

#[test]
fn the_selection_stays_on_what_it_was_when_the_list_changes() {
    let mut client = client();
    client.model.select(build());
    client.tell(Msg::Machines(Change::Changed(machine(9, "aaa"))));
    assert_eq!(client.model.selection.row(), Some(build()));
    // When it is gone itself, what took its place is selected.
    client.tell(Msg::Sessions(Change::Changed(ended(1, 1))));
    assert_eq!(
        client.model.selection.row(),
        Some(Row::Session(session_id(2)))
    );
}

#[test]
fn enter_on_a_session_attaches_with_the_room_there_is() {
    let mut client = client();
    client.model.select(build());
    let effects = client.chord("Enter");
    let [
        Effect::Attach {
            session,
            mode,
            size,
            ..
        },
    ] = effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((session, mode), (session_id(1), AttachMode::Operator));
    assert_eq!(size, Some(Size::clamped(23, 80)));
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn enter_on_a_machine_opens_a_shell_and_attaches_when_it_is_there() {
    let mut client = client();
    let effects = client.chord("Enter");
    let [
        Effect::Create {
            request, machine, ..
        },
    ] = effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(machine, machine_id(3));
    assert!(client.text().contains("opening a shell on laptop"));
    let effects = client.tell(Msg::Created(request, Ok(session(7, 3, ""))));
    assert!(
        matches!(effects[..], [Effect::Attach { session, .. }] if session == session_id(7)),
        "{effects:?}"
    );
}

#[test]
fn what_is_typed_before_a_shell_is_there_is_typed_into_it() {
    let mut client = client();
    let effects = client.chord("Enter");
    let [Effect::Create { request, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(client.write("ls"), []);
    let effects = client.tell(Msg::Created(request, Ok(session(7, 3, ""))));
    let [Effect::Attach { attachment, .. }, typed] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        *typed,
        Effect::Input(*attachment, bytes::Bytes::from_static(b"ls"))
    );
}

#[test]
fn a_shell_whose_pane_was_closed_is_only_told() {
    let mut client = client();
    let effects = client.chord("n");
    let [Effect::Create { request, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(client.keys("C-b X"), []);
    let late = client.tell(Msg::Created(request, Ok(session(7, 1, "x"))));
    assert_eq!(late, []);
    assert!(
        client
            .toasts()
            .iter()
            .any(|toast| toast.contains("is ready: x"))
    );
}

#[test]
fn a_refused_shell_says_why_in_its_place() {
    let mut client = client();
    let effects = client.chord("Enter");
    let [Effect::Create { request, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    let why = Refusal::unavailable("machine-offline", "laptop is offline").hint("start its agent");
    client.tell(Msg::Created(request, Err(why)));
    assert!(client.toasts().contains(&"laptop is offline".to_owned()));
    assert_eq!(client.model.context(), Context::Ended);
    client.chord("Enter");
    assert_eq!(client.model.context(), Context::Fleet);
}

#[test]
fn a_session_that_is_shown_already_only_gets_the_keys() {
    let mut client = client().with_build();
    client.keys("C-b D");
    assert_eq!(client.model.context(), Context::Fleet);
    assert_eq!(client.chord("Enter"), []);
    assert_eq!(client.model.context(), Context::Pane);
    assert_eq!(client.model.panes.len(), 1);
}

#[test]
fn leaving_needs_a_key_of_ours_and_sessions_live_on() {
    assert_eq!(client().chord("q"), [Effect::Quit]);
    assert_eq!(client().with_build().keys("C-b d"), [Effect::Quit]);
}

#[test]
fn closing_asks_first_and_names_the_session_it_will_close() {
    let mut client = client();
    client.model.select(build());
    assert_eq!(client.chord("x"), []);
    assert_eq!(client.chord("Enter"), [], "Enter is no yes");
    client.chord("x");
    // The list changes under the question.
    client.tell(Msg::Machines(Change::Changed(machine(9, "aaa"))));
    assert_eq!(client.chord("y"), [Effect::Close(session_id(1))]);
}

#[test]
fn a_question_about_a_session_that_ended_goes_away() {
    let mut client = client();
    client.model.select(build());
    client.chord("x");
    client.tell(Msg::Sessions(Change::Changed(ended(1, 1))));
    assert_eq!(client.model.context(), Context::Fleet);
    assert_eq!(client.chord("y"), []);
}

#[test]
fn a_machine_is_never_closed() {
    let mut client = client();
    assert_eq!(client.chord("x"), []);
    assert_eq!(client.model.context(), Context::Fleet);
}

#[test]
fn nothing_ticks_where_nothing_counts() {
    let mut client = client();
    // Ages are on the screen.
    let second = client.now() + Duration::from_secs(1);
    assert_eq!(client.model.next_wake(), Some(second));
    // A session has the screen: none is.
    client = client.with_build();
    assert_eq!(client.model.next_wake(), None);
    // A message leaves by itself.
    client.model.say("x");
    let wake = client.model.next_wake().unwrap();
    assert!(wake > client.now());
    client.model.take_redraw();
    client.wait(wake - client.now());
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    assert_eq!(client.model.next_wake(), None);
}

#[test]
fn a_tick_that_comes_early_draws_nothing_and_the_next_is_later() {
    let mut client = client();
    client.model.take_redraw();
    client.tell(Msg::Tick);
    assert_eq!(client.model.take_redraw(), Redraw::No);
    client.wait(Duration::from_secs(5));
    assert_eq!(client.model.take_redraw(), Redraw::Soon);
    assert!(client.model.next_wake().unwrap() > client.now());
}

#[test]
fn an_outage_is_told_until_the_lists_are_whole_again() {
    let mut client = client();
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
    client.tell(Msg::Sessions(Change::Changed(session(1, 1, "build"))));
    assert!(client.model.trouble().is_some());
    client.tell(Msg::Sessions(Change::Synced));
    assert_eq!(client.model.trouble(), None);
    assert_eq!(
        client.model.rows().len(),
        4,
        "what the new snapshot does not name is gone"
    );
}

#[test]
fn when_the_shell_exits_no_key_falls_through_to_what_is_behind() {
    let mut client = client().with_build();
    let attachment = client.attachment();
    client.tell(Msg::Pane(attachment, Event::Ended(ended(1, 1))));
    assert_eq!(client.model.context(), Context::Ended);
    for key in ["x", "y", "n"] {
        assert_eq!(client.chord(key), []);
        assert_eq!(client.model.context(), Context::Ended);
    }
    client.chord("Enter");
    assert_eq!(client.model.context(), Context::Fleet);
    assert!(!client.model.rows().contains(&build()));
}

#[test]
fn what_an_old_attachment_says_is_dropped() {
    let mut client = client().with_build();
    let old = client.attachment();
    client.keys("C-b O");
    assert_ne!(client.attachment(), old);
    assert_eq!(client.prints_in(old, "\x07ghost"), []);
    client.tell(Msg::Pane(old, Event::Ended(ended(1, 1))));
    assert_eq!(client.model.focused_pane().unwrap().link, Link::Attaching);
}

#[test]
fn a_first_start_opens_a_shell_and_a_later_one_does_not() {
    let start = |sessions: u128| {
        let mut client = Client::new(80, 24);
        client.model.setup.first_shell = true;
        client.tell(Msg::Machines(Change::Changed(machine(1, "web-1"))));
        client.tell(Msg::Machines(Change::Synced));
        for number in 0..sessions {
            let record = session(number + 1, 1, "build");
            client.tell(Msg::Sessions(Change::Changed(record)));
        }
        let effects = client.tell(Msg::Sessions(Change::Synced));
        let again = client.tell(Msg::Sessions(Change::Synced));
        assert_eq!(again, []);
        effects.len()
    };
    assert_eq!((start(0), start(1)), (1, 0));
}
