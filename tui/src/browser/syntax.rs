//! Text as pieces of its language, for looking at: by the grammars that `bat` uses.
//!
//! A grammar is a program that strangers wrote over text that strangers wrote: what takes too long, or is too wide, is
//! left plain. Controls are stripped, tabs are spaces.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};
use tokio::time::Instant;

use super::path;
use super::preview::{Piece, Token};

/// Lines that are taken apart and shown.
const MAX_LINES: usize = 2_000;

/// A line that is longer is left plain: it is data, or hostile.
const MAX_PARSED: usize = 1_000;

/// What is shown of a line; no screen is wider.
const MAX_WIDTH: usize = 500;

/// How long a text may take; the rest of it is plain.
const MAX_TIME: Duration = Duration::from_millis(700);

/// Columns of a tab.
const TAB: usize = 4;

static GRAMMARS: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// The beginnings of scopes and what they are; the innermost that is known counts, and of these the first.
static MEANINGS: LazyLock<Vec<(Scope, Token)>> = LazyLock::new(|| {
    let meanings = [
        ("comment", Token::Comment),
        ("punctuation.definition.comment", Token::Comment),
        ("string", Token::String),
        ("constant", Token::Constant),
        ("storage", Token::Keyword),
        ("keyword.operator", Token::Plain),
        ("keyword", Token::Keyword),
        ("variable.language", Token::Keyword),
        ("entity.name", Token::Name),
        ("entity.other.attribute-name", Token::Name),
        ("support", Token::Name),
        ("markup.heading", Token::Name),
        ("markup.raw", Token::String),
        ("markup.inserted", Token::String),
        ("markup.deleted", Token::Constant),
        ("meta.mapping.key", Token::Name),
    ];
    let read = |(scope, token): (&str, Token)| Some((Scope::new(scope).ok()?, token));
    meanings.into_iter().filter_map(read).collect()
});

/// The lines of a text, by the language that its name or its first line tells.
pub(super) fn lines(name: &[u8], text: &str) -> Vec<Vec<Piece>> {
    let until = Instant::now() + MAX_TIME;
    let mut parser =
        grammar(name, text).map(|grammar| (ParseState::new(grammar), ScopeStack::new()));
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n').take(MAX_LINES) {
        if line.len() > MAX_PARSED || Instant::now() > until {
            // What a line leaves behind for the next one is not known any more.
            parser = None;
        }
        let pieces = parser.as_mut().and_then(|parser| taken_apart(line, parser));
        if pieces.is_none() {
            parser = None;
        }
        lines.push(pieces.unwrap_or_else(|| plain(line)));
    }
    lines
}

fn grammar<'a>(name: &[u8], text: &str) -> Option<&'a SyntaxReference> {
    let (_, name) = path::split(name)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let ending = Path::new(&name)
        .extension()
        .and_then(|ending| ending.to_str());
    let first = text.lines().next().unwrap_or_default();
    let first = &first[..first.floor_char_boundary(200)];
    let found = GRAMMARS.find_syntax_by_extension(&name);
    let found = found.or_else(|| GRAMMARS.find_syntax_by_extension(ending?));
    let found = found.or_else(|| GRAMMARS.find_syntax_by_first_line(first));
    found.filter(|grammar| grammar.name != "Plain Text")
}

fn plain(line: &str) -> Vec<Piece> {
    let mut column = 0;
    vec![(Token::Plain, shown(line, &mut column))]
}

/// `None`: the grammar gave up.
fn taken_apart(line: &str, (state, stack): &mut (ParseState, ScopeStack)) -> Option<Vec<Piece>> {
    let operations = state.parse_line(line, &GRAMMARS).ok()?;
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut from, mut column) = (0, 0);
    let end = (line.len(), None);
    let operations = operations
        .iter()
        .map(|(at, operation)| (*at, Some(operation)));
    for (at, operation) in operations.chain([end]) {
        let text = line.get(from..at).unwrap_or_default();
        let text = shown(text, &mut column);
        let token = meaning(stack);
        match pieces.last_mut() {
            _ if text.is_empty() => {}
            Some((last, before)) if *last == token => before.push_str(&text),
            _ => pieces.push((token, text)),
        }
        from = at.max(from);
        if let Some(operation) = operation {
            stack.apply(operation).ok()?;
        }
    }
    Some(pieces)
}

fn meaning(stack: &ScopeStack) -> Token {
    let known = stack.as_slice().iter().rev().find_map(|scope| {
        let mut meanings = MEANINGS.iter();
        meanings
            .find(|(of, _)| of.is_prefix_of(*scope))
            .map(|(_, token)| *token)
    });
    known.unwrap_or(Token::Plain)
}

/// Text as it can be shown, from a column on.
fn shown(text: &str, column: &mut usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if *column >= MAX_WIDTH {
            break;
        }
        match c {
            '\t' => {
                let width = TAB - *column % TAB;
                shown.extend(std::iter::repeat_n(' ', width));
                *column += width;
            }
            c if cmdop_proto::text::is_hidden(c) => {}
            c => {
                shown.push(c);
                *column += 1;
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(name: &str, text: &str) -> Vec<(Token, String)> {
        let lines = lines(name.as_bytes(), text);
        let pieces = lines.into_iter().flatten();
        pieces.filter(|(token, _)| *token != Token::Plain).collect()
    }

    #[test]
    fn a_program_and_a_configuration_are_taken_apart() {
        let rust = tokens("/a/main.rs", "fn main() { /* x */ let s = \"text\"; }\n");
        assert!(rust.contains(&(Token::Keyword, "fn".into())), "{rust:?}");
        assert!(
            rust.contains(&(Token::Comment, "/* x */".into())),
            "{rust:?}"
        );
        assert!(
            rust.contains(&(Token::String, "\"text\"".into())),
            "{rust:?}"
        );
        let toml = tokens("/a/Cargo.toml", "# why\nedition = 2024\n");
        assert!(toml.contains(&(Token::Comment, "# why".into())), "{toml:?}");
        assert!(toml.contains(&(Token::Constant, "2024".into())), "{toml:?}");
        let script = tokens("/a/run", "#!/bin/sh\nif true; then echo 'x'; fi\n");
        assert!(
            script.contains(&(Token::Keyword, "if".into())),
            "{script:?}"
        );
        assert_eq!(tokens("/a/notes.txt", "if let fn\n"), []);
    }

    #[test]
    fn no_text_steers_the_terminal_and_tabs_stand_in_columns() {
        let of = |text| lines(b"/a/x", text).concat();
        assert_eq!(
            of("a\tb\x1b[2J\u{202e}\r\n"),
            [(Token::Plain, "a   b[2J".into())]
        );
        let wide = "x".repeat(100_000);
        assert_eq!(of(&wide)[0].1.len(), MAX_WIDTH);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(text in "\\PC{0,200}", ending in "(rs|py|json|md|c|sh|yaml)") {
            lines(format!("/a/x.{ending}").as_bytes(), &text);
        }
    }
}
