//! Going through directories, and what is shown of them.

use super::*;

#[test]
fn it_begins_here_and_on_the_machine_that_was_looked_at() {
    let page = Page::new(100, 30);
    assert_eq!(page.at(), "web-1:/home/me");
    assert_eq!(
        page.browser().side(Place::Left).spot().shown(),
        "here:/home/me"
    );
    assert_eq!(
        page.names(),
        ["src", "www", "logs", "notes.txt", "photo.png", "run"]
    );
    assert_eq!(page.selected(), "src");
}

#[test]
fn from_a_pane_it_shows_the_machine_of_that_pane() {
    let mut client = Client::new(100, 30).with_fleet();
    client.done("G Enter C-b b");
    assert_eq!(
        client.model.browser.here().spot().end.name(),
        "web-2",
        "{}",
        client.text()
    );
    client.done("q");
    assert_eq!(client.model.page, app::Page::Tabs);
}

#[test]
fn down_and_up_again_selects_what_one_came_from() {
    let mut page = Page::new(100, 30);
    page.done("j Enter");
    assert_eq!(page.at(), "web-1:/home/me/www");
    page.done("h");
    assert_eq!(
        (page.at().as_str(), page.selected()),
        ("web-1:/home/me", "www")
    );
    page.done("h h h");
    assert_eq!(page.at(), "web-1:/");
    assert!(
        page.text().contains("there is no such directory"),
        "{}",
        page.text()
    );
    page.done("~");
    assert_eq!(page.at(), "web-1:/home/me");
    page.done("-");
    assert_eq!(page.at(), "web-1:/");
}

#[test]
fn what_is_a_file_and_no_directory_is_selected_where_it_is() {
    let mut page = Page::new(100, 30);
    let effects = page.client.keys("j j Enter");
    let Some(Effect::List(place, number, _)) = Page::wanted(effects).first().cloned() else {
        panic!("where the link leads is looked at")
    };
    let why = Refusal::invalid("file-no-directory", "logs is not a directory");
    page.tell(Event::Listed(place, number, Err(why)));
    assert_eq!(
        (page.at().as_str(), page.selected()),
        ("web-1:/home/me", "logs")
    );
}

#[test]
fn a_path_is_typed() {
    let mut page = Page::new(100, 30);
    page.done(":");
    page.write("src");
    page.done("Enter");
    assert_eq!(page.at(), "web-1:/home/me/src");
    page.done(":");
    page.write("~/../other");
    page.done("Esc :");
    page.write("../..");
    page.done("Enter");
    assert_eq!(page.at(), "web-1:/home");
}

#[test]
fn each_side_can_be_any_machine_or_here() {
    let mut page = Page::new(100, 30);
    page.done("Tab M");
    page.write("web-2");
    page.done("Enter");
    assert_eq!(page.at(), "web-2:/home/me");
    page.done("Tab M");
    page.write("here");
    page.done("Enter");
    assert_eq!(page.at(), "here:/home/me");
    page.done("x");
    assert_eq!(page.at(), "web-2:/home/me");
    page.done("j Enter =");
    assert_eq!(
        page.browser().side(Place::Left).spot().shown(),
        "web-2:/home/me/www"
    );
}

#[test]
fn names_are_filtered_while_they_are_typed() {
    let mut page = Page::new(100, 30);
    page.done("/");
    page.write("O");
    assert_eq!(page.names(), ["logs", "notes.txt", "photo.png"]);
    page.done("Down Enter");
    assert_eq!(page.selected(), "notes.txt");
    page.done("Esc");
    assert_eq!(page.names().len(), 6, "a way out of the filter first");
    assert_eq!(page.selected(), "notes.txt");
    page.done("/");
    page.write("zzz");
    assert!(page.text().contains("no name holds zzz"));
    page.done("Esc");
    assert_eq!(page.names().len(), 6, "what counted before counts again");
    page.done(".");
    assert!(page.names().contains(&".profile"));
}

#[test]
fn the_order_changes_and_the_selection_stays() {
    let mut page = Page::new(100, 30);
    page.done("G s");
    assert_eq!(page.names()[2..], ["photo.png", "notes.txt", "run", "logs"]);
    assert_eq!(page.selected(), "run");
    page.done("S");
    assert_eq!(page.names()[2..], ["logs", "run", "notes.txt", "photo.png"]);
    page.done("s");
    assert_eq!(page.names()[2..], ["logs", "run", "notes.txt", "photo.png"]);
}

#[test]
fn marks_are_names_and_go_with_the_directory() {
    let mut page = Page::new(100, 30);
    page.done("Space Space");
    assert_eq!(page.browser().here().wanted(), ["src", "www"]);
    page.done("v");
    assert_eq!(page.browser().here().wanted().len(), 4);
    page.done("u +");
    page.write("*.{txt,png}");
    page.done("Enter");
    assert_eq!(page.browser().here().wanted(), ["notes.txt", "photo.png"]);
    // What is gone is not marked any more.
    let home = page.tree.get_mut(&Bytes::from("/home/me")).unwrap();
    home.retain(|entry| entry.path != "photo.png");
    page.done("R");
    assert_eq!(page.browser().here().wanted(), ["notes.txt"]);
    page.done("h");
    assert_eq!(page.browser().here().marked(), (0, 0));
}

