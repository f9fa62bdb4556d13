//! Keeps a program's questions from a terminal that is not the one to answer them.
//!
//! In a raw attach the user's terminal gets the program's bytes as they are. It would answer
//! queries too, and its answer would reach the program as typed text. This filter takes queries
//! out and leaves every other byte as it is. It does not make a hostile stream harmless.

use std::borrow::Cow;

/// How much of a sequence is held back until it is known whether it is a query; queries are
/// short, so what is longer is let through.
const MAX_HELD: usize = 512;

const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const ESC: u8 = 0x1b;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Everything passes.
    #[default]
    Ground,
    /// `ESC` is held.
    Escape,
    /// The first byte of a character of two bytes is held: it may be an 8-bit introducer.
    C1,
    /// A control sequence is held.
    Csi,
    /// An OSC is held.
    Osc,
    /// The parameters of a DCS are held.
    Dcs,
    /// A query in a DCS: what comes until its end is dropped.
    Query,
    /// As `Query`, after an `ESC` that may end it.
    QueryEscape,
}

/// Takes terminal queries out of a stream of terminal output.
///
/// It knows device attributes and status, cursor and mode reports, window reports, colour and
/// clipboard queries (OSC 4, 5, 10 to 19, 52), DECRQSS, XTGETTCAP, XTVERSION and the keyboard
/// protocols' queries, in their 7-bit and UTF-8 encoded 8-bit forms. A sequence that both sets
/// and asks is taken out as a whole.
///
/// At most 512 bytes are held back, and only inside an escape sequence; they come out, or are
/// dropped, as soon as the sequence ends.
#[derive(Clone, Debug, Default)]
pub struct QueryFilter {
    state: State,
    held: Vec<u8>,
    /// Where the sequence's parameters start in `held`.
    body: usize,
}

impl QueryFilter {
    /// A filter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// What of the stream may be written to the terminal, now that `bytes` came.
    pub fn filter<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.state == State::Ground && next_start(bytes).is_none() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() + self.held.len());
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Ground {
                let start = next_start(&bytes[at..]).map_or(bytes.len(), |start| at + start);
                out.extend_from_slice(&bytes[at..start]);
                at = start;
                if let Some(&byte) = bytes.get(at) {
                    self.hold(
                        if byte == ESC {
                            State::Escape
                        } else {
                            State::C1
                        },
                        byte,
                    );
                    at += 1;
                }
            } else {
                self.advance(bytes[at], &mut out);
                at += 1;
            }
        }
        Cow::Owned(out)
    }

    /// Whether nothing is held back: something of one's own may be written here.
    pub fn is_ground(&self) -> bool {
        self.state == State::Ground
    }

    /// What is still held back, when the stream ends.
    pub fn finish(&mut self) -> Vec<u8> {
        self.state = State::Ground;
        std::mem::take(&mut self.held)
    }

    fn hold(&mut self, state: State, byte: u8) {
        self.state = state;
        self.held.push(byte);
        self.body = self.held.len();
    }

    /// The held bytes were no query.
    fn pass(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.state = State::Ground;
    }

    /// They were. Controls among them would have been obeyed, and still are.
    fn drop_query(&mut self, out: &mut Vec<u8>) {
        out.extend(
            self.held
                .drain(..)
                .filter(|&byte| byte < 0x20 && !matches!(byte, ESC | BEL)),
        );
        self.state = State::Ground;
    }

    fn advance(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Ground => out.push(byte),
            State::Query => match byte {
                CAN | SUB => self.state = State::Ground,
                ESC => self.state = State::QueryEscape,
                _ => {}
            },
            State::QueryEscape => {
                self.hold(State::Escape, ESC);
                if byte == b'\\' {
                    self.drop_query(out);
                } else {
                    self.advance(byte, out);
                }
            }
            State::Osc if byte == ESC => self.end_osc(true, out),
            _ if byte == ESC => {
                self.pass(out);
                self.hold(State::Escape, ESC);
            }
            _ if matches!(byte, CAN | SUB) => {
                self.held.push(byte);
                self.pass(out);
            }
            State::Escape => self.introduce(byte, out),
            State::C1 => match byte {
                0x90 => self.introduce(b'P', out),
                0x9b => self.introduce(b'[', out),
                0x9d => self.introduce(b']', out),
                _ => {
                    self.pass(out);
                    out.push(byte);
                }
            },
            State::Csi => self.csi(byte, out),
            State::Osc => self.osc(byte, out),
            State::Dcs => self.dcs(byte, out),
        }
        if self.held.len() >= MAX_HELD {
            self.pass(out);
        }
    }

    /// The byte after `ESC`, or what an 8-bit introducer stands for.
    fn introduce(&mut self, byte: u8, out: &mut Vec<u8>) {
        let state = match byte {
            b'[' => State::Csi,
            b']' => State::Osc,
            b'P' => State::Dcs,
            _ => State::Ground,
        };
        // In its 8-bit form the introducer's second byte is the C1 control itself.
        let raw = if self.state == State::C1 {
            byte + 0x40
        } else {
            byte
        };
        match (state, byte) {
            // DECID, the oldest of queries.
            (State::Ground, b'Z') => self.drop_query(out),
            (State::Ground, _) => {
                self.held.push(raw);
                self.pass(out);
            }
            _ => self.hold(state, raw),
        }
    }

    fn csi(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        if !matches!(byte, 0x40..=0x7e) {
            return;
        }
        let body = &self.held[self.body..self.held.len() - 1];
        let body: Vec<u8> = body
            .iter()
            .copied()
            .filter(|byte| (0x20..0x7f).contains(byte))
            .collect();
        if is_csi_query(&body, byte) {
            // The final byte is no control: nothing of it is left.
            self.drop_query(out);
        } else {
            self.pass(out);
        }
    }

    fn osc(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == BEL {
            self.end_osc(false, out);
            return;
        }
        self.held.push(byte);
        let body = &self.held[self.body..];
        if let Some(end) = body.iter().position(|&byte| byte == b';') {
            if !is_query_osc(&body[..end]) {
                self.pass(out);
            }
        } else if !body.iter().all(u8::is_ascii_digit) {
            self.pass(out);
        }
    }

    /// An OSC ended, in a bell or in what is probably a string terminator.
    fn end_osc(&mut self, escape: bool, out: &mut Vec<u8>) {
        let mut parts = self.held[self.body..].split(|&byte| byte == b';');
        let number = parts.next().unwrap_or_default();
        let query = is_query_osc(number) && parts.any(|part| part == b"?");
        match (query, escape) {
            (true, true) => {
                self.held.clear();
                self.state = State::QueryEscape;
            }
            (true, false) => self.drop_query(out),
            (false, true) => {
                self.pass(out);
                self.hold(State::Escape, ESC);
            }
            (false, false) => {
                self.held.push(BEL);
                self.pass(out);
            }
        }
    }

    fn dcs(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        if !matches!(byte, 0x40..=0x7e) {
            return;
        }
        let body = &self.held[self.body..];
        let last = body.len().checked_sub(2).map(|place| body[place]);
        if byte == b'q' && matches!(last, Some(b'$' | b'+')) {
            self.held.clear();
            self.state = State::Query;
        } else {
            self.pass(out);
        }
    }
}

