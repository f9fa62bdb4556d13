//! Rows and columns as text. Pure: it does not know where the text goes.
//!
//! Every cell is stripped of control characters here, once more: a tab or a newline in a name must
//! not become a column or a line.

use cmdop_proto::text::shown;
use unicode_width::UnicodeWidthStr as _;

/// A cell longer than this is cut.
const MAX_CELL: usize = 512;

/// Named columns, and rows of as many cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells
            .into_iter()
            .map(|cell| shown(&cell, MAX_CELL))
            .collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Aligned columns under a header; an empty cell is a dash.
    pub(super) fn for_terminal(&self, color: bool) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(dashed(cell).width());
            }
        }
        let header: Vec<&str> = self.columns.clone();
        let mut out = String::new();
        if color {
            out.push_str("\x1b[1m");
        }
        push_line(&mut out, &header, &widths);
        if color {
            out.insert_str(out.len() - 1, "\x1b[0m");
        }
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(|cell| dashed(cell)).collect();
            push_line(&mut out, &cells, &widths);
        }
        out
    }

    /// One line a row, cells parted by tabs.
    pub(super) fn tsv(&self, header: bool) -> String {
        let mut out = String::new();
        if header {
            out.push_str(&self.columns.join("\t").to_lowercase().replace(' ', "_"));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&row.join("\t"));
            out.push('\n');
        }
        out
    }

    /// A table of two columns without its header: the fields of one record.
    pub(super) fn fields(&self) -> String {
        let width = self
            .rows
            .iter()
            .filter_map(|row| row.first())
            .map(|cell| cell.width());
        let widths = [width.max().unwrap_or(0), 0];
        let mut out = String::new();
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(|cell| dashed(cell)).collect();
            push_line(&mut out, &cells, &widths);
        }
        out
    }
}

fn dashed(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

fn push_line(out: &mut String, cells: &[&str], widths: &[usize]) {
    for (index, cell) in cells.iter().enumerate() {
        out.push_str(cell);
        if index + 1 < cells.len() {
            let width = widths.get(index).copied().unwrap_or(0);
            out.extend(std::iter::repeat_n(
                ' ',
                width.saturating_sub(cell.width()) + 2,
            ));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "LAST SEEN"]);
        table.row(["web-1".into(), "3s".into()]);
        table.row(["日本".into(), String::new()]);
        table.row(["a\tb\n\x1b[31m".into(), "1m".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_controls_are_gone() {
        insta::assert_snapshot!(sample().for_terminal(false), @r"
        NAME    LAST SEEN
        web-1   3s
        日本    -
        ab[31m  1m
        ");
    }

    #[test]
    fn a_pipe_gets_tabs_and_no_header_unless_asked() {
        assert_eq!(sample().tsv(false), "web-1\t3s\n日本\t\nab[31m\t1m\n");
        assert!(sample().tsv(true).starts_with("name\tlast_seen\n"));
    }
}
