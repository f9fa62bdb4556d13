//! What a token or key is good for: words that narrow what its account's role allows, and never widen it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One word. None implies another: what is not named is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scope {
    /// See machines, their readings and fleets.
    MachinesRead,
    /// Enrol, rename, label and remove machines, and put them into fleets.
    MachinesWrite,
    /// See sessions, watch them, read their screens and history.
    SessionsRead,
    /// Start, type into, resize, signal and close sessions.
    SessionsOperate,
    /// Run programs.
    Exec,
    /// Read files.
    FilesRead,
    /// Write, move and remove files.
    FilesWrite,
    /// See and change schedules.
    Schedules,
    /// Use the model router.
    Models,
    /// Manage members, keys of others, and read the audit log.
    Admin,
}

impl Scope {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::MachinesRead,
        Self::MachinesWrite,
        Self::SessionsRead,
        Self::SessionsOperate,
        Self::Exec,
        Self::FilesRead,
        Self::FilesWrite,
        Self::Schedules,
        Self::Models,
        Self::Admin,
    ];

    /// The word that stands in tokens and on command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MachinesRead => "machines:read",
            Self::MachinesWrite => "machines:write",
            Self::SessionsRead => "sessions:read",
            Self::SessionsOperate => "sessions:operate",
            Self::Exec => "exec",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::Schedules => "schedules",
            Self::Models => "models",
            Self::Admin => "admin",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// Reads words between spaces. One that is not known, from a newer control plane, gives nothing.
    pub fn read(text: &str) -> Self {
        text.split_ascii_whitespace()
            .filter_map(Scope::parse)
            .collect()
    }

    /// Whether it is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of `other` is in the set.
    pub fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it, in the order in which it is shown.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            let space = if n == 0 { "" } else { " " };
            write!(f, "{space}{}", scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!(Scopes::read(&all.to_string()), all);
        assert_eq!(all.iter().count(), Scope::ALL.len());
    }

    #[test]
    fn a_word_that_is_not_known_gives_nothing() {
        let read = Scopes::read(" exec  everything files:read Exec *");
        assert_eq!(read.to_string(), "exec files:read");
        assert!(Scopes::read("").is_empty());
    }

    #[test]
    fn no_word_implies_another() {
        for scope in Scope::ALL {
            let alone: Scopes = [scope].into_iter().collect();
            assert_eq!(alone.iter().collect::<Vec<_>>(), [scope]);
        }
    }
}