/// Where the next `ESC` is, or the first byte of what may be an 8-bit introducer in UTF-8.
fn next_start(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 64;
    let start = |&byte: &u8| byte == ESC || byte == 0xc2;
    let mut skipped = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, byte| found | start(byte)) {
            break;
        }
        skipped += BLOCK;
    }
    bytes[skipped..]
        .iter()
        .position(start)
        .map(|place| skipped + place)
}

#[allow(clippy::unnested_or_patterns, reason = "one row for each query")]
/// Whether a control sequence asks for a report. `body` is what is before the final byte.
fn is_csi_query(body: &[u8], last: u8) -> bool {
    let mark = body
        .first()
        .copied()
        .filter(|byte| (0x3c..=0x3f).contains(byte));
    let parameters = &body[usize::from(mark.is_some())..];
    let split = parameters
        .iter()
        .position(|byte| (0x20..0x30).contains(byte));
    let (parameters, between) = parameters.split_at(split.unwrap_or(parameters.len()));
    let first = parameters
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    match (mark, between, last) {
        // Device attributes; device status and cursor; terminal parameters; DECRQM.
        (None | Some(b'>' | b'='), b"", b'c')
        | (None | Some(b'?'), b"", b'n')
        | (None, b"", b'x')
        | (None | Some(b'?'), b"$", b'p')
        // XTVERSION; keyboard flags; key modifier and format options; graphics attributes.
        | (Some(b'>'), b"", b'q')
        | (Some(b'?'), b"", b'u' | b'm' | b'g' | b'S')
        // DECRQPSR, DECRQTSR, DECRQUPSS, DECRQDE, DECRQCRA, DECRQLP, XTREPORTSGR, XTCHECKSUM's.
        | (None, b"$", b'w' | b'u')
        | (None, b"&", b'u')
        | (None, b"\"", b'v')
        | (None, b"*", b'y')
        | (None, b"'", b'|')
        | (None, b"#", b'|') => true,
        // Reports of XTWINOPS; the rest moves and resizes windows.
        (None, b"", b't') => {
            matches!(first, b"11" | b"13" | b"14" | b"15" | b"16" | b"18" | b"19" | b"20" | b"21")
        }
        _ => false,
    }
}

