//! What is kept of the output of one machine: its beginning and its end, and how much lay between.

use std::collections::VecDeque;

use bytes::Bytes;
use cmdop_proto::text;

/// The most of one machine: a listing of a large directory, not a disk image.
pub const MAX_OUTPUT: usize = 256 << 10;

/// The longest line that is shown; no screen is wider.
const MAX_LINE: usize = 4 << 10;

/// Half of the room is for the beginning, half for the end: errors stand at either.
fn half(max: usize) -> usize {
    max / 2
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Captured {
    head: Vec<u8>,
    tail: Vec<u8>,
    cut: u64,
}

impl Captured {
    /// With more of the beginning; what has no room is counted.
    pub(super) fn with(mut self, data: &[u8], max: usize) -> Self {
        let room = half(max).saturating_sub(self.head.len());
        let kept = if self.cut == 0 {
            data.len().min(room)
        } else {
            0
        };
        self.head.extend_from_slice(&data[..kept]);
        self.cut += (data.len() - kept) as u64;
        self
    }

    /// With its end.
    pub(super) fn ended(mut self, tail: &[u8], cut: u64, max: usize) -> Self {
        let from = tail.len().saturating_sub(half(max));
        self.cut = self.cut.saturating_add(cut).saturating_add(from as u64);
        if self.cut == 0 {
            self.head.extend_from_slice(tail);
        } else {
            self.tail = tail[from..].to_vec();
        }
        self
    }

    /// Whether the program wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty() && self.cut == 0
    }

    /// How many bytes in the middle are not kept.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Its lines, fit to be shown; the one about what is missing is among them.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let missing = (self.cut > 0).then(|| format!("… {} bytes are not kept …", self.cut));
        let of = |bytes| split(bytes).map(plain);
        of(&self.head).chain(missing).chain(of(&self.tail))
    }

    /// How many that are.
    pub fn line_count(&self) -> usize {
        split(&self.head).count() + usize::from(self.cut > 0) + split(&self.tail).count()
    }
}

/// Lines without their ends; a last one that has no end is one too.
fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// Text without escape sequences and controls; tabs are spaces.
fn plain(line: &[u8]) -> String {
    let line = &line[..line.len().min(MAX_LINE)];
    let line = String::from_utf8_lossy(line);
    let mut kept = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => kept.push_str("    "),
            c => kept.push(c),
        }
    }
    text::shown(&kept, MAX_LINE)
}

/// What follows ESC: a control sequence to its final byte, a string to its end, else one character.
fn skip_sequence(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| matches!(c, '\u{40}'..='\u{7e}'));
        }
        Some(']' | 'P' | '_' | '^' | 'X') => {
            let end = chars.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
            if end == Some('\u{1b}') {
                chars.next();
            }
        }
        _ => {}
    }
}

/// The last bytes of a stream, and how many there were before them: what the task of a machine keeps.
#[derive(Debug)]
pub(in crate::dashboard) struct Tail {
    head_left: usize,
    tail: VecDeque<u8>,
    room: usize,
    cut: u64,
}

impl Tail {
    pub(in crate::dashboard) fn new(max: usize) -> Self {
        Self {
            head_left: half(max),
            tail: VecDeque::new(),
            room: half(max),
            cut: 0,
        }
    }

    /// What of `data` belongs to the beginning and is to be told now; the rest is kept for the end.
    pub(in crate::dashboard) fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        let head = data.split_to(data.len().min(self.head_left));
        self.head_left -= head.len();
        let skipped = data.len().saturating_sub(self.room);
        let kept = &data[skipped..];
        let over = (self.tail.len() + kept.len()).saturating_sub(self.room);
        self.tail.drain(..over);
        self.tail.extend(kept);
        self.cut += (skipped + over) as u64;
        (!head.is_empty()).then_some(head)
    }

    /// The end, and how many bytes lie before it that are not kept.
    pub(in crate::dashboard) fn finish(self) -> (Bytes, u64) {
        (Vec::from(self.tail).into(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept_and_what_lies_between_is_counted() {
        let all: Vec<u8> = (0..100_000u32)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        for (max, piece) in [(1 << 10, 7), (1 << 10, 4096), (MAX_OUTPUT, 65_536), (2, 3)] {
            let mut tail = Tail::new(max);
            let mut kept = Captured::default();
            for data in all.chunks(piece) {
                if let Some(head) = tail.take(Bytes::copy_from_slice(data)) {
                    kept = kept.with(&head, max);
                }
            }
            let (end, cut) = tail.finish();
            let kept = kept.ended(&end, cut, max);
            assert_eq!(kept.head, &all[..max / 2]);
            assert_eq!(kept.tail, &all[all.len() - max / 2..]);
            assert_eq!(kept.cut() as usize, all.len() - max / 2 * 2);
        }
    }

    #[test]
    fn what_has_room_is_kept_whole() {
        let mut tail = Tail::new(10);
        let head = tail.take(Bytes::from_static(b"12345678")).unwrap();
        let (end, cut) = tail.finish();
        let kept = Captured::default().with(&head, 10).ended(&end, cut, 10);
        assert_eq!(
            (kept.cut(), kept.lines().collect::<Vec<_>>()),
            (0, vec!["12345678".into()])
        );
    }

    #[test]
    fn who_does_not_keep_to_the_bound_is_cut_all_the_same() {
        let kept = Captured::default()
            .with(&[b'x'; 100], 10)
            .ended(&[b'y'; 100], 0, 10);
        assert_eq!((kept.head.len(), kept.tail.len(), kept.cut()), (5, 5, 190));
    }

    #[test]
    fn lines_are_text_without_anything_that_steers_a_terminal() {
        let output =
            b"\x1b[1;31mred\x1b[0m\r\na\tb\n\x1b]0;title\x07x\x1b]8;;u\x1b\\y\n\xff\n\nend";
        let kept = Captured::default().with(output, 1000);
        let lines: Vec<_> = kept.lines().collect();
        assert_eq!(lines, ["red", "a    b", "xy", "\u{fffd}", "", "end"]);
        assert_eq!(kept.line_count(), lines.len());
    }
}