#[test]
fn an_answer_to_an_older_question_changes_nothing() {
    let mut page = Page::new(100, 30);
    let effects = page.client.chord("Enter");
    let Some(Effect::List(place, old, _)) = Page::wanted(effects).first().cloned() else {
        panic!("a directory is listed")
    };
    page.done("h");
    let listing = page.listing(&Bytes::from("/home/me/src"));
    page.tell(Event::Listed(place, old, listing));
    assert_eq!(page.at(), "web-1:/home/me");
    assert_eq!(page.names().len(), 6);
}

#[test]
fn what_changed_is_looked_at_again_and_the_selection_stays() {
    let mut page = Page::new(100, 30);
    page.done("G");
    let effects = page.client.chord("R");
    let numbers: Vec<_> = Page::wanted(effects)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::List(Place::Right, number, _) => Some(number),
            _ => None,
        })
        .collect();
    let home = Bytes::from("/home/me");
    let listing = page.listing(&home);
    page.tell(Event::Listed(Place::Right, numbers[0], listing));
    page.tree.get_mut(&home).unwrap().push(file("aaa", 1));
    page.tell(Event::Stale(Place::Right, numbers[0]));
    assert_eq!(page.names().len(), 7);
    assert_eq!(page.selected(), "run");
    // A directory that was left is nobody's business.
    page.tell(Event::Stale(Place::Right, numbers[0]));
    assert_eq!(page.names().len(), 7);
}

#[test]
fn bookmarks_are_made_kept_and_gone_to() {
    let mut page = Page::new(100, 30);
    let effects = page.done("B");
    let [Effect::Keep(kept)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(kept.contains("/home/me"), "{kept}");
    page.done("Enter Tab h b");
    page.write("web-1");
    page.done("Enter");
    assert_eq!(page.at(), "web-1:/home/me");
    page.done("B");
    assert_eq!(page.browser().bookmarks().all(), []);
}

#[test]
fn what_is_looked_for_is_listed_as_it_comes_and_gone_to() {
    let mut page = Page::new(100, 30);
    page.done("f");
    page.write("main");
    let effects = page.done("Enter");
    let [Effect::Find(number, spot, find)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (spot.shown().as_str(), find),
        ("web-1:/home/me", &Find::Name("main".into()))
    );
    let it = Match {
        path: Bytes::from("src/main.rs"),
        shown: "src/main.rs".into(),
        line: 0,
        text: String::new(),
    };
    page.tell(Event::Found(*number, Ok(Some(vec![it]))));
    assert!(page.text().contains("1 match"), "{}", page.text());
    assert_eq!(page.done("x"), [Effect::NoFind]);
    page.done("Enter");
    assert_eq!(
        (page.at().as_str(), page.selected()),
        ("web-1:/home/me/src", "main.rs")
    );
    page.done("e");
    assert_eq!(page.browser().view(), View::Found);
}

#[test]
fn the_mouse_turns_to_a_row_and_opens_what_is_clicked_twice() {
    use crossterm::event::{MouseButton, MouseEventKind};
    let mut page = Page::new(100, 30);
    let click = MouseEventKind::Down(MouseButton::Left);
    let mut clicks = |column, row| {
        let effects = page.client.mouse(click, column, row);
        page.fulfil(effects);
        page.at() + " " + page.selected()
    };
    // The title and the headings are above the first row.
    assert_eq!(clicks(5, 3), "here:/home/me www");
    assert_eq!(clicks(60, 2), "web-1:/home/me src");
    assert_eq!(clicks(60, 2), "web-1:/home/me/src lib.rs");
    assert_eq!(clicks(60, 0), "web-1:/home/me src", "the title leads up");
}

#[test]
fn the_preview_follows_the_selection() {
    let mut page = Page::new(100, 30);
    page.done("G k k");
    let effects = page.done("i");
    let [Effect::Preview(number, spot, entry::Kind::File)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(spot.shown(), "web-1:/home/me/notes.txt");
    let line = vec![(preview::Token::Plain, "remember the milk".to_owned())];
    page.tell(Event::Previewed(*number, Content::Text(vec![line], false)));
    assert!(page.text().contains("remember the milk"), "{}", page.text());
    let effects = page.done("j");
    assert!(matches!(effects[..], [Effect::Preview(..)]), "{effects:?}");
    assert!(!page.text().contains("milk"));
    // The answer to what was selected before comes late.
    page.tell(Event::Previewed(*number, Content::Words("late".into())));
    assert!(!page.text().contains("late"));
    assert_eq!(page.done("i"), [Effect::NoPreview]);
}

#[test]
fn a_shell_is_opened_in_the_directory() {
    let mut page = Page::new(100, 30);
    let effects = page.client.keys("!");
    let [app::Effect::Create { directory, .. }, ..] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(directory, "/home/me");
    assert_eq!(page.client.model.page, app::Page::Tabs);
    page.done("C-b b Tab");
    page.done("!");
    assert!(
        page.client
            .toasts()
            .last()
            .unwrap()
            .contains("this computer")
    );
}

#[test]
fn nothing_is_looked_at_for_a_page_that_was_left() {
    let mut page = Page::new(100, 30);
    assert_eq!(page.done("q"), [Effect::Rest]);
    assert_eq!(page.client.model.page, app::Page::Fleet);
}