/// Whether an OSC of this number can ask for something, with a question mark as a parameter.
fn is_query_osc(number: &[u8]) -> bool {
    matches!(
        number,
        b"4" | b"5" | b"21" | b"22" | b"50" | b"52" | [b'1', b'0'..=b'9']
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut filter = QueryFilter::new();
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            out.extend_from_slice(&filter.filter(piece));
            assert!(filter.held.len() <= MAX_HELD);
        }
        out.extend(filter.finish());
        out
    }

    const QUERIES: &[&str] = &[
        "\x1b[c",
        "\x1b[0c",
        "\x1b[>c",
        "\x1b[>0c",
        "\x1b[=c",
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[?6n",
        "\x1b[?996n",
        "\x1b[?2026$p",
        "\x1b[4$p",
        "\x1b[>q",
        "\x1b[>0q",
        "\x1b[14t",
        "\x1b[18t",
        "\x1b[21t",
        "\x1b[?u",
        "\x1b[?4m",
        "\x1b]10;?\x07",
        "\x1b]11;?\x1b\\",
        "\x1b]4;1;?\x07",
        "\x1b]4;1;?;2;?\x1b\\",
        "\x1b]52;c;?\x07",
        "\x1bP$qm\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1bZ",
        "\u{9b}c",
        "\u{9d}11;?\x07",
        "\u{90}$qm\x1b\\",
    ];

    const OTHERS: &[&str] = &[
        "plain",
        "é你\u{a0}",
        "\x1b[31m",
        "\x1b[?25h",
        "\x1b[?1c",
        "\x1b[>4;2m",
        "\x1b[8;24;80t",
        "\x1b[22;0t",
        "\x1b[!p",
        "\x1b[2 q",
        "\x1b[u",
        "\x1b[>1u",
        "\x1b[S",
        "\x1b]2;what?\x07",
        "\x1b]2;?\x07",
        "\x1b]52;c;aGk=\x07",
        "\x1b]10;#fff\x1b\\",
        "\x1b]8;;http://x?a;b\x1b\\",
        "\x1bPq#0~\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1b_Gf=24;AAAA\x1b\\",
        "\x1b7\x1b8\x1bc",
        "\x1b]11;?\x18",
        "\x1b[6\x18n",
        "\x1b\x1b[K",
        "\u{9b}31m",
        "\r\n",
    ];

    #[test]
    fn every_query_is_taken_out_and_nothing_else_is_touched() {
        for query in QUERIES {
            for size in [1, 2, 3, 100] {
                let text = format!("a{query}b");
                assert_eq!(filtered(text.as_bytes(), size), b"ab", "{query:?}");
            }
        }
        for other in OTHERS {
            for size in [1, 2, 3, 100] {
                let text = format!("a{other}b");
                let out = filtered(text.as_bytes(), size);
                assert_eq!(String::from_utf8_lossy(&out), text);
            }
        }
    }

    #[test]
    fn plain_text_is_not_even_copied() {
        let text = "no escape in here, 你好\r\n".repeat(100);
        assert!(matches!(
            QueryFilter::new().filter(text.as_bytes()),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn a_sequence_without_an_end_is_not_held_for_ever() {
        for start in ["\x1b[", "\x1b]4;1;", "\x1bP", "\x1b]52;c;"] {
            let mut filter = QueryFilter::new();
            let bytes = [start.as_bytes(), &[b'1'; 4096]].concat();
            assert!(filter.filter(&bytes).len() + MAX_HELD >= bytes.len());
        }
    }

    #[test]
    fn a_control_inside_a_query_is_still_obeyed() {
        assert_eq!(filtered(b"\x1b[\n6n", 1), b"\n");
    }

    proptest! {
        #[test]
        fn the_filter_takes_out_queries_wherever_the_stream_is_cut(
            pieces in prop::collection::vec(
                (any::<bool>(), any::<prop::sample::Index>()), 0..30),
            size in 1..40_usize,
        ) {
            let (mut all, mut expected) = (String::new(), String::new());
            for (query, index) in pieces {
                if query {
                    all.push_str(QUERIES[index.index(QUERIES.len())]);
                } else {
                    all.push_str(OTHERS[index.index(OTHERS.len())]);
                    expected.push_str(OTHERS[index.index(OTHERS.len())]);
                }
            }
            let out = filtered(all.as_bytes(), size);
            prop_assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
