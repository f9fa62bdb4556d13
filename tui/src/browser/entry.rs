//! What a directory holds, and the orders in which it can be shown.

use std::cmp::Ordering;

use bytes::Bytes;
use cmdop_proto::v1;

use super::path;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link; where it leads is found out by going there.
    Link,
    /// A device, socket or pipe: never opened.
    Special,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as the file system has it.
    pub name: Bytes,
    /// As it is shown.
    pub shown: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits and set-id bits.
    pub mode: u32,
    /// When it was changed last: milliseconds since the Unix epoch.
    pub mtime_ms: i64,
    /// Of a link: where it leads, as it is shown.
    pub target: String,
}

impl Entry {
    /// An entry of a listing; `None`: what it calls itself is no name.
    pub fn read(entry: &v1::FileEntry) -> Option<Self> {
        if !path::is_name(&entry.path) {
            return None;
        }
        let kind = match entry.kind() {
            v1::FileKind::File => Kind::File,
            v1::FileKind::Directory => Kind::Directory,
            v1::FileKind::Symlink => Kind::Link,
            v1::FileKind::Special | v1::FileKind::Unspecified => Kind::Special,
        };
        Some(Self {
            shown: path::shown(&entry.path),
            name: entry.path.clone(),
            kind,
            size: entry.size,
            mode: entry.mode & 0o7777,
            mtime_ms: entry.mtime_ns / 1_000_000,
            target: path::shown(&entry.target),
        })
    }

    /// Whether going there may lead into a directory.
    pub fn leads_on(&self) -> bool {
        matches!(self.kind, Kind::Directory | Kind::Link)
    }

    /// Whether its name asks not to be shown.
    pub fn is_hidden(&self) -> bool {
        self.name.starts_with(b".")
    }

    /// Whether somebody may run it.
    pub fn is_program(&self) -> bool {
        self.kind == Kind::File && self.mode & 0o111 != 0
    }

    /// Kind and mode as `ls -l` writes them.
    pub fn permissions(&self) -> String {
        let mut text = String::with_capacity(10);
        text.push(match self.kind {
            Kind::File => '-',
            Kind::Directory => 'd',
            Kind::Link => 'l',
            Kind::Special => 's',
        });
        for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            let bits = self.mode >> shift & 7;
            text.push(if bits & 4 == 0 { '-' } else { 'r' });
            text.push(if bits & 2 == 0 { '-' } else { 'w' });
            text.push(match (self.mode & special != 0, bits & 1 != 0) {
                (false, false) => '-',
                (false, true) => 'x',
                (true, true) => letter,
                (true, false) => letter.to_ascii_uppercase(),
            });
        }
        text
    }
}

/// By what entries are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Their names.
    #[default]
    Name,
    /// Their sizes, the largest first.
    Size,
    /// When they were changed, the newest first.
    Time,
}

/// An order. Directories come first in any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// The other way round.
    pub is_reversed: bool,
}

impl Order {
    /// By the next thing there is to order by.
    pub fn next(self) -> Self {
        let by = match self.by {
            By::Name => By::Size,
            By::Size => By::Time,
            By::Time => By::Name,
        };
        Self {
            by,
            is_reversed: false,
        }
    }

    /// The other way round.
    pub fn reversed(self) -> Self {
        Self {
            is_reversed: !self.is_reversed,
            ..self
        }
    }

    /// Which of two comes first.
    pub fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let is_file = |entry: &Entry| entry.kind != Kind::Directory;
        let by_name = || natural(&one.name, &other.name).then_with(|| one.name.cmp(&other.name));
        let ordered = match self.by {
            By::Name => by_name(),
            By::Size => other.size.cmp(&one.size).then_with(by_name),
            By::Time => other.mtime_ms.cmp(&one.mtime_ms).then_with(by_name),
        };
        let ordered = if self.is_reversed {
            ordered.reverse()
        } else {
            ordered
        };
        is_file(one).cmp(&is_file(other)).then(ordered)
    }
}

/// As a person orders names: without regard to case, and numbers by what they count.
fn natural(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (left, right) = (digits(one), digits(other));
        if left > 0 && right > 0 {
            let by_number = number(&one[..left]).cmp(&number(&other[..right]));
            if by_number != Ordering::Equal {
                return by_number;
            }
            (one, other) = (&one[left..], &other[right..]);
            continue;
        }
        match (one, other) {
            ([], []) => return Ordering::Equal,
            ([], _) => return Ordering::Less,
            (_, []) => return Ordering::Greater,
            ([a, rest @ ..], [b, others @ ..]) => {
                let by_letter = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
                if by_letter != Ordering::Equal {
                    return by_letter;
                }
                (one, other) = (rest, others);
            }
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Digits as a number of any length: how many without leading zeros, then which.
fn number(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, kind: v1::FileKind, size: u64, mode: u32) -> Entry {
        Entry::read(&v1::FileEntry {
            path: name.as_bytes().to_vec().into(),
            kind: kind.into(),
            size,
            mode,
            mtime_ns: size as i64 * 1_000_000,
            ..v1::FileEntry::default()
        })
        .unwrap()
    }

    #[test]
    fn directories_come_first_and_numbers_count() {
        let mut all = [
            entry("v10", v1::FileKind::File, 1, 0),
            entry("V9", v1::FileKind::File, 3, 0),
            entry("zoo", v1::FileKind::Directory, 0, 0),
            entry("v09b", v1::FileKind::File, 2, 0),
        ];
        let mut names = |order: Order| {
            all.sort_by(|a, b| order.compare(a, b));
            let names: Vec<_> = all.iter().map(|entry| entry.shown.clone()).collect();
            names.join(" ")
        };
        let order = Order::default();
        assert_eq!(names(order), "zoo V9 v09b v10");
        assert_eq!(names(order.reversed()), "zoo v10 v09b V9");
        assert_eq!(names(order.next()), "zoo V9 v09b v10");
        assert_eq!(names(order.next().next()), "zoo V9 v09b v10");
        assert_eq!(order.next().next().next(), order);
    }

    #[test]
    fn modes_are_written_as_by_ls() {
        let shown = |kind, mode| entry("x", kind, 0, mode).permissions();
        assert_eq!(shown(v1::FileKind::File, 0o644), "-rw-r--r--");
        assert_eq!(shown(v1::FileKind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(shown(v1::FileKind::File, 0o4750), "-rwsr-x---");
        assert_eq!(shown(v1::FileKind::File, 0o2644), "-rw-r-Sr--");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_entry() {
        for bad in ["", ".", "..", "a/b", "/etc", "a\0"] {
            let named = v1::FileEntry {
                path: bad.as_bytes().to_vec().into(),
                ..v1::FileEntry::default()
            };
            assert_eq!(Entry::read(&named), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_names_is_one(names in proptest::collection::vec("[aA0-2]{1,5}", 0..12)) {
            let mut all: Vec<_> = names.iter().map(|name| entry(name, v1::FileKind::File, 0, 0)).collect();
            // It would panic where two comparisons contradict each other.
            all.sort_by(|a, b| Order::default().compare(a, b));
            prop_assert!(all.is_sorted_by(|a, b| Order::default().compare(a, b).is_le()));
        }
    }
}
