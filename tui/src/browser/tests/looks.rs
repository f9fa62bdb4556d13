//! How the page looks.

use super::jobs::Progress;
use super::preview::Token;
use super::*;
use crate::config::Config;
use crate::theme::{Depth, Theme};

const SIZES: [(u16, u16); 3] = [(120, 30), (80, 24), (20, 5)];

fn copying(page: &mut Page) -> JobId {
    page.done("Tab j Enter Tab G k c k");
    let job = page.browser().jobs().all()[0].id;
    page.tell(Event::Job(
        job,
        JobEvent::Progress(Progress {
            files_done: 1,
            files_total: 3,
            bytes_done: 30 << 20,
            bytes_total: 100 << 20,
            rate: 5 << 20,
            left: Some(std::time::Duration::from_secs(14)),
            current: "/home/me/photo.png".into(),
        }),
    ));
    job
}

fn text_of_a_program() -> Content {
    let piece = |token, text: &str| (token, text.to_owned());
    let lines = vec![
        vec![piece(Token::Comment, "// Says hello.")],
        vec![
            piece(Token::Keyword, "fn"),
            piece(Token::Plain, " main() {"),
        ],
        vec![
            piece(Token::Plain, "    println!("),
            piece(Token::String, "\"hello\""),
            piece(Token::Plain, ");"),
        ],
        vec![piece(Token::Plain, "}")],
    ];
    Content::Text(lines, false)
}

/// Shows this of the selected file.
fn previewed(page: &mut Page, content: Content) {
    let effects = page.done("i");
    let [Effect::Preview(number, ..)] = effects[..] else {
        panic!("{effects:?}")
    };
    page.tell(Event::Previewed(number, content));
}

#[test]
fn two_sides() {
    for (width, height) in SIZES {
        let mut page = Page::new(width, height);
        page.done("j Space Space");
        insta::assert_snapshot!(format!("sides_{width}x{height}"), page.look());
    }
}

#[test]
fn a_preview() {
    for (width, height) in SIZES {
        let mut page = Page::new(width, height);
        page.done("j j j");
        previewed(&mut page, text_of_a_program());
        insta::assert_snapshot!(format!("preview_{width}x{height}"), page.look());
    }
}

#[test]
fn other_previews() {
    let mut page = Page::new(80, 10);
    page.done("j j j j");
    previewed(&mut page, Content::Image("PNG", 640, 480));
    insta::assert_snapshot!("image_80x10", page.text());
    page.done("i");
    previewed(
        &mut page,
        Content::Bytes(Bytes::from_static(b"\x7fELF\x02\x01\x01\0\0\0abc")),
    );
    insta::assert_snapshot!("bytes_80x10", page.text());
}

#[test]
fn transfers() {
    for (width, height) in SIZES {
        let mut page = Page::new(width, height);
        copying(&mut page);
        page.done("c k d y");
        let last = page.browser().jobs().all().last().unwrap().id;
        let why = Refusal::denied("file-denied", "the user of the agent may not do that");
        page.tell(Event::Job(last, JobEvent::Failed(why)));
        page.client.model.toasts.clear();
        page.done("t");
        insta::assert_snapshot!(format!("transfers_{width}x{height}"), page.look());
    }
}

#[test]
fn what_was_found() {
    for (width, height) in SIZES {
        let mut page = Page::new(width, height);
        page.done("F");
        page.write("TODO");
        let effects = page.done("Enter");
        let [Effect::Find(number, ..)] = effects[..] else {
            panic!("{effects:?}")
        };
        let it = |path: &str, line, text: &str| Match {
            path: Bytes::copy_from_slice(path.as_bytes()),
            shown: path.into(),
            line,
            text: text.into(),
        };
        let matches = vec![
            it("src/main.rs", 12, "// TODO: say it louder"),
            it("www/deep/down/below/index.html", 1024, "<!-- TODO -->"),
        ];
        page.tell(Event::Found(number, Ok(Some(matches))));
        page.done("j");
        insta::assert_snapshot!(format!("found_{width}x{height}"), page.look());
    }
}

#[test]
fn questions() {
    let mut page = Page::new(80, 12);
    page.done("Space Space d");
    insta::assert_snapshot!("delete_80x12", page.text());
    page.done("n c");
    insta::assert_snapshot!("clash_80x12", page.text());
    page.done("Esc r");
    page.write(".old");
    insta::assert_snapshot!("rename_80x12", page.text());
    page.done("Esc M");
    insta::assert_snapshot!("machines_80x12", page.text());
}

#[test]
fn without_lines_and_without_colours_everything_is_still_told_apart() {
    let config = Config {
        borders: crate::config::Borders::Ascii,
        ..Config::default()
    };
    let mut page = Page::on(
        Client::with(app::Setup {
            config,
            ..Client::new(80, 16).model.setup
        })
        .with_fleet(),
    );
    page.done("j Space j");
    previewed(&mut page, text_of_a_program());
    let text = page.text();
    let shown: String = text.lines().take(15).collect();
    assert!(shown.is_ascii(), "{text}");
    insta::assert_snapshot!("ascii_80x16", text);
    let terminal = page.client.terminal();
    let colours = terminal.backend().buffer().content.iter();
    let mut coloured = colours.filter(|cell| cell.fg != ratatui::style::Color::Reset);
    assert!(coloured.next().is_none(), "the theme has no colours");
}

#[test]
fn a_theme_gives_the_parts_of_a_program_its_own_colours() {
    let theme = Theme::named("dark", Depth::True).unwrap();
    let mut page = Page::on(
        Client::with(app::Setup {
            theme,
            ..Client::new(120, 24).model.setup
        })
        .with_fleet(),
    );
    page.done("j j j");
    previewed(&mut page, text_of_a_program());
    let terminal = page.client.terminal();
    let buffer = terminal.backend().buffer();
    let mut colours = BTreeMap::new();
    for cell in &buffer.content {
        let text: &mut String = colours.entry(format!("{:?}", cell.fg)).or_default();
        text.push_str(cell.symbol());
    }
    for part in ["// Says hello.", "\"hello\"", "fn"] {
        let holds = |text: &&String| text.contains(part);
        assert_eq!(
            colours.values().filter(holds).count(),
            1,
            "{part}: {colours:?}"
        );
    }
    let of = |part: &str| {
        colours
            .iter()
            .find(|(_, text)| text.contains(part))
            .map(|(colour, _)| colour)
    };
    assert_ne!(of("// Says hello."), of("\"hello\""));
}
