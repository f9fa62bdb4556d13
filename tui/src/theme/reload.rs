//! A theme file of the user's own, read again when it changes.
//!
//! It looks when it is told to and remembers what it saw; a theme that cannot be read is an error to show
//! and changes nothing. It neither waits nor watches: whoever has a clock asks every now and then.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Depth, Error, Theme};

/// The largest theme is a hundredth of this.
const MAX_FILE: u64 = 256 << 10;

/// Why a theme file gives no theme.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// The file itself.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// It is larger than any theme.
    #[error("{path} is larger than 256 KiB", path = path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// What stands in it.
    #[error("{path}: {source}", path = path.display())]
    Theme {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: Error,
    },
}

/// By what a changed file is told from an unchanged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// What was seen of the file; `Missing` holds the kind of error, so that it is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Never,
    Missing(io::ErrorKind),
    File(Stamp),
}

/// See the module.
#[derive(Debug)]
pub struct Reload {
    path: PathBuf,
    depth: Depth,
    seen: Seen,
}

impl Reload {
    /// Has seen nothing yet: its first [`Self::look`] reads the file.
    pub fn new(path: PathBuf, depth: Depth) -> Self {
        Self {
            path,
            depth,
            seen: Seen::Never,
        }
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The theme, if the file is another one than at the last look, or what is wrong with it. An error is
    /// told once, and the theme that is in use stays in use.
    pub fn look(&mut self) -> Option<Result<Theme, NotRead>> {
        let found = std::fs::metadata(&self.path).map(|about| Stamp {
            modified: about.modified().ok(),
            length: about.len(),
        });
        if !self.is_news(found.as_ref()) {
            return None;
        }
        Some(self.read())
    }

    /// Whether this is another file than the last that was seen. Pure.
    fn is_news(&mut self, found: Result<&Stamp, &io::Error>) -> bool {
        let now = match found {
            Ok(stamp) => Seen::File(*stamp),
            Err(error) => Seen::Missing(error.kind()),
        };
        std::mem::replace(&mut self.seen, now) != now
    }

    fn read(&self) -> Result<Theme, NotRead> {
        let path = || self.path.clone();
        let wrong = |source| NotRead::File {
            path: path(),
            source,
        };
        let file = std::fs::File::open(&self.path).map_err(wrong)?;
        let mut text = String::new();
        let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
        if read.map_err(wrong)? as u64 > MAX_FILE {
            return Err(NotRead::TooLarge { path: path() });
        }
        Theme::custom(&text, self.depth).map_err(|source| NotRead::Theme {
            path: path(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRUVBOX: &str = include_str!("../../../themes/gruvbox-dark.toml");
    const DARK: &str = include_str!("../../../themes/dark.toml");

    #[test]
    fn a_changed_file_is_read_once_and_a_wrong_one_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, GRUVBOX).unwrap();
        let mut reload = Reload::new(path.clone(), Depth::True);
        let theme = |reload: &mut Reload| reload.look().unwrap().unwrap();
        let named = |name| Theme::named(name, Depth::True).unwrap();
        assert_eq!(theme(&mut reload), named("gruvbox-dark"));
        assert!(reload.look().is_none(), "nothing changed");
        std::fs::write(&path, DARK).unwrap();
        assert_eq!(theme(&mut reload), named("dark"));
        std::fs::write(&path, "[roles]\nborders = {}").unwrap();
        let said = reload.look().unwrap().unwrap_err().to_string();
        assert!(
            said.contains("mine.toml") && said.contains("borders"),
            "{said}"
        );
        assert!(reload.look().is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(reload.look(), Some(Err(NotRead::File { .. }))));
        assert!(reload.look().is_none());
        std::fs::write(&path, GRUVBOX).unwrap();
        assert_eq!(theme(&mut reload), named("gruvbox-dark"));
    }

    #[test]
    fn a_file_that_is_no_theme_by_its_size_is_not_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("huge.toml");
        std::fs::write(&path, " ".repeat(MAX_FILE as usize + 1)).unwrap();
        let mut reload = Reload::new(path, Depth::True);
        assert!(matches!(reload.look(), Some(Err(NotRead::TooLarge { .. }))));
    }

    #[test]
    fn without_colours_a_changed_file_brings_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, GRUVBOX).unwrap();
        let theme = Reload::new(path, Depth::None).look().unwrap().unwrap();
        assert_eq!(theme, Theme::named("mono", Depth::None).unwrap());
    }
}
