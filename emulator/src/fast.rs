//! The way around the grid for floods of plain lines.
//!
//! When many complete lines arrive at once, most of them are off the screen before anybody can
//! see them. They go straight to the scrollback, in the form the grid would have given them;
//! only the last screenful is drawn. The result is the same as without this file: a property
//! test holds it to that.
//!
//! A line is taken if it consists of text, tabs and SGR sequences and ends in `\r\n`. Combining
//! marks, other sequences, and wide text or tabs that would wrap take the long way.

use unicode_width::UnicodeWidthChar as _;

use crate::line::Line;
use crate::normaliser::Normaliser;
use crate::pen::{Pen, read_sgr};
use crate::scan;

/// Shorter pieces of the stream are not looked at.
pub(crate) const WORTH_TRYING: usize = 2048;

/// How far to go the long way before looking again.
const RETRY: usize = 1024;

/// Longer lines take the long way, which knows where to cut them.
const MAX_LINE: usize = 4096;

/// How many lines are looked at in one go; bounds the memory of the list.
const MAX_LINES: usize = 16 << 10;

/// What became of an attempt.
pub(crate) enum Skip {
    /// Nothing; it may be worth trying again after `retry` bytes.
    Not { retry: usize },
    /// The first `lines` bytes are in the scrollback; what follows is to be fed as usual, and
    /// there is nothing to skip before `retry`.
    Skipped { lines: usize, retry: usize },
}

/// A line of the input.
struct Span {
    start: usize,
    /// The end of its text, before `\r\n`.
    end: usize,
    /// How many rows it takes.
    rows: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Printable,
    Mixed,
}

/// Skips what it can of `bytes`. The stream must be at ground.
pub(crate) fn skip(normaliser: &mut Normaliser, bytes: &[u8]) -> Skip {
    if let Err(retry) = check(normaliser, bytes) {
        return Skip::Not { retry };
    }
    let cols = usize::from(normaliser.grid.cols());
    let screen = usize::from(normaliser.grid.rows());
    let (spans, end) = spans(bytes, cols);
    let skipped = skippable(&spans, screen - 1);
    if skipped == 0 || skipped < screen / 4 {
        return Skip::Not {
            retry: end.max(RETRY),
        };
    }
    normaliser.scroll_all_off();
    let mut pen = normaliser.pen;
    let lost = skipped.saturating_sub(normaliser.grid.ring().max_lines());
    normaliser.grid.ring_mut().pass(lost);
    for (index, span) in spans[..skipped].iter().enumerate() {
        let text = &bytes[span.start..span.end];
        if index >= lost {
            let line = build(text, span.kind, &mut pen);
            normaliser.grid.ring_mut().push(line);
        } else if span.kind == Kind::Mixed {
            build(text, span.kind, &mut pen);
        }
    }
    normaliser.pen = pen;
    let drawn = &spans[skipped..];
    if drawn.iter().all(|span| span.rows == 1) {
        let lines = drawn
            .iter()
            .map(|span| build(&bytes[span.start..span.end], span.kind, &mut pen));
        normaliser.grid.expect(lines.collect());
    }
    Skip::Skipped {
        lines: spans[skipped].start,
        retry: end,
    }
}

/// Whether the next byte starts a line on an empty last row, with nothing special in force;
/// if not, how far to go before asking again.
fn check(normaliser: &mut Normaliser, bytes: &[u8]) -> Result<(), usize> {
    let modes = &normaliser.modes;
    if !normaliser.is_plain() || modes.alternate_screen || !normaliser.region_is_full() {
        return Err(RETRY);
    }
    let (row, col) = normaliser.cursor();
    if col != 0 {
        return Err(scan::find(b'\n', bytes).map_or(bytes.len(), |place| place + 1));
    }
    let screen = normaliser.grid.screen();
    let (rows, cols) = (normaliser.grid.rows(), normaliser.grid.cols());
    let blank = |col| {
        let cell = screen.cell(row, col);
        cell.is_some_and(|cell| !cell.has_contents() && Pen::of(cell) == Pen::default())
    };
    let fresh = row == rows - 1 && !screen.row_wrapped(row - 1) && (0..cols).all(blank);
    if fresh { Ok(()) } else { Err(RETRY) }
}

