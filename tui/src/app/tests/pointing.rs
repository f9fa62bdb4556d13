//! The mouse.

use bytes::Bytes;
use crossterm::event::{MouseButton, MouseEventKind};

use super::super::*;
use crate::testing::Client;

const DOWN: MouseEventKind = MouseEventKind::Down(MouseButton::Left);
const DRAG: MouseEventKind = MouseEventKind::Drag(MouseButton::Left);
const UP: MouseEventKind = MouseEventKind::Up(MouseButton::Left);

fn client() -> Client {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    client.done("C-b %");
    client
}

fn widths(client: &Client) -> Vec<u16> {
    let shown = client.model.arrangement().unwrap();
    shown
        .tiled
        .tiles
        .iter()
        .map(|tile| tile.inside.width)
        .collect()
}

#[test]
fn a_click_turns_to_a_pane_or_a_tab() {
    let mut client = client();
    let right = client.model.focused();
    client.mouse(DOWN, 3, 3);
    assert_ne!(client.model.focused(), right);
    client.done("C-b c");
    let at = client
        .text()
        .lines()
        .last()
        .unwrap()
        .find("0:build")
        .unwrap() as u16;
    client.mouse(DOWN, at, 23);
    assert_eq!(client.model.tabs.current_place(), 0);
}

#[test]
fn a_border_is_dragged_and_the_sessions_are_told() {
    let mut client = client();
    assert_eq!(widths(&client), [40, 39]);
    client.mouse(DOWN, 40, 5);
    client.mouse(DRAG, 30, 5);
    let effects = client.mouse(DRAG, 20, 5);
    assert_eq!(widths(&client), [20, 59]);
    assert_eq!(effects.len(), 2, "{effects:?}");
    client.mouse(UP, 20, 5);
    client.mouse(DRAG, 50, 5);
    assert_eq!(widths(&client), [20, 59]);
}

#[test]
fn a_floating_pane_is_moved_by_its_frame_and_stretched_by_its_corner() {
    let mut client = client();
    client.done("C-b *");
    let area = |client: &Client| client.model.arrangement().unwrap().floats[0].area;
    let before = area(&client);
    client.mouse(DOWN, before.x + 2, before.y);
    client.mouse(DRAG, 2, 0);
    client.mouse(UP, 2, 0);
    assert_eq!((area(&client).x, area(&client).y), (0, 0));
    let corner = area(&client);
    client.mouse(DOWN, corner.right() - 1, corner.bottom() - 1);
    client.mouse(DRAG, 30, 12);
    let now = area(&client);
    assert!(
        now.width < corner.width && now.width.abs_diff(31) <= 1,
        "{now:?}"
    );
    assert!(now.height.abs_diff(13) <= 1, "{now:?}");
}

#[test]
fn a_program_gets_the_mouse_in_the_places_of_its_own_screen() {
    let mut client = client();
    client.draws("\x1b[?1002h\x1b[?1006h");
    let attachment = client.attachment();
    let sent = |bytes: &'static [u8]| [Effect::Input(attachment, Bytes::from_static(bytes))];
    // The right pane begins at column 41, its program below its title.
    assert_eq!(client.mouse(DOWN, 43, 3), sent(b"\x1b[<0;3;3M"));
    assert_eq!(client.mouse(DRAG, 44, 3), sent(b"\x1b[<32;4;3M"));
    // Beyond its edge it stays at the edge.
    assert_eq!(client.mouse(DRAG, 2, 3), sent(b"\x1b[<32;1;3M"));
    assert_eq!(client.mouse(UP, 2, 3), sent(b"\x1b[<0;1;3m"));
}

#[test]
fn the_wheel_is_arrow_keys_for_a_program_with_a_screen_of_its_own() {
    let mut client = client();
    client.draws("\x1b[?1049h");
    let effects = client.mouse(MouseEventKind::ScrollUp, 50, 5);
    let arrows = Bytes::from_static(b"\x1b[A\x1b[A\x1b[A");
    assert_eq!(effects, [Effect::Input(client.attachment(), arrows)]);
}
