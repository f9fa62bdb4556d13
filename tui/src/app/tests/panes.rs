//! Splits, layouts, floating panes.

use cmdop_proto::Size;

use super::super::*;
use crate::testing::{Client, machine_id, session_id};
use crate::tiles::PaneId;

fn client() -> Client {
    Client::new(80, 24).with_fleet().with_build()
}

fn sizes(client: &Client) -> Vec<(u16, u16)> {
    let shown = client.model.arrangement().unwrap();
    let tiles = shown.tiled.tiles.iter().chain(&shown.floats);
    tiles
        .map(|tile| (tile.inside.height, tile.inside.width))
        .collect()
}

fn panes(client: &Client) -> Vec<PaneId> {
    client.model.tabs.current().unwrap().panes()
}

#[test]
fn a_split_opens_a_shell_on_the_same_machine_in_the_same_directory() {
    let mut client = client();
    let effects = client.keys("C-b %");
    let split = effects.iter().find_map(|effect| match effect {
        Effect::Create {
            machine,
            beside,
            size,
            ..
        } => Some((*machine, *beside, *size)),
        _ => None,
    });
    let half = Size::clamped(22, 39);
    assert_eq!(split, Some((machine_id(1), Some(session_id(1)), half)));
    // The other one is told of its smaller room.
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Resize(_, size) if size.cols() == 40))
    );
}

#[test]
fn panes_are_turned_to_by_direction_in_turn_and_back() {
    let mut client = client();
    client.done("C-b % C-b \"");
    let [left, above, below] = panes(&client)[..] else {
        panic!("three panes")
    };
    assert_eq!(client.model.focused(), Some(below));
    for (keys, focused) in [
        ("C-b Up", above),
        ("C-b Left", left),
        ("C-b ;", above),
        ("C-b o", below),
        ("C-b o", left),
    ] {
        client.done(keys);
        assert_eq!(client.model.focused(), Some(focused), "{keys}");
    }
}

#[test]
fn a_pane_is_chosen_by_its_number() {
    let mut client = client();
    client.done("C-b %");
    let first = panes(&client)[0];
    assert_eq!(client.keys("C-b q"), []);
    assert!(client.text().contains(" 0 ") && client.text().contains(" 1 "));
    assert_eq!(client.chord("0"), []);
    assert_eq!(client.model.focused(), Some(first));
    assert!(
        !client.chord("0").is_empty(),
        "the next digit is the program's"
    );
}

#[test]
fn zoom_gives_a_pane_the_whole_tab_and_takes_it_back() {
    let mut client = client();
    client.done("C-b %");
    let before = sizes(&client);
    client.done("C-b z");
    assert_eq!(sizes(&client), [(23, 80)]);
    assert!(client.text().contains("*Z"));
    client.done("C-b z");
    assert_eq!(sizes(&client), before);
}

#[test]
fn panes_swap_rotate_and_take_layouts() {
    let mut client = client();
    client.done("C-b % C-b \"");
    let before = panes(&client);
    client.done("C-b {");
    assert_eq!(panes(&client), [before[0], before[2], before[1]]);
    assert_eq!(
        client.model.focused(),
        Some(before[2]),
        "the focus goes with it"
    );
    client.done("C-b C-o");
    assert_eq!(panes(&client), [before[1], before[0], before[2]]);
    client.done("C-b M-2");
    let widths: Vec<_> = sizes(&client).into_iter().map(|(_, cols)| cols).collect();
    assert_eq!(widths, [80, 80, 80]);
    client.done("C-b Space");
    assert!(client.model.tabs.current().unwrap().preset.is_some());
    client.done("C-b Space C-b Space");
    assert_ne!(sizes(&client)[0].1, 80);
}

#[test]
fn closing_a_pane_asks_and_leaving_it_does_not() {
    let mut client = client();
    client.done("C-b %");
    let session = client.model.focused_pane().unwrap().session.unwrap();
    assert_eq!(client.keys("C-b x"), []);
    assert_eq!(client.chord("y"), [Effect::Close(session)]);
    let effects = client.keys("C-b X");
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Detach(_)))
    );
    assert_eq!(sizes(&client), [(23, 80)]);
}

#[test]
fn a_pane_floats_above_the_others_is_hidden_and_comes_back() {
    let mut client = client();
    client.done("C-b *");
    assert_eq!(sizes(&client).len(), 2);
    let float = client.model.focused().unwrap();
    client.done("C-b H");
    assert_eq!(sizes(&client), [(23, 80)]);
    assert_ne!(
        client.model.focused(),
        Some(float),
        "nobody types where nothing is seen"
    );
    client.done("C-b H C-b o");
    assert_eq!(client.model.focused(), Some(float));
    client.done("C-b @");
    assert_eq!(client.model.arrangement().unwrap().floats.len(), 0);
    assert_eq!(sizes(&client).len(), 2);
}

#[test]
fn a_screen_without_room_for_all_panes_shows_the_focused_one() {
    let mut client = client();
    client.done("C-b % C-b \" C-b %");
    client.tell(Msg::Resized(ratatui::layout::Size::new(10, 4)));
    assert_eq!(sizes(&client).len(), 1);
    let first = client.model.focused();
    client.done("C-b Right");
    assert_ne!(client.model.focused(), first, "the others can be turned to");
    client.tell(Msg::Resized(ratatui::layout::Size::new(80, 24)));
    assert_eq!(sizes(&client).len(), 4);
}
