//! Cuts the stream into text and escape sequences, and remembers the sequence it stands in.
//!
//! `vte` parses what it gets, but neither bounds an unfinished string nor tells where it stands.
//! The lexer does both: it keeps the bytes of the unfinished sequence or character (its *tail*),
//! so that a snapshot is exact at any byte, and gives up on sequences that get too long.
//! Strings (OSC, DCS, …) never reach `vte`, whose buffer for them has no bound.

use crate::normaliser::Normaliser;
use crate::pen;
use crate::scan;

/// How long an OSC string may get: a clipboard of 768 KiB fits; beyond it the string is ignored.
pub(crate) const MAX_OSC: usize = 1 << 20;

/// How long a DCS string may get before it is ignored: queries are short, images are not shown.
const MAX_DCS: usize = 4096;

/// How long a control sequence may get before it is ignored.
const MAX_CSI: usize = 1024;

/// How long the tail may be where bytes are scarce: longer than any other than an OSC's.
const MAX_SHORT: usize = MAX_DCS;

/// The beginning of a string that means nothing: no OSC has a number with an X.
const IGNORED_OSC: &[u8] = b"\x1b]X";

/// How many bytes `ESC` and its intermediates keep in the tail; `vte` ignores further ones.
const MAX_ESCAPE: usize = 5;

const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const ESC: u8 = 0x1b;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Intermediate,
    Csi,
    /// A control sequence that got too long.
    CsiIgnore,
    Osc,
    /// An OSC string that got too long: its end is a bell too.
    OscIgnore,
    Dcs,
    /// SOS, PM, APC, or a DCS that got too long.
    Ignore,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Lexer {
    state: State,
    tail: Vec<u8>,
    vte: vte::Parser,
}

impl std::fmt::Debug for Lexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lexer")
            .field("state", &self.state)
            .field("tail", &self.tail.len())
            .finish_non_exhaustive()
    }
}

impl Lexer {
    /// Whether the next byte starts a character or a sequence.
    pub(crate) fn is_at_ground(&self) -> bool {
        self.state == State::Ground && self.tail.is_empty()
    }

    /// Bytes that put a fresh lexer into the same state without any effect on the screen.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The same, or, instead of a long OSC, bytes that make a fresh lexer ignore it to its end.
    pub(crate) fn short_tail(&self) -> &[u8] {
        if self.state == State::Osc && self.tail.len() > MAX_SHORT {
            IGNORED_OSC
        } else {
            &self.tail
        }
    }

    /// Takes a piece of the stream.
    pub(crate) fn feed(&mut self, bytes: &[u8], normaliser: &mut Normaliser) {
        self.feed_within(bytes, usize::MAX, normaliser);
    }

    /// Takes a piece of the stream, or the part of it after which `work` is done; gives its length.
    pub(crate) fn feed_within(
        &mut self,
        bytes: &[u8],
        work: usize,
        normaliser: &mut Normaliser,
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() && normaliser.work < work {
            let rest = &bytes[at..];
            at += match self.state {
                State::Ground if self.tail.is_empty() => self.ground(rest, normaliser),
                State::Ground => self.character(rest[0], normaliser),
                State::Escape | State::Intermediate | State::Csi | State::CsiIgnore => {
                    self.sequence(rest, normaliser)
                }
                State::Osc | State::OscIgnore | State::Dcs | State::Ignore => {
                    self.string(rest, normaliser)
                }
            };
        }
        at
    }

    /// Text up to the next escape, and the escape.
    fn ground(&mut self, bytes: &[u8], normaliser: &mut Normaliser) -> usize {
        let escape = scan::find(ESC, bytes);
        let text = &bytes[..escape.unwrap_or(bytes.len())];
        let mut left = text.len();
        for chunk in text.utf8_chunks() {
            left -= chunk.valid().len() + chunk.invalid().len();
            normaliser.text(chunk.valid());
            match chunk.invalid() {
                [] | [0x80..=0x9f] => {}
                cut if left == 0 && escape.is_none() && is_prefix(cut) => {
                    self.tail.extend_from_slice(cut);
                }
                _ => normaliser.text("\u{fffd}"),
            }
        }
        let Some(escape) = escape else {
            return bytes.len();
        };
        if bytes.get(escape + 1) == Some(&b'[') {
            let mut pen = normaliser.pen;
            if let Some(length) = pen::read_sgr(&bytes[escape..], &mut pen) {
                normaliser.pen = pen;
                return escape + length;
            }
        }
        self.escape(normaliser);
        escape + 1
    }

