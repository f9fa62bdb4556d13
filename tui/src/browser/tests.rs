//! The page of files as its user meets it: keys in, what is to be done and what is shown out.

mod always;
mod doing;
mod going;
mod looks;

use std::collections::BTreeMap;

use bytes::Bytes;
use cmdop_proto::{Refusal, v1};

use super::*;
use crate::app::{self, Msg};
use crate::testing::{Client, WALL_MS};

/// A client on the page of files, and what ends would answer.
struct Page {
    client: Client,
    /// What is in which directory, by its path; the same at every end.
    tree: BTreeMap<Bytes, Vec<v1::FileEntry>>,
}

fn entry(name: &[u8], kind: v1::FileKind, size: u64) -> v1::FileEntry {
    let mode = match kind {
        v1::FileKind::Directory => 0o755,
        _ => 0o644,
    };
    v1::FileEntry {
        path: Bytes::copy_from_slice(name),
        kind: kind.into(),
        size,
        mode,
        mtime_ns: (WALL_MS as i64 - 1000 * size as i64) * 1_000_000,
        ..v1::FileEntry::default()
    }
}

fn file(name: &str, size: u64) -> v1::FileEntry {
    entry(name.as_bytes(), v1::FileKind::File, size)
}

fn directory(name: &str) -> v1::FileEntry {
    entry(name.as_bytes(), v1::FileKind::Directory, 4096)
}

impl Page {
    /// Opened from the machine web-1, which stands in the list.
    fn new(width: u16, height: u16) -> Self {
        let client = Client::new(width, height).with_fleet();
        Self::on(client)
    }

    fn on(client: Client) -> Self {
        let tree = [
            (
                "/home/me",
                vec![
                    directory("src"),
                    directory("www"),
                    file("notes.txt", 1234),
                    file("photo.png", 300 << 10),
                    file(".profile", 70),
                    v1::FileEntry {
                        target: Bytes::from("/var/log"),
                        ..entry(b"logs", v1::FileKind::Symlink, 8)
                    },
                    v1::FileEntry {
                        mode: 0o755,
                        ..file("run", 512)
                    },
                ],
            ),
            ("/home", vec![directory("me"), directory("other")]),
            (
                "/home/me/src",
                vec![file("main.rs", 90), file("lib.rs", 80)],
            ),
            ("/home/me/www", vec![]),
        ];
        let bytes = |(path, entries): (&'static str, _)| (Bytes::from(path), entries);
        let mut page = Self {
            client,
            tree: tree.into_iter().map(bytes).collect(),
        };
        // web-1 stands below the laptop and its session.
        page.done("g j j b");
        page
    }

    fn listing(&self, path: &Bytes) -> Result<Listing, Refusal> {
        let path = match path.as_ref() {
            b"" => Bytes::from("/home/me"),
            _ => path.clone(),
        };
        let why = || Refusal::not_found("file-unknown", "there is no such directory");
        let entries = self.tree.get(&path).ok_or_else(why)?;
        Ok(Listing {
            home: Bytes::from("/home/me"),
            entries: entries.iter().filter_map(Entry::read).collect(),
            path,
            is_cut: false,
            free: Some(12 << 30),
            may_write: true,
        })
    }

    fn browser(&self) -> &Browser {
        &self.client.model.browser
    }

    /// What files are asked for.
    fn wanted(effects: Vec<app::Effect>) -> Vec<Effect> {
        let files = effects.into_iter().filter_map(|effect| match effect {
            app::Effect::Files(effect) => Some(effect),
            _ => None,
        });
        files.collect()
    }

    /// Answers what is asked of directories; the rest is what a test is about.
    fn fulfil(&mut self, effects: Vec<app::Effect>) -> Vec<Effect> {
        let mut left = Vec::new();
        for effect in Self::wanted(effects) {
            let answer = match &effect {
                Effect::List(place, number, spot) => {
                    Event::Listed(*place, *number, self.listing(&spot.path))
                }
                Effect::Look(number, spot) => {
                    let names = self.listing(&spot.path).map(|listing| {
                        let names = listing.entries.into_iter().map(|entry| entry.name);
                        names.collect()
                    });
                    Event::Present(*number, names)
                }
                _ => {
                    left.push(effect);
                    continue;
                }
            };
            left.extend(self.tell(answer));
        }
        left
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.client.tell(Msg::Files(event));
        self.fulfil(effects)
    }

    /// Presses keys and has directories answered; what else is asked for.
    fn done(&mut self, keys: &str) -> Vec<Effect> {
        let mut left = Vec::new();
        for key in keys.split_whitespace() {
            let effects = self.client.chord(key);
            left.extend(self.fulfil(effects));
        }
        left
    }

    fn write(&mut self, text: &str) {
        let effects = self.client.write(text);
        self.fulfil(effects);
    }

    /// What is shown on the side with the keys.
    fn names(&self) -> Vec<&str> {
        let rows = self.browser().here().rows();
        rows.map(|entry| entry.shown.as_str()).collect()
    }

    fn selected(&self) -> &str {
        self.browser()
            .here()
            .selected()
            .map_or("", |entry| &entry.shown)
    }

    fn at(&self) -> String {
        self.browser().here().spot().shown()
    }

    fn look(&mut self) -> String {
        self.client.look()
    }

    fn text(&self) -> String {
        self.client.text()
    }
}
