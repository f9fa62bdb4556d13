//! Whatever happens in whatever order, nothing panics and the panes tile their tab.

use std::time::Duration;

use cmdop_client::attach::Event;
use cmdop_proto::Refusal;
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::super::*;
use crate::keymap::{Action, Verb};
use crate::testing::Client;
use crate::tiles::{Direction, Preset};

#[derive(Clone, Debug)]
enum Happens {
    Act(Action),
    Key(&'static str),
    Text(String),
    Paste(String),
    Mouse(MouseEventKind, u16, u16),
    Resize(u16, u16),
    Print(usize, String),
    End(usize),
    Lose(usize),
    Refuse,
    Wait(u64),
    Focus(bool),
}

fn action() -> impl Strategy<Value = Action> {
    let ways = [
        Direction::Left,
        Direction::Right,
        Direction::Up,
        Direction::Down,
    ];
    prop_oneof![
        8 => proptest::sample::select(Verb::ALL).prop_map(Action::Do),
        1 => (proptest::sample::select(ways.to_vec()), 1u16..200).prop_map(|(way, by)| Action::Resize(way, by)),
        1 => (0u16..12).prop_map(Action::SelectTab),
        1 => proptest::sample::select(Preset::ALL.to_vec()).prop_map(Action::Layout),
    ]
}

fn mouse() -> impl Strategy<Value = MouseEventKind> {
    let left = MouseButton::Left;
    proptest::sample::select(vec![
        MouseEventKind::Down(left),
        MouseEventKind::Drag(left),
        MouseEventKind::Up(left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::Moved,
    ])
}

fn happens() -> impl Strategy<Value = Happens> {
    let keys = vec![
        "C-b", "%", "\"", "Enter", "Esc", "y", "n", "j", "Up", "Down", "Tab", "C-g", "5", "x",
        "C-Left",
    ];
    let printed = "[ -~\u{a0}-\u{3000}\u{1f300}-\u{1f6ff}\r\n\u{1b}\u{7}]{0,60}";
    prop_oneof![
        12 => action().prop_map(Happens::Act),
        8 => proptest::sample::select(keys).prop_map(Happens::Key),
        2 => "[a-z ]{0,6}".prop_map(Happens::Text),
        1 => "[a-z\n]{0,12}".prop_map(Happens::Paste),
        6 => (mouse(), 0u16..130, 0u16..50).prop_map(|(kind, x, y)| Happens::Mouse(kind, x, y)),
        3 => (0u16..130, 0u16..50).prop_map(|(width, height)| Happens::Resize(width, height)),
        4 => (any::<usize>(), printed).prop_map(|(pane, text)| Happens::Print(pane, text)),
        1 => any::<usize>().prop_map(Happens::End),
        1 => any::<usize>().prop_map(Happens::Lose),
        1 => Just(Happens::Refuse),
        1 => (0u64..5_000).prop_map(Happens::Wait),
        1 => any::<bool>().prop_map(Happens::Focus),
    ]
}

fn one_of(client: &Client, number: usize) -> Option<crate::pane::AttachmentId> {
    let panes: Vec<_> = client.model.panes.values().collect();
    let count = panes.len().checked_sub(1)? + 1;
    Some(panes[number % count].attachment)
}

fn happen(client: &mut Client, what: Happens, answers: bool) {
    let effects = match what {
        Happens::Act(action) => {
            let effects = act::act(&mut client.model, &action);
            [effects, client.tell(Msg::Tick)].concat()
        }
        Happens::Key(key) => client.chord(key),
        Happens::Text(text) => client.write(&text),
        Happens::Paste(text) => client.tell(Msg::Paste(text)),
        Happens::Mouse(kind, x, y) => client.mouse(kind, x, y),
        Happens::Resize(width, height) => {
            client.tell(Msg::Resized(ratatui::layout::Size::new(width, height)))
        }
        Happens::Print(pane, text) => match one_of(client, pane) {
            Some(attachment) => client.prints_in(attachment, &text),
            None => Vec::new(),
        },
        Happens::End(pane) => match one_of(client, pane) {
            Some(attachment) => client.tell(Msg::Pane(
                attachment,
                Event::Ended(crate::testing::ended(1, 1)),
            )),
            None => Vec::new(),
        },
        Happens::Lose(pane) => match one_of(client, pane) {
            Some(attachment) => {
                let lost = Event::Reconnecting {
                    reason: "reset".into(),
                    attempt: 1,
                };
                client.tell(Msg::Pane(attachment, lost))
            }
            None => Vec::new(),
        },
        Happens::Refuse => client.tell(Msg::Failed(Refusal::internal("no"))),
        Happens::Wait(ms) => client.wait(Duration::from_millis(ms)),
        Happens::Focus(is_focused) => client.tell(Msg::Focused(is_focused)),
    };
    if answers {
        client.fulfil(effects);
    }
}

/// What must be true at any time.
fn assert_sound(client: &Client) {
    let model = &client.model;
    let mut known: Vec<_> = model.panes.keys().copied().collect();
    let mut placed: Vec<_> = model.tabs.iter().flat_map(tabs::Tab::panes).collect();
    placed.sort_unstable();
    known.sort_unstable();
    assert_eq!(
        placed, known,
        "every pane is in one tab, and every tab's panes are known"
    );
    assert!(model.page != Page::Tabs || !model.tabs.is_empty());
    for tab in model.tabs.iter() {
        assert!(tab.contains(tab.focus));
        let area = model.tab_area();
        let shown = tab.arrange(area);
        let tiles: u32 = shown.tiled.tiles.iter().map(|tile| tile.area.area()).sum();
        let lines = shown
            .tiled
            .borders
            .iter()
            .filter(|border| border.axis == crate::tiles::Axis::Columns);
        let lines: u32 = lines.map(|border| border.area.area()).sum();
        if !shown.tiled.tiles.is_empty() {
            assert_eq!(
                tiles + lines,
                area.area(),
                "the panes and the lines between them tile the tab"
            );
        }
        for float in &shown.floats {
            assert_eq!(float.area.intersection(area), float.area);
        }
    }
}

#[test]
fn every_verb_does_something() {
    for verb in Verb::ALL {
        let mut client = Client::new(100, 30).with_fleet().with_build();
        act::act(&mut client.model, &Action::Do(*verb));
        let toasts = client.toasts();
        assert!(
            toasts.iter().all(|toast| !toast.ends_with("does nothing")),
            "{toasts:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn anything_may_happen_in_any_order(
        all in proptest::collection::vec((happens(), proptest::bool::weighted(0.9)), 1..80),
    ) {
        let mut client = Client::new(100, 30).with_fleet().with_build();
        for (what, answers) in all {
            happen(&mut client, what, answers);
            assert_sound(&client);
            client.text();
        }
    }
}
