//! The layout of the last time.

use cmdop_client::follow::Change;

use super::super::*;
use crate::testing::{Client, ended, session_id};

fn saved(client: &mut Client, keys: &str) -> Saved {
    let mut newest = None;
    for key in keys.split_whitespace() {
        let chord: crate::keymap::Chord = key.parse().unwrap();
        let mut waiting = vec![Msg::Key(chord.event())];
        while let Some(message) = waiting.pop() {
            for effect in client.tell_all(message) {
                match effect {
                    Effect::Save(saved) => newest = Some(saved),
                    other => client.fulfil(vec![other]),
                }
            }
        }
    }
    // What was fulfilled may have changed it once more.
    let last = client.tell_all(Msg::Focused(true));
    assert!(last.iter().all(|effect| !matches!(effect, Effect::Save(_))));
    let now = Saved::of(&client.model);
    newest.map(|_| now).expect("a changed layout is kept")
}

fn restored(saved: Saved) -> (Client, Vec<Effect>) {
    let mut client = Client::new(80, 24);
    client.model.setup.saved = Some(saved);
    let mut client = client.with_fleet();
    let effects = client.tell(Msg::Sessions(Change::Synced));
    (client, effects)
}

#[test]
fn tabs_and_panes_are_there_again_at_the_next_start() {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    client.done("C-b D G k");
    let saved = saved(&mut client, "Enter C-b , x Enter");
    let text = saved.write();
    let (again, effects) = restored(Saved::read(&text).unwrap());
    assert_eq!(effects, [], "it is restored once");
    assert_eq!(again.model.page, Page::Tabs);
    let sessions: Vec<_> = again
        .model
        .panes
        .values()
        .filter_map(|pane| pane.session)
        .collect();
    assert_eq!(sessions, [session_id(1), session_id(2)]);
    assert_eq!(
        again.model.tabs.current_place(),
        client.model.tabs.current_place()
    );
}

#[test]
fn a_session_that_is_over_leaves_no_pane() {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    client.done("C-b D G k Enter");
    let saved = Saved::of(&client.model);
    let mut again = Client::new(80, 24);
    again.model.setup.saved = Some(saved);
    again.tell(Msg::Sessions(Change::Changed(ended(1, 1))));
    again.tell(Msg::Sessions(Change::Changed(crate::testing::session(
        2, 1, "",
    ))));
    let effects = again.tell(Msg::Sessions(Change::Synced));
    assert!(
        matches!(effects[..], [Effect::Attach { session, .. }] if session == session_id(2)),
        "{effects:?}"
    );
    assert_eq!(again.model.tabs.count(), 1);
}

#[test]
fn a_layout_is_not_lost_before_it_was_restored() {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    let saved = Saved::of(&client.model);
    client = Client::new(80, 24);
    client.model.setup.saved = Some(saved);
    let effects = client.tell_all(Msg::Resized(ratatui::layout::Size::new(60, 20)));
    assert!(
        effects
            .iter()
            .all(|effect| !matches!(effect, Effect::Save(_)))
    );
}
