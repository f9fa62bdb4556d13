//! What is done with files in the background, as a value: what, with which, from where to where.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Spot;
use super::path;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// They are there too, then.
    Copy,
    /// They are there, and here no more.
    Move,
    /// They are gone.
    Delete,
    /// The copies are compared with what they are copies of.
    Verify,
}

impl What {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Move => "move",
            Self::Delete => "delete",
            Self::Verify => "verify",
        }
    }

    /// The same when it is over.
    pub fn done(self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Move => "moved",
            Self::Delete => "deleted",
            Self::Verify => "verified",
        }
    }
}

/// What becomes of what is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing is expected to be there, and nothing is replaced.
    #[default]
    Keep,
    /// It is replaced.
    Replace,
    /// It stays, and what would have taken its place stays behind.
    Skip,
    /// What is there and the same does not travel again; what is half there is completed; the rest is replaced.
    Resume,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What is done.
    pub what: What,
    /// Where the sources are.
    pub from: Spot,
    /// Their names there.
    pub names: Vec<Bytes>,
    /// The directory that they go to; of what is deleted, where it is.
    pub to: Spot,
    /// What becomes of what is there already.
    pub policy: Policy,
    /// Other names that sources get there.
    pub others: BTreeMap<Bytes, Bytes>,
    /// It was tried before: what is there and the same does not travel again.
    pub is_again: bool,
    /// Bytes a second; `None`: as fast as it goes.
    pub limit: Option<u64>,
}

impl Work {
    /// The sources with their paths.
    pub fn sources(&self) -> impl Iterator<Item = Spot> {
        self.names.iter().map(|name| self.from.child(name))
    }

    /// Where a source goes.
    pub fn target(&self, name: &Bytes) -> Spot {
        self.to.child(self.others.get(name).unwrap_or(name))
    }

    /// The names of the sources that are there already.
    pub fn clashes(&self, present: &BTreeSet<Bytes>) -> usize {
        let names = self.names.iter();
        names.filter(|name| present.contains(*name)).count()
    }

    /// Sources that would meet something get names that nothing there has.
    pub fn keep_both(&mut self, present: &BTreeSet<Bytes>) {
        self.policy = Policy::Keep;
        let clashing = self.names.iter().filter(|name| present.contains(*name));
        for name in clashing {
            let is_free = |other: &Bytes| {
                !present.contains(other)
                    && !self.names.contains(other)
                    && !self.others.values().any(|taken| taken == other)
            };
            let other = numbered(name).find(is_free);
            self.others.insert(name.clone(), other.unwrap_or_default());
        }
        // With so many of one name already there is none left to give.
        self.names
            .retain(|name| self.others.get(name).is_none_or(|other| !other.is_empty()));
    }

    /// What it is about: the name of one, or how many.
    pub fn subject(&self) -> String {
        match self.names.as_slice() {
            [one] => path::shown(one),
            many => format!("{} items", many.len()),
        }
    }

    /// What is done, as half a sentence: `copy notes to web-1:/srv`.
    pub fn title(&self) -> String {
        let (what, subject) = (self.what.word(), self.subject());
        match self.what {
            What::Delete => format!("{what} {subject} in {}", self.from.shown()),
            _ => format!("{what} {subject} to {}", self.to.shown()),
        }
    }

    /// Whether both sides of it are at the same end, so that nothing has to travel.
    pub fn stays(&self) -> bool {
        self.from.end == self.to.end
    }

    /// Whether a directory, or what is in it, is changed by it.
    pub fn touches(&self, spot: &Spot) -> bool {
        let changes_source = matches!(self.what, What::Move | What::Delete);
        (changes_source && self.from == *spot) || (self.what != What::Verify && self.to == *spot)
    }

    /// Whether this could never work: into itself, or to where it is.
    pub fn is_idle(&self) -> bool {
        let is_inside = |source: Spot| {
            self.stays()
                && (self.to.path.starts_with(&path::join(&source.path, b"")) || self.to == source)
        };
        match self.what {
            What::Copy | What::Move => self.sources().any(is_inside),
            What::Delete | What::Verify => false,
        }
    }
}

/// Other names: `notes.txt` becomes `notes 2.txt`, or a higher number.
fn numbered(name: &[u8]) -> impl Iterator<Item = Bytes> {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let (stem, ending) = name.split_at(dot.filter(|at| *at > 0).unwrap_or(name.len()));
    (2..1000).map(move |number: u32| {
        Bytes::from([stem, format!(" {number}").as_bytes(), ending].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    fn bytes(name: &&str) -> Bytes {
        Bytes::copy_from_slice(name.as_bytes())
    }

    fn work(names: &[&str], present: &[&str]) -> Work {
        let at = |path: &'static str| Spot {
            end: End::Here,
            path: Bytes::from(path),
        };
        let mut work = Work {
            what: What::Copy,
            from: at("/a"),
            names: names.iter().map(bytes).collect(),
            to: at("/b"),
            policy: Policy::Keep,
            others: BTreeMap::new(),
            is_again: false,
            limit: None,
        };
        work.keep_both(&present.iter().map(bytes).collect());
        work
    }

    #[test]
    fn the_other_name_is_one_that_nothing_has() {
        let target = |work: &Work, name: &str| work.target(&bytes(&name)).path;
        let one = work(&["notes.txt", "x"], &["notes.txt"]);
        assert_eq!(target(&one, "notes.txt"), "/b/notes 2.txt");
        assert_eq!(target(&one, "x"), "/b/x");
        let taken = work(&["notes 2.txt", "notes.txt"], &["notes.txt", "notes 2.txt"]);
        assert_eq!(target(&taken, "notes.txt"), "/b/notes 3.txt");
        assert_eq!(target(&taken, "notes 2.txt"), "/b/notes 2 2.txt");
        let hidden = work(&[".profile", "a.tar.gz"], &[".profile", "a.tar.gz"]);
        assert_eq!(target(&hidden, ".profile"), "/b/.profile 2");
        assert_eq!(target(&hidden, "a.tar.gz"), "/b/a.tar 2.gz");
    }

    #[test]
    fn nothing_goes_into_itself() {
        let mut one = work(&["x"], &[]);
        assert!(!one.is_idle());
        one.to.path = "/a/x".into();
        assert!(one.is_idle());
        one.to.path = "/a/x/deep".into();
        assert!(one.is_idle());
        one.to.path = "/a/xy".into();
        assert!(!one.is_idle());
    }
}
