//! The language of the filter: words that all must hold.
//!
//! `web` a text in name, labels, fleets or system · `label:env` `label:env=prod` · `fleet:eu` · `state:offline` ·
//! `name:web` · `os:linux` · `is:marked` · `cpu>80` `mem>=90` `disk` `load` `battery` `sessions` `age>2m` ·
//! `!word` or `-word`: it must not hold · `"two words"`: as they stand.

mod word;

use tokio::time::Instant;

use super::host::{Figure, Host};
use crate::app::Presence;

/// Nobody types more words than this; a paste may hold more.
const MAX_WORDS: usize = 32;

/// A filter that was understood; an empty one lets all machines pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    holds: Holds,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Must,
    MustNot,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// Lower case, as everything that texts are compared with.
    Text(String),
    Name(String),
    System(String),
    Fleet(String),
    /// A key alone, or with its value.
    Label(String),
    LabelValue(String),
    State(Presence),
    Marked,
    Compare(Figure, Comparison, f32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A word before `:` that is none of the language's.
    #[error(
        "`{0}:` is unknown; there are label, fleet, state, name, os and is (quote a text that has a colon)"
    )]
    Key(String),
    /// A word before a comparison that is none of the language's.
    #[error("`{0}` is no reading; there are cpu, mem, disk, load, battery, sessions and age")]
    Figure(String),
    /// What a reading is compared with is no number.
    #[error("`{0}` is no number; write `cpu>80`, `load>=1.5`, `age>2m`")]
    Number(String),
    /// A state that no machine can have.
    #[error("`{0}` is no state; there are online, stale and offline")]
    State(String),
    /// Something else after `is:`.
    #[error("`is:{0}` is unknown; there is `is:marked`")]
    Is(String),
    /// A key without a value, a negation of nothing.
    #[error("`{0}` wants something after it")]
    Empty(String),
    /// A quotation mark without its other one.
    #[error("a `\"` is not closed")]
    Quote,
    /// It is no filter any more.
    #[error("a filter has at most 32 words")]
    TooLong,
}

impl Filter {
    /// Understands a filter as it is typed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let words = word::split(text)?;
        if words.len() > MAX_WORDS {
            return Err(Error::TooLong);
        }
        let terms = words.into_iter().map(word::Word::term);
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// Whether all machines pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a machine passes.
    pub fn lets_pass(&self, host: &Host, marked: Marked, now: Instant) -> bool {
        self.terms.iter().all(|term| {
            let is_true = term.test.is_true(host, marked, now);
            is_true == (term.holds == Holds::Must)
        })
    }
}

/// Whether a machine is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl Test {
    fn is_true(&self, host: &Host, marked: Marked, now: Instant) -> bool {
        let has = |all: &[String], one: &str| all.iter().any(|text| text.to_lowercase() == one);
        match self {
            Self::Text(text) => host.words.contains(text),
            Self::Name(text) => host.machine.name.to_lowercase().contains(text),
            Self::System(text) => host.machine.system.to_lowercase().contains(text),
            Self::Fleet(fleet) => has(&host.fleets, fleet),
            Self::LabelValue(label) => has(&host.machine.labels, label),
            Self::Label(key) => host.machine.labels.iter().any(|label| {
                let (found, _) = label.split_once('=').unwrap_or((label, ""));
                found.to_lowercase() == *key
            }),
            Self::State(presence) => host.machine.presence(now) == *presence,
            Self::Marked => marked == Marked::Yes,
            Self::Compare(figure, comparison, wanted) => host
                .figure(*figure, now)
                .is_some_and(|value| comparison.is_true(value, *wanted)),
        }
    }
}

impl Comparison {
    fn is_true(self, value: f32, wanted: f32) -> bool {
        match self {
            Self::Less => value < wanted,
            Self::AtMost => value <= wanted,
            // As it is shown: rounded.
            Self::Equal => (value - wanted).abs() < 0.5,
            Self::AtLeast => value >= wanted,
            Self::More => value > wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::{at, record};

    fn host() -> Host {
        let mut record = record(1, "Web-1");
        record.labels = [("env".into(), "Prod".into()), ("rack".into(), "4".into())].into();
        record.fleets = vec!["eu".into()];
        record.metrics.as_mut().unwrap().cpu_percent = 85.0;
        Host::read(&record, None, at(0), 0).unwrap()
    }

    fn passes(text: &str) -> bool {
        let now = at(0).instant;
        Filter::parse(text)
            .unwrap()
            .lets_pass(&host(), Marked::No, now)
    }

    #[test]
    fn a_machine_passes_when_every_word_holds() {
        for text in [
            "",
            "web",
            "WEB-1",
            "prod",
            "label:env",
            "label:env=prod",
            "fleet:eu",
            "fleet:EU",
            "cpu>80",
            "cpu>=85",
            "cpu=85%",
            "cpu<90 web",
            "state:online",
            "!state:offline",
            "-db",
            "name:web",
            "os:linux",
            "-is:marked",
            "age<2m",
            "!battery<20",
            "\"env=prod\"",
            "!!web",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in [
            "db",
            "!web",
            "-web",
            "label:en",
            "label:env=pro",
            "fleet:e",
            "cpu>85",
            "web db",
            "state:offline",
            "is:marked",
            "age>2m",
            "battery<20",
            "\"web prod\"",
            "mem>100",
        ] {
            assert!(!passes(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said() {
        let said = |text: &str| Filter::parse(text).unwrap_err().to_string();
        assert!(said("lable:env").contains("`lable:` is unknown"));
        assert!(said("gpu>3").contains("`gpu` is no reading"));
        assert!(said("cpu>much").contains("`much` is no number"));
        assert!(said("cpu>nan").contains("`nan` is no number"));
        assert!(said("cpu>").contains("`cpu>` wants something"));
        assert!(said("state:gone").contains("online, stale and offline"));
        assert!(said("is:red").contains("is:marked"));
        assert!(said("web !").contains("`!` wants something"));
        assert!(said("\"web").contains("not closed"));
        assert!(said(&"a ".repeat(33)).contains("32"));
    }
}
