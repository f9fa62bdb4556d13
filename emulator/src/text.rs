//! The screen and its history as text, for captures, searches and copies.

use crate::emulator::Emulator;
use crate::line::Line;

impl Emulator {
    /// The newest `scrollback_lines` lines of history and the screen as plain text: wrapped rows
    /// joined, blanks at the ends of lines and empty lines at the end left out.
    pub fn text(&self, scrollback_lines: usize) -> String {
        let mut text = String::new();
        for line in self.logical_lines(scrollback_lines) {
            let start = text.len();
            push_plain(&mut text, &line);
            text.truncate(start.max(text.trim_end_matches(' ').len()));
            text.push('\n');
        }
        text.truncate(text.trim_end_matches('\n').len());
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// As [`Emulator::text`], with SGR sequences for colours and attributes. Every line starts
    /// and ends with default attributes.
    pub fn ansi(&self, scrollback_lines: usize) -> String {
        let mut text = String::new();
        for line in self.logical_lines(scrollback_lines) {
            text.push_str(&line);
            if line.contains('\x1b') {
                text.push_str("\x1b[m");
            }
            text.push('\n');
        }
        text.truncate(text.trim_end_matches('\n').len());
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    fn logical_lines(&self, scrollback_lines: usize) -> Vec<String> {
        let grid = &self.normaliser.grid;
        let (screen, ring) = (grid.screen(), grid.ring());
        let mut lines: Vec<String> = ring.newest(scrollback_lines).map(str::to_owned).collect();
        let main = !self.normaliser.modes.alternate_screen;
        let head = if main && ring.is_open() {
            lines.pop()
        } else {
            None
        };
        let mut line = head.as_deref().map_or_else(Line::default, Line::resume);
        for row in 0..self.normaliser.grid.rows() {
            line.row(screen, grid.looks(), row);
            if !screen.row_wrapped(row) {
                lines.push(std::mem::take(&mut line).into_text().into());
            }
        }
        lines
    }
}

/// Appends `line` without its SGR sequences.
fn push_plain(text: &mut String, line: &str) {
    let mut parts = line.split('\x1b');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
}
