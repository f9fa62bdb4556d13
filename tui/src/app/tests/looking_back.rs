//! Copy mode in a pane.

use cmdop_proto::Refusal;
use crossterm::event::{MouseButton, MouseEventKind};

use super::super::*;
use crate::copy::{Line, Page as Lines};
use crate::testing::Client;

/// A pane of 23 rows that shows the lines 100 to 122.
fn client() -> Client {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    let lines: Vec<_> = (100..123).map(|number| format!("line {number}")).collect();
    client.draws(&lines.join("\r\n"));
    client
}

/// The history that was asked for, a page of it.
fn answer(client: &mut Client, effects: &[Effect], numbers: std::ops::Range<u64>) -> Vec<Effect> {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::History(pane, ..) => Some(*pane),
        _ => None,
    });
    let pane = asked.expect("older lines are asked for");
    let lines = numbers.clone().map(|number| Line {
        number,
        text: format!("line {number}"),
    });
    let page = Lines {
        epoch: 0,
        lines: lines.collect(),
        continues: false,
        is_oldest: numbers.start == 0,
    };
    client.tell(Msg::History(pane, Ok(page)))
}

#[test]
fn history_is_asked_for_as_far_as_somebody_looks() {
    let mut client = client();
    let effects = client.keys("C-b [");
    assert_eq!(client.model.context(), Context::Copy);
    let more = answer(&mut client, &effects, 50..100);
    client.keys("C-u C-u");
    assert!(client.text().contains("line 90"), "{}", client.text());
    let effects = [more, client.keys("C-u C-u g")].concat();
    answer(&mut client, &effects, 0..50);
    client.keys("g");
    assert!(
        client.text().lines().next().unwrap().contains("line 0"),
        "{}",
        client.text()
    );
    client.keys("q");
    assert_eq!(client.model.context(), Context::Pane);
    assert!(client.text().contains("line 122"));
}

#[test]
fn what_is_found_and_selected_is_copied_and_can_be_pasted() {
    let mut client = client();
    client.keys("C-b [ ?");
    client.write("e 11[01]");
    client.keys("Enter");
    let effects = client.keys("0 Space $ Enter");
    assert_eq!(
        effects,
        [Effect::Copy("line 111".into())],
        "{}",
        client.text()
    );
    assert_eq!(client.model.copied, "line 111");
    assert!(client.toasts()[0].contains("copied"));
}

#[test]
fn the_wheel_looks_back_and_comes_back() {
    let mut client = client();
    let effects = client.mouse(MouseEventKind::ScrollUp, 5, 5);
    assert_eq!(client.model.context(), Context::Copy);
    answer(&mut client, &effects, 50..100);
    client.mouse(MouseEventKind::ScrollUp, 5, 5);
    assert!(client.text().contains("line 97"), "{}", client.text());
    for _ in 0..3 {
        client.mouse(MouseEventKind::ScrollDown, 5, 5);
    }
    assert_eq!(client.model.context(), Context::Pane);
}

#[test]
fn a_drag_selects_and_copies() {
    let mut client = client();
    let left = MouseButton::Left;
    client.mouse(MouseEventKind::Down(left), 0, 2);
    assert_eq!(
        client.model.context(),
        Context::Pane,
        "a click is only that"
    );
    client.mouse(MouseEventKind::Drag(left), 7, 2);
    assert_eq!(client.model.context(), Context::Copy);
    let effects = client.mouse(MouseEventKind::Up(left), 7, 2);
    assert_eq!(effects, [Effect::Copy("line 102".into())]);
    assert_eq!(client.model.context(), Context::Pane);
    // Twice at one place is a word.
    for _ in 0..2 {
        client.mouse(MouseEventKind::Down(left), 1, 3);
        client.mouse(MouseEventKind::Up(left), 1, 3);
    }
    assert_eq!(client.model.copied, "line");
}

#[test]
fn history_that_cannot_be_had_is_told_and_the_rest_goes_on() {
    let mut client = client();
    let effects = client.keys("C-b [");
    let Some(Effect::History(pane, ..)) = effects.first() else {
        panic!("{effects:?}")
    };
    let why = Refusal::unavailable("unreachable", "the machine is away");
    client.tell(Msg::History(*pane, Err(why)));
    assert!(client.toasts().contains(&"the machine is away".to_owned()));
    client.keys("g");
    assert_eq!(client.model.context(), Context::Copy);
}

#[test]
fn what_is_printed_meanwhile_is_there_afterwards() {
    let mut client = client();
    client.keys("C-b [");
    client.prints("\r\nnews");
    assert!(!client.text().contains("news"));
    client.keys("Esc q");
    assert!(client.text().contains("news"));
}
