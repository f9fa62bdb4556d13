//! Results on stdout: a table for people, TSV for pipes, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;
use super::table::Table;

/// How results look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Columns, for a terminal.
    Table {
        /// With colours.
        color: bool,
    },
    /// Tab-separated values.
    Tsv {
        /// With the names of the columns.
        header: bool,
    },
    /// JSON.
    Json,
}

/// Prints a listing: `records` as a JSON array, or the table.
pub(super) fn listing<T: Serialize>(
    format: Format,
    records: &[T],
    table: &Table,
) -> Result<(), Failure> {
    match format {
        Format::Json => json(&records),
        Format::Table { color } => print(&table.for_terminal(color)),
        Format::Tsv { header } => print(&table.tsv(header)),
    }
}

/// Prints one record: as a JSON object, or as a table of its fields.
pub(super) fn record<T: Serialize>(
    format: Format,
    record: &T,
    fields: &Table,
) -> Result<(), Failure> {
    match format {
        Format::Json => json(record),
        Format::Table { .. } => print(&fields.fields()),
        Format::Tsv { .. } => print(&fields.tsv(false)),
    }
}

/// Prints a value as JSON on lines of its own.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal(format!("cannot make JSON: {error}")))?;
    print(&format!("{}\n", escaped(&text)))
}

/// The same JSON without a character that could steer or confuse a terminal: those that JSON itself
/// allows in strings are escaped, and mean what they meant.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // C1 controls, and what turns the direction of writing (UAX #9).
            '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out
}

/// Prints text. A reader that closed the pipe early (`head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_and_steers_no_terminal() {
        let hostile = "a\u{9b}31m\u{202e}b\u{1b}ä";
        let json = serde_json::to_string(hostile).unwrap();
        let safe = escaped(&json);
        assert!(!safe.contains(['\u{9b}', '\u{202e}', '\u{1b}']) && safe.contains('ä'));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), hostile);
    }
}
