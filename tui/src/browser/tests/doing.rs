//! Copying, moving, renaming, making, deleting: what is asked, and what is begun.

use super::jobs::{Ended, Progress, State};
use super::work::Policy;
use super::*;

/// What was begun.
fn begun(effects: &[Effect]) -> (JobId, Work) {
    let begun = effects.iter().find_map(|effect| match effect {
        Effect::Begin(id, work) => Some((*id, work.clone())),
        _ => None,
    });
    begun.unwrap_or_else(|| panic!("nothing was begun: {effects:?}"))
}

fn ended(bytes: u64) -> JobEvent {
    JobEvent::Ended(Ended {
        progress: Progress {
            bytes_done: bytes,
            bytes_total: bytes,
            files_done: 1,
            files_total: 1,
            ..Progress::default()
        },
        failures: Vec::new(),
        failed: 0,
        skipped: 0,
        is_cancelled: false,
    })
}

/// On web-1, with here in the directory without anything in it.
fn page() -> Page {
    let mut page = Page::new(100, 30);
    page.done("Tab j Enter Tab");
    page
}

#[test]
fn what_is_marked_is_copied_to_the_other_side() {
    let mut page = page();
    page.done("Space");
    let (id, work) = begun(&page.done("c"));
    assert_eq!(work.title(), "copy src to here:/home/me/www");
    assert_eq!((work.what, work.policy), (What::Copy, Policy::Keep));
    assert_eq!(page.browser().here().marked(), (0, 0));
    page.tell(Event::Job(
        id,
        JobEvent::Progress(Progress {
            bytes_done: 50,
            bytes_total: 200,
            rate: 2048,
            ..Progress::default()
        }),
    ));
    assert!(
        page.text().contains("copy 25% 2.0 KiB/s"),
        "{}",
        page.text()
    );
    let said = page.client.model.browser.unfinished().unwrap();
    assert_eq!(said, "copy src to here:/home/me/www");
    page.tell(Event::Job(id, ended(200)));
    let toast = page.client.toasts().pop().unwrap();
    assert_eq!(toast, "copied src to here:/home/me/www, 200 B in 0s");
    assert_eq!(page.browser().unfinished(), None);
}

#[test]
fn what_is_there_already_is_asked_about() {
    for (key, policy) in [
        ("o", Policy::Replace),
        ("s", Policy::Skip),
        ("r", Policy::Resume),
        ("k", Policy::Keep),
    ] {
        let mut page = Page::new(100, 30);
        page.done("G");
        assert_eq!(page.done("c"), []);
        assert!(
            page.text().contains("run is there already"),
            "{}",
            page.text()
        );
        // Other keys do nothing meanwhile.
        assert_eq!(page.done("j d Enter"), []);
        let (_, work) = begun(&page.done(key));
        assert_eq!(work.policy, policy, "{key}");
        let target = work.target(&Bytes::from("run")).path;
        let expected = if key == "k" {
            "/home/me/run 2"
        } else {
            "/home/me/run"
        };
        assert_eq!(target, expected);
    }
    let mut page = Page::new(100, 30);
    page.done("G c Esc");
    assert_eq!(page.browser().prompt(), None);
    assert_eq!(page.browser().jobs().all(), []);
}

#[test]
fn a_copy_beside_the_original_gets_another_name() {
    let mut page = Page::new(100, 30);
    page.done("= G");
    let (_, work) = begun(&page.done("c"));
    assert_eq!(work.target(&Bytes::from("run")).path, "/home/me/run 2");
    page.done("m");
    let toast = page.client.toasts().pop().unwrap();
    assert!(
        toast.contains("both sides show the same directory"),
        "{toast}"
    );
}

#[test]
fn where_the_names_are_not_known_they_are_asked_for_and_keys_wait() {
    let mut page = Page::new(100, 30);
    // The other side is on its way to a directory.
    page.client.keys("Tab h Tab G");
    let effects = page.client.chord("c");
    let said = page.text();
    assert!(said.contains("looking at here:/home"), "{said}");
    page.client.keys("o r s k t");
    assert_eq!(page.browser().jobs().all(), []);
    let (_, work) = begun(&page.fulfil(effects));
    assert_eq!(work.title(), "copy run to here:/home");
    page.client.keys("c");
    page.done("Esc");
    assert_eq!(page.browser().prompt(), None);
}

#[test]
fn deleting_says_how_many_and_where_and_asks() {
    let mut page = Page::new(100, 30);
    page.done("Space Space Space d");
    let asked = "y/n: delete 3 items in web-1:/home/me, directories with all that is in them?";
    assert!(page.text().contains(asked), "{}", page.text());
    assert_eq!(page.done("Enter j q"), []);
    assert_eq!(page.browser().prompt(), None, "q is no");
    page.done("d");
    let (id, work) = begun(&page.done("y"));
    assert_eq!(work.what, What::Delete);
    assert_eq!(work.names, ["logs", "src", "www"]);
    page.tree
        .get_mut(&Bytes::from("/home/me"))
        .unwrap()
        .retain(|entry| entry.path.len() > 4);
    page.tell(Event::Job(id, ended(0)));
    assert_eq!(
        page.names(),
        ["notes.txt", "photo.png"],
        "it is looked at again"
    );
}

