//! From what is typed to terms: words, quotes, negation, keys and comparisons.

use super::{Comparison, Error, Figure, Holds, Presence, Term, Test};

/// One word as it was typed.
#[derive(Debug, Default)]
pub(super) struct Word {
    text: String,
    /// It begins with a quotation mark, after its negation: it is a text whatever stands in it.
    quoted_at: Option<usize>,
}

/// Comparisons as they are written; the longer ones come first.
const COMPARISONS: [(&str, Comparison); 5] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::More),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

/// The words, divided by spaces outside of quotation marks.
pub(super) fn split(text: &str) -> Result<Vec<Word>, Error> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                let word = word.get_or_insert_default();
                word.quoted_at.get_or_insert(word.text.len());
            }
            c if c.is_whitespace() && !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().text.push(c),
        }
    }
    words.extend(word);
    if is_quoted {
        Err(Error::Quote)
    } else {
        Ok(words)
    }
}

impl Word {
    /// What it asks for.
    pub(super) fn term(self) -> Result<Term, Error> {
        let mut holds = Holds::Must;
        let mut rest = self.text.as_str();
        let mut at = 0;
        while self.quoted_at != Some(at)
            && let Some(after) = rest.strip_prefix(['!', '-'])
        {
            holds = match holds {
                Holds::Must => Holds::MustNot,
                Holds::MustNot => Holds::Must,
            };
            (rest, at) = (after, at + 1);
        }
        if rest.is_empty() {
            return Err(Error::Empty(self.text));
        }
        let test = if self.quoted_at == Some(at) {
            Test::Text(rest.to_lowercase())
        } else {
            test(rest)?
        };
        Ok(Term { holds, test })
    }
}

fn test(word: &str) -> Result<Test, Error> {
    // What comes first decides: `label:a>b` is a label, and `cpu>80` a comparison.
    let colon = word.find(':');
    let comparison = word.find(['<', '>', '=']);
    match (colon, comparison) {
        (Some(colon), None) => keyed(&word[..colon], &word[colon + 1..]),
        (Some(colon), Some(other)) if colon < other => keyed(&word[..colon], &word[colon + 1..]),
        (_, Some(at)) => compared(word, at),
        (None, None) => Ok(Test::Text(word.to_lowercase())),
    }
}

fn keyed(key: &str, value: &str) -> Result<Test, Error> {
    let wanted = value.to_lowercase();
    let key = key.to_lowercase();
    if wanted.is_empty() {
        return Err(Error::Empty(format!("{key}:")));
    }
    Ok(match key.as_str() {
        "label" if wanted.contains('=') => Test::LabelValue(wanted),
        "label" => Test::Label(wanted),
        "fleet" => Test::Fleet(wanted),
        "name" => Test::Name(wanted),
        "os" | "system" => Test::System(wanted),
        "is" if wanted == "marked" => Test::Marked,
        "is" => return Err(Error::Is(wanted)),
        "state" => Test::State(match wanted.as_str() {
            "online" => Presence::Online,
            "stale" => Presence::Stale,
            "offline" => Presence::Offline,
            _ => return Err(Error::State(wanted)),
        }),
        _ => return Err(Error::Key(key)),
    })
}

fn compared(word: &str, at: usize) -> Result<Test, Error> {
    let (name, rest) = word.split_at(at);
    let figure = match name.to_lowercase().as_str() {
        "cpu" => Figure::Cpu,
        "mem" | "memory" => Figure::Memory,
        "disk" => Figure::Disk,
        "load" => Figure::Load,
        "bat" | "battery" => Figure::Battery,
        "sess" | "sessions" => Figure::Sessions,
        "age" | "seen" => Figure::Age,
        _ => return Err(Error::Figure(name.to_owned())),
    };
    let found = COMPARISONS
        .iter()
        .find_map(|(sign, comparison)| Some((rest.strip_prefix(sign)?, *comparison)));
    let Some((number, comparison)) = found else {
        return Err(Error::Figure(name.to_owned()));
    };
    if number.is_empty() {
        return Err(Error::Empty(word.to_owned()));
    }
    Ok(Test::Compare(figure, comparison, value(number, figure)?))
}

/// A number; a share may have its `%`, an age its unit.
fn value(text: &str, figure: Figure) -> Result<f32, Error> {
    let units: &[(char, f32)] = match figure {
        Figure::Age => &[('s', 1.0), ('m', 60.0), ('h', 3_600.0), ('d', 86_400.0)],
        Figure::Load | Figure::Sessions => &[],
        _ => &[('%', 1.0)],
    };
    let unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    let number = digits
        .parse::<f32>()
        .ok()
        .filter(|number| number.is_finite());
    number
        .map(|number| number * factor)
        .ok_or_else(|| Error::Number(text.to_owned()))
}