/// The lines that `bytes` start with, and where the first that cannot be skipped ends.
fn spans(bytes: &[u8], cols: usize) -> (Vec<Span>, usize) {
    let mut spans = Vec::with_capacity(256);
    let mut start = 0;
    while let Some(length) = scan::find(b'\n', &bytes[start..]) {
        let line = &bytes[start..start + length];
        let next = start + length + 1;
        let Some(text) = line
            .strip_suffix(b"\r")
            .filter(|text| text.len() <= MAX_LINE)
        else {
            return (spans, next);
        };
        let (rows, kind) = if scan::is_printable(text) {
            (text.len().div_ceil(cols).max(1), Kind::Printable)
        } else {
            match rows_of(text, cols) {
                Some(rows) => (rows, Kind::Mixed),
                None => return (spans, next),
            }
        };
        spans.push(Span {
            start,
            end: start + text.len(),
            rows,
            kind,
        });
        start = next;
        if spans.len() == MAX_LINES {
            break;
        }
    }
    (spans, start)
}

/// How many lines may be skipped such that the rest fills `rows` rows.
fn skippable(spans: &[Span], rows: usize) -> usize {
    let mut filled = 0;
    for (index, span) in spans.iter().enumerate().rev() {
        filled += span.rows;
        if filled >= rows {
            return index;
        }
    }
    0
}

/// How many rows a line takes, if it is one that can be skipped.
fn rows_of(text: &[u8], cols: usize) -> Option<usize> {
    let mut col = 0;
    // Where a wide character or a tab wraps depends on more than the sum of widths.
    let mut limit = usize::MAX;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            0x20..=0x7e => {
                col += 1;
                at += 1;
            }
            b'\t' => {
                col = next_stop(col);
                limit = cols - 1;
                at += 1;
            }
            0x1b if text.get(at + 1) == Some(&b'[') => {
                at += read_sgr(&text[at..], &mut Pen::default())?;
            }
            0x80.. => {
                let run = text[at..].iter().position(|&byte| byte < 0x80);
                let end = run.map_or(text.len(), |length| at + length);
                for character in std::str::from_utf8(&text[at..end]).ok()?.chars() {
                    match character.width() {
                        Some(1) if character != '\u{fffd}' => col += 1,
                        Some(2) => {
                            col += 2;
                            limit = limit.min(cols);
                        }
                        _ => return None,
                    }
                }
                at = end;
            }
            _ => return None,
        }
        if col > limit {
            return None;
        }
    }
    Some(col.div_ceil(cols).max(1))
}

fn next_stop(col: usize) -> usize {
    (col / 8 + 1) * 8
}

/// The line as the grid would give it up, with `pen` changed as the line says.
fn build(text: &[u8], kind: Kind, pen: &mut Pen) -> Box<str> {
    // Printable or checked before; the fallback is never taken.
    let text = std::str::from_utf8(text).unwrap_or_default();
    let mut line = Line::with_capacity(text.len() + 8);
    if kind == Kind::Printable {
        if !text.is_empty() {
            line.print(*pen, text);
        }
        return line.into_text();
    }
    let (mut rest, mut col) = (text, 0);
    while !rest.is_empty() {
        let length = rest
            .bytes()
            .position(|byte| byte < 0x20)
            .unwrap_or(rest.len());
        let (run, tail) = rest.split_at(length);
        if !run.is_empty() {
            line.print(*pen, run);
        }
        if let Some(after) = tail.strip_prefix('\t') {
            // Columns matter for tabs only.
            col += columns(run);
            line.skip(next_stop(col) - col);
            col = next_stop(col);
            rest = after;
        } else if tail.is_empty() {
            rest = tail;
        } else {
            col += columns(run);
            let sequence = read_sgr(tail.as_bytes(), pen).unwrap_or(tail.len());
            rest = &tail[sequence..];
        }
    }
    line.into_text()
}

fn columns(run: &str) -> usize {
    if run.is_ascii() {
        run.len()
    } else {
        run.chars()
            .map(|character| character.width().unwrap_or(0))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::lexer::Lexer;

    #[test]
    fn floods_of_lines_do_not_pass_through_the_grid() {
        for line in [
            "plain\r\n",
            "\x1b[1;31mred\x1b[0m text\r\n",
            "a\ttab\r\n",
            "你好\r\n",
        ] {
            let mut normaliser = Normaliser::new(24, 80, Options::default());
            let bytes = line.repeat(1000).into_bytes();
            Lexer::default().feed(&bytes, &mut normaliser);
            let Skip::Skipped { lines, retry } = skip(&mut normaliser, &bytes) else {
                panic!("not skipped: {line:?}");
            };
            assert_eq!((lines, retry), (bytes.len() - 23 * line.len(), bytes.len()));
        }
    }
}
