//! Whatever is pressed, and whatever ends answer in whatever order, nothing panics and nothing steers the terminal.

use proptest::prelude::*;

use super::jobs::{Ended, Progress};
use super::*;

#[derive(Clone, Debug)]
enum Happens {
    Command(Command),
    Key(&'static str),
    Text(String),
    Click(u16, u16),
    Wheel(u16, u16),
    Resize(u16, u16),
    Answer,
    Listed(Vec<(Vec<u8>, i32, u64)>),
    Refuse,
    Stale,
    Previewed(u8, String),
    Found(String),
    Progress(u64, u64),
    End(bool),
    Leave,
}

fn happens() -> impl Strategy<Value = Happens> {
    let keys = vec![
        "Enter",
        "Esc",
        "y",
        "o",
        "k",
        "Tab",
        "Space",
        "/",
        "d",
        "c",
        "C-b",
        "Backspace",
        "Down",
        "i",
        "t",
        "h",
    ];
    let name = proptest::collection::vec(any::<u8>(), 0..12);
    let entries = proptest::collection::vec((name, 0i32..5, any::<u64>()), 0..20);
    prop_oneof![
        10 => proptest::sample::select(Command::ALL).prop_map(Happens::Command),
        10 => proptest::sample::select(keys).prop_map(Happens::Key),
        2 => "[a-z*/.~\\[]{0,6}".prop_map(Happens::Text),
        3 => (0u16..130, 0u16..50).prop_map(|(x, y)| Happens::Click(x, y)),
        2 => (0u16..130, 0u16..50).prop_map(|(x, y)| Happens::Wheel(x, y)),
        2 => (0u16..130, 0u16..50).prop_map(|(x, y)| Happens::Resize(x, y)),
        6 => Just(Happens::Answer),
        4 => entries.prop_map(Happens::Listed),
        1 => Just(Happens::Refuse),
        1 => Just(Happens::Stale),
        2 => (0u8..6, "\\PC{0,40}").prop_map(|(kind, text)| Happens::Previewed(kind, text)),
        2 => "\\PC{0,40}".prop_map(Happens::Found),
        2 => (any::<u64>(), any::<u64>()).prop_map(|(done, total)| Happens::Progress(done, total)),
        2 => any::<bool>().prop_map(Happens::End),
        1 => Just(Happens::Leave),
    ]
}

/// What is still to be answered.
#[derive(Default)]
struct Asked {
    effects: Vec<Effect>,
}

impl Asked {
    fn last<T>(&self, of: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().rev().find_map(of)
    }
}

fn content(kind: u8, text: &str) -> Content {
    match kind {
        0 => Content::Words(text.into()),
        1 => Content::Bytes(Bytes::copy_from_slice(text.as_bytes())),
        2 => Content::Image("PNG", 1, u32::MAX),
        3 => Content::Directory(Vec::new()),
        _ => Content::Text(syntax::lines(b"/x.rs", text), true),
    }
}

fn event(what: &Happens, asked: &Asked) -> Option<Event> {
    let list = |effect: &Effect| match effect {
        Effect::List(place, number, _) => Some((*place, *number)),
        _ => None,
    };
    let job = |effect: &Effect| match effect {
        Effect::Begin(id, _) => Some(*id),
        _ => None,
    };
    Some(match what {
        Happens::Listed(entries) => {
            let (place, number) = asked.last(list)?;
            let read = |(name, kind, size): &(Vec<u8>, i32, u64)| {
                Entry::read(&v1::FileEntry {
                    path: Bytes::copy_from_slice(name),
                    kind: *kind,
                    size: *size,
                    mtime_ns: *size as i64,
                    mode: *size as u32,
                    target: Bytes::copy_from_slice(name),
                    ..v1::FileEntry::default()
                })
            };
            let listing = Listing {
                home: Bytes::from("/h"),
                path: Bytes::from("/h"),
                entries: entries.iter().filter_map(read).collect(),
                is_cut: entries.len() > 10,
                free: Some(entries.len() as u64),
                may_write: entries.len() != 3,
            };
            Event::Listed(place, number, Ok(listing))
        }
        Happens::Refuse => {
            let (place, number) = asked.last(list)?;
            Event::Listed(place, number, Err(Refusal::internal("no\x1b[2J")))
        }
        Happens::Stale => {
            let (place, number) = asked.last(list)?;
            Event::Stale(place, number)
        }
        Happens::Previewed(kind, text) => {
            let number = asked.last(|effect| match effect {
                Effect::Preview(number, ..) => Some(*number),
                _ => None,
            })?;
            Event::Previewed(number, content(*kind, text))
        }
        Happens::Found(text) => {
            let number = asked.last(|effect| match effect {
                Effect::Find(number, ..) => Some(*number),
                _ => None,
            })?;
            let it = Match {
                path: Bytes::copy_from_slice(text.as_bytes()),
                shown: path::shown(text.as_bytes()),
                line: text.len() as u64 % 2,
                text: path::shown(text.as_bytes()),
            };
            Event::Found(number, Ok(Some(vec![it])))
        }
        Happens::Progress(done, total) => Event::Job(
            asked.last(job)?,
            JobEvent::Progress(Progress {
                files_done: *total,
                files_total: *done,
                bytes_done: *done / 4,
                bytes_total: *total / 4,
                rate: *done / 8,
                left: None,
                current: String::new(),
            }),
        ),
        Happens::End(is_good) => Event::Job(
            asked.last(job)?,
            JobEvent::Ended(Ended {
                progress: Progress::default(),
                failures: Vec::new(),
                failed: u64::from(!is_good),
                skipped: 1,
                is_cancelled: false,
            }),
        ),
        _ => return None,
    })
}

fn happen(page: &mut Page, what: &Happens, asked: &mut Asked) {
    use crossterm::event::{MouseButton, MouseEventKind};
    let effects = match what {
        Happens::Command(command) => {
            let effects = page.client.model.browser.apply(*command);
            asked.effects.extend(effects);
            page.client.tell(Msg::Tick)
        }
        Happens::Key(key) => page.client.chord(key),
        Happens::Text(text) => page.client.write(text),
        Happens::Click(x, y) => page
            .client
            .mouse(MouseEventKind::Down(MouseButton::Left), *x, *y),
        Happens::Wheel(x, y) => page.client.mouse(MouseEventKind::ScrollDown, *x, *y),
        Happens::Resize(width, height) => {
            page.client.tell(Msg::Resized(Size::new(*width, *height)))
        }
        Happens::Answer => {
            let left = std::mem::take(&mut asked.effects);
            let left: Vec<_> = left.into_iter().map(app::Effect::Files).collect();
            asked.effects = page.fulfil(left);
            Vec::new()
        }
        Happens::Leave => page.client.keys("C-b D C-b b"),
        other => match event(other, asked) {
            Some(event) => page.client.tell(Msg::Files(event)),
            None => Vec::new(),
        },
    };
    asked.effects.extend(Page::wanted(effects));
}

fn assert_sound(page: &Page) {
    let browser = page.browser();
    for place in Place::BOTH {
        let side = browser.side(place);
        let count = side.rows().len();
        assert!(side.place() < count.max(1));
        assert_eq!(side.selected().is_some(), count > 0);
    }
    let text = page.text();
    let mut bad = text
        .chars()
        .filter(|c| *c != '\n' && cmdop_proto::text::is_hidden(*c));
    assert_eq!(bad.next(), None, "{text:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn anything_may_happen_in_any_order(all in proptest::collection::vec(happens(), 1..60)) {
        let mut page = Page::new(100, 30);
        let mut asked = Asked::default();
        for what in all {
            happen(&mut page, &what, &mut asked);
            assert_sound(&page);
        }
    }
}