#[test]
fn what_is_gone_is_not_shown_before_it_was_looked_at_again() {
    let mut page = Page::new(100, 30);
    page.done("d");
    let (id, _) = begun(&page.done("y"));
    page.client.tell(Msg::Files(Event::Job(id, ended(0))));
    assert_eq!(
        page.selected(),
        "www",
        "the next key is not about what is gone"
    );
}

#[test]
fn what_is_marked_and_not_shown_is_counted() {
    let mut page = Page::new(100, 30);
    page.done("a /");
    page.write("run");
    page.done("Enter d");
    assert!(
        page.text()
            .contains("6 items in web-1:/home/me (5 not shown)"),
        "{}",
        page.text()
    );
}

#[test]
fn where_files_can_only_be_read_nothing_is_begun() {
    let mut page = Page::new(100, 30);
    let effects = page.client.chord("R");
    for effect in Page::wanted(effects) {
        if let Effect::List(place, number, spot) = effect {
            let listing = page.listing(&spot.path).map(|listing| Listing {
                may_write: false,
                ..listing
            });
            page.tell(Event::Listed(place, number, listing));
        }
    }
    for key in ["d", "n", "r", "c", "m"] {
        assert_eq!(page.done(key), [], "{key}");
        assert_eq!(page.browser().prompt(), None, "{key}");
        assert!(
            page.client
                .toasts()
                .last()
                .unwrap()
                .contains("only be read")
        );
    }
}

#[test]
fn names_are_changed_and_directories_made() {
    let mut page = Page::new(100, 30);
    page.done("G r");
    page.write("2");
    let effects = page.done("Enter");
    let [Effect::Rename(spot, from, to)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((from.as_ref(), to.as_ref()), (&b"run"[..], &b"run2"[..]));
    let home = page.tree.get_mut(&Bytes::from("/home/me")).unwrap();
    home.pop();
    home.push(file("run2", 512));
    page.tell(Event::Changed(spot.clone(), Ok(to.clone())));
    assert_eq!(page.selected(), "run2");
    page.done("r");
    page.write("/x");
    assert_eq!(page.done("Enter"), [], "a name holds no slash");
    page.done("n");
    page.write("new/deep");
    let effects = page.done("Enter");
    let [Effect::Mkdir(spot, typed)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(act::new_directory(spot, typed), "/home/me/new/deep");
    assert_eq!(act::first_part(typed), "new");
}

#[test]
fn transfers_are_paused_ended_tried_again_and_verified() {
    let mut page = page();
    let (id, _) = begun(&page.done("c"));
    page.done("t");
    assert_eq!(page.done("p"), [Effect::Wish(id, Wish::Pause)]);
    assert!(page.text().contains("paused"));
    assert_eq!(page.done("p"), [Effect::Wish(id, Wish::Run)]);
    assert_eq!(page.done("x"), [Effect::Wish(id, Wish::Cancel)]);
    page.tell(Event::Job(
        id,
        JobEvent::Failed(Refusal::unavailable("lost", "the link is gone")),
    ));
    assert!(page.text().contains("the link is gone"), "{}", page.text());
    let (again, work) = begun(&page.done("r"));
    assert!(again != id && work.is_again);
    // What the try before still has to say is nobody's business.
    page.tell(Event::Job(id, ended(1)));
    assert_eq!(page.browser().jobs().all()[0].state, State::Running);
    page.tell(Event::Job(again, ended(1)));
    let (_, work) = begun(&page.done("v"));
    assert_eq!(work.what, What::Verify);
    page.done("c");
    assert_eq!(
        page.browser().jobs().all().len(),
        1,
        "what is over is taken away"
    );
}

#[test]
fn leaving_while_something_is_copied_asks() {
    let mut page = page();
    begun(&page.done("c"));
    assert_eq!(page.client.keys("C-b d"), []);
    assert!(
        page.text().contains("This would end with it: copy src to"),
        "{}",
        page.text()
    );
    assert_eq!(page.client.keys("n C-b d y"), [app::Effect::Quit]);
}

#[test]
fn what_failed_is_told_with_its_reason() {
    let mut page = page();
    let (id, _) = begun(&page.done("c"));
    page.tell(Event::Job(
        id,
        JobEvent::Ended(Ended {
            progress: Progress::default(),
            failures: vec!["/home/me/src/x: no room".into()],
            failed: 3,
            skipped: 0,
            is_cancelled: false,
        }),
    ));
    let toast = page.client.toasts().pop().unwrap();
    assert_eq!(
        toast,
        "copy src to here:/home/me/www: /home/me/src/x: no room (and 2 more)"
    );
    assert_eq!(page.browser().jobs().all()[0].state, State::Failed);
    page.done("t Enter");
    let shown = page.text();
    assert!(shown.contains("/home/me/src/x: no room"), "{shown}");
}