    /// One more byte of a character whose first bytes are in the tail.
    fn character(&mut self, byte: u8, normaliser: &mut Normaliser) -> usize {
        self.tail.push(byte);
        match std::str::from_utf8(&self.tail) {
            Ok(character) => normaliser.text(character),
            Err(_) if is_prefix(&self.tail) => return 1,
            Err(_) => {
                self.tail.clear();
                normaliser.text("\u{fffd}");
                return 0;
            }
        }
        self.tail.clear();
        1
    }

    fn escape(&mut self, normaliser: &mut Normaliser) {
        self.state = State::Escape;
        self.tail.clear();
        self.tail.push(ESC);
        self.vte.advance(normaliser, &[ESC]);
    }

    /// Escape and control sequences: found here, parsed by `vte`.
    fn sequence(&mut self, bytes: &[u8], normaliser: &mut Normaliser) -> usize {
        let mut length = 0;
        for &byte in bytes {
            length += 1;
            match (self.state, byte) {
                (_, CAN | SUB) => self.state = State::Ground,
                (_, ESC) => {
                    self.state = State::Escape;
                    self.tail.clear();
                    self.tail.push(ESC);
                }
                // Other controls are obeyed at once and are no part of the sequence.
                (_, 0..=0x1f | 0x7f..) => continue,
                (State::Escape, b'[') => {
                    self.state = State::Csi;
                    self.tail.push(byte);
                }
                (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => {
                    self.vte.advance(normaliser, &bytes[..length - 1]);
                    self.vte = vte::Parser::new();
                    self.start_string(byte);
                    return length;
                }
                (State::Escape | State::Intermediate, 0x20..=0x2f) => {
                    self.state = State::Intermediate;
                    if self.tail.len() < MAX_ESCAPE {
                        self.tail.push(byte);
                    }
                }
                (State::Csi, 0x20..=0x3f) => {
                    self.tail.push(byte);
                    if self.tail.len() > MAX_CSI {
                        self.vte.advance(normaliser, &bytes[..length]);
                        self.ignore_csi(normaliser);
                        return length;
                    }
                }
                (State::CsiIgnore, 0x20..=0x3f) => {}
                _ => self.state = State::Ground,
            }
            if self.state == State::Ground {
                self.tail.clear();
                break;
            }
        }
        self.vte.advance(normaliser, &bytes[..length]);
        length
    }

    /// Nothing of an overlong sequence has any effect; only its end matters.
    fn ignore_csi(&mut self, normaliser: &mut Normaliser) {
        // A second private marker is what sends `vte` to its own ignoring state.
        const IGNORED: &[u8] = b"\x1b[<<";
        self.state = State::CsiIgnore;
        self.vte = vte::Parser::new();
        self.vte.advance(normaliser, IGNORED);
        self.tail.clear();
        self.tail.extend_from_slice(IGNORED);
    }

    fn start_string(&mut self, kind: u8) {
        self.tail.push(kind);
        self.state = match kind {
            b']' => State::Osc,
            b'P' => State::Dcs,
            _ => State::Ignore,
        };
    }

    fn string(&mut self, bytes: &[u8], normaliser: &mut Normaliser) -> usize {
        let osc = matches!(self.state, State::Osc | State::OscIgnore);
        let end = bytes
            .iter()
            .position(|&byte| matches!(byte, CAN | SUB | ESC) || (osc && byte == BEL));
        self.keep(&bytes[..end.unwrap_or(bytes.len())]);
        let Some(end) = end else { return bytes.len() };
        let terminator = bytes[end];
        if !matches!(terminator, CAN | SUB) {
            match self.state {
                State::Osc => normaliser.osc(&self.tail[2..]),
                State::Dcs => normaliser.dcs(&self.tail[2..]),
                _ => {}
            }
        }
        self.tail = Vec::new();
        self.state = State::Ground;
        if terminator == ESC {
            self.escape(normaliser);
        }
        end + 1
    }

    /// Adds to the string in the tail, or gives the string up.
    fn keep(&mut self, bytes: &[u8]) {
        let max = match self.state {
            State::Osc => MAX_OSC,
            State::Dcs => MAX_DCS,
            _ => return,
        };
        if self.tail.len() + bytes.len() > max {
            // What a fresh lexer needs to ignore the rest.
            let (state, tail) = match self.state {
                State::Osc => (State::OscIgnore, IGNORED_OSC.to_vec()),
                _ => (State::Ignore, b"\x1bX".to_vec()),
            };
            (self.state, self.tail) = (state, tail);
        } else {
            self.tail.extend(bytes.iter().filter(|&&byte| byte >= 0x20));
        }
    }
}

/// Whether `bytes` are the beginning of a character.
fn is_prefix(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
