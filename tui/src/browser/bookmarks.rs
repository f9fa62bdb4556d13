//! Directories that are worth coming back to, kept for the next start.
//!
//! A file that was read is checked before it is believed.

use serde::{Deserialize, Serialize};

use super::end::Machine;
use super::path;
use super::{End, Spot};

/// Nobody finds anything among more.
const MAX_BOOKMARKS: usize = 200;

/// Longer paths no file system has.
const MAX_PATH: usize = 4096;

/// One of them, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    /// The machine's id; none: here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    /// What it was called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    path: String,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmarks {
    all: Vec<Spot>,
}

impl Bookmarks {
    /// Reads what was kept; what is none of ours is left out.
    pub fn read(text: &str) -> Self {
        let kept: Vec<Kept> = serde_json::from_str(text).unwrap_or_default();
        let spots = kept.into_iter().filter_map(|kept| {
            let end = match kept.machine {
                None => End::Here,
                Some(id) => End::Machine(Machine {
                    id: id.parse().ok()?,
                    name: cmdop_proto::text::shown(&kept.name, 64),
                }),
            };
            let is_sound = kept.path.starts_with('/') && kept.path.len() <= MAX_PATH;
            is_sound.then(|| Spot {
                end,
                path: path::plain(kept.path.as_bytes()),
            })
        });
        Self {
            all: spots.take(MAX_BOOKMARKS).collect(),
        }
    }

    /// As they are written.
    pub fn write(&self) -> String {
        let kept = self.all.iter().filter_map(|spot| {
            Some(Kept {
                machine: spot.end.machine().map(|id| id.to_string()),
                name: match &spot.end {
                    End::Here => String::new(),
                    End::Machine(machine) => machine.name.clone(),
                },
                path: String::from_utf8(spot.path.to_vec()).ok()?,
            })
        });
        serde_json::to_string(&kept.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// In the order in which they were made.
    pub fn all(&self) -> &[Spot] {
        &self.all
    }

    /// Adds a directory, or takes it away if it is one already; what is there to say about it.
    pub(super) fn toggle(&mut self, spot: &Spot) -> String {
        let shown = spot.shown();
        if let Some(at) = self.all.iter().position(|known| known == spot) {
            self.all.remove(at);
            return format!("{shown} is no bookmark any more");
        }
        if std::str::from_utf8(&spot.path).is_err() {
            return format!("{shown} cannot be kept: its path is no text");
        }
        if self.all.len() >= MAX_BOOKMARKS {
            return format!("there are {MAX_BOOKMARKS} bookmarks already");
        }
        self.all.push(spot.clone());
        format!("{shown} is a bookmark now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine_id;

    #[test]
    fn bookmarks_are_read_as_they_are_written_and_nothing_else_is() {
        let mut bookmarks = Bookmarks::default();
        let name = "web-1".to_owned();
        let id = machine_id(1);
        let there = Spot {
            end: End::Machine(Machine { id, name }),
            path: "/srv/www".into(),
        };
        let here = Spot {
            end: End::Here,
            path: "/tmp".into(),
        };
        bookmarks.toggle(&there);
        bookmarks.toggle(&here);
        assert_eq!(Bookmarks::read(&bookmarks.write()), bookmarks);
        bookmarks.toggle(&there);
        assert_eq!(bookmarks.all(), [here]);
        for garbage in [
            "",
            "{}",
            "[{\"path\":\"relative\"}]",
            "[{\"machine\":\"x\",\"path\":\"/\"}]",
        ] {
            assert_eq!(Bookmarks::read(garbage), Bookmarks::default(), "{garbage}");
        }
    }

    #[test]
    fn a_path_that_is_no_text_is_no_bookmark() {
        let mut bookmarks = Bookmarks::default();
        let path = bytes::Bytes::from_static(b"/a\xff");
        let end = End::Here;
        assert!(bookmarks.toggle(&Spot { end, path }).contains("no text"));
        assert_eq!(bookmarks.all(), []);
    }
}
