//! Results on stdout: a table for people, TSV for pipes, JSON for programs.

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
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal(format!("cannot make JSON: {error}")))?;
    text.push('\n');
    print(&text)
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
