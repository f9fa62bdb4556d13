//! What holds of tabs and of the panes in them, whatever is done.

use super::*;

const AREA: Rect = Rect::new(0, 0, 100, 30);

fn pane(number: u64) -> PaneId {
    PaneId(number)
}

fn tab(number: u64) -> Tab {
    Tab::new(TabId(number), pane(number))
}

fn tabs(count: u64) -> Tabs {
    let mut tabs = Tabs::default();
    (1..=count).for_each(|number| tabs.add(tab(number)));
    tabs
}

fn order(tabs: &Tabs) -> Vec<u64> {
    tabs.iter().map(|tab| tab.id.0).collect()
}

#[test]
fn the_tab_before_comes_back_when_one_is_gone() {
    let mut tabs = tabs(3);
    tabs.select(0);
    tabs.select(2);
    tabs.remove(pane(3));
    assert_eq!(tabs.current().unwrap().id, TabId(1));
    tabs.remove(pane(1));
    assert_eq!(tabs.current().unwrap().id, TabId(2));
    tabs.remove(pane(2));
    assert!(tabs.is_empty() && tabs.current().is_none());
}

#[test]
fn a_tab_at_the_left_of_the_shown_one_goes_without_a_change() {
    let mut tabs = tabs(3);
    tabs.remove(pane(1));
    assert_eq!(tabs.current().unwrap().id, TabId(3));
}

#[test]
fn tabs_move_and_wrap_around() {
    let mut tabs = tabs(3);
    tabs.shift(1);
    assert_eq!(order(&tabs), [3, 1, 2]);
    assert_eq!(tabs.current().unwrap().id, TabId(3));
    tabs.step(-1);
    assert_eq!(tabs.current().unwrap().id, TabId(2));
}

#[test]
fn who_had_the_keys_before_gets_them_back() {
    let mut tab = tab(1);
    tab.split(Axis::Columns, pane(2));
    tab.split(Axis::Rows, pane(3));
    tab.focus(pane(1));
    let tab = tab.without(pane(1)).unwrap();
    assert_eq!(tab.focus, pane(3));
}

#[test]
fn a_floating_pane_stays_in_its_tab_whatever_its_size() {
    let mut tab = tab(1);
    tab.float(pane(2));
    for (width, height) in [(1, 1), (12, 4), (20, 5), (100, 30), (220, 60)] {
        let area = Rect::new(0, 0, width, height);
        let float = tab.arrange(area).floats[0];
        assert_eq!(
            float.area.intersection(area),
            float.area,
            "{width}x{height}"
        );
    }
    tab.floats[0].grow(1000, -1000, AREA);
    tab.floats[0].move_to(500, 500, AREA);
    let float = tab.arrange(AREA).floats[0];
    assert_eq!(float.area.intersection(AREA), float.area);
}

#[test]
fn a_pane_floats_and_comes_back() {
    let mut tab = tab(1);
    tab.split(Axis::Columns, pane(2));
    tab.toggle_float(pane(2));
    assert!(tab.is_floating(pane(2)) && tab.focus == pane(2));
    tab.toggle_float(pane(2));
    assert_eq!(tab.panes(), [pane(1), pane(2)]);
    tab.toggle_float(pane(1));
    tab.toggle_float(pane(2));
    assert_eq!(tab.tiles, None, "all of them may float");
    tab.split(Axis::Rows, pane(3));
    assert_eq!(tab.panes().len(), 3);
}

#[test]
fn a_zoomed_pane_is_alone_until_another_has_the_keys() {
    let mut tab = tab(1);
    tab.split(Axis::Columns, pane(2));
    tab.zoomed = true;
    assert_eq!(tab.arrange(AREA).tiled.tiles, [Tile::alone(pane(2), AREA)]);
    tab.focus(pane(1));
    assert_eq!(tab.arrange(AREA).tiled.tiles.len(), 2);
}
