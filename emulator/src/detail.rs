//! A drawing of a screen with less in it: what a snapshot gives up when it must be small.
//!
//! Text comes last to go: a screen that can be read in the wrong colours beats none.

use std::borrow::Cow;

use crate::pen::{Pen, read_sgr};

/// How much of the look of a screen is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of it.
    Full,
    /// The nearest of the palette's 256 colours: half the bytes of true colours.
    Palette,
    /// No colours and no attributes.
    Plain,
}

impl Detail {
    /// `drawing`, which is made of text and sequences of the grid, in this detail.
    pub(crate) fn of(self, drawing: &str) -> Cow<'_, str> {
        if self == Self::Full {
            return Cow::Borrowed(drawing);
        }
        let mut out = String::with_capacity(drawing.len() / 2);
        // What the drawing says, and what was written.
        let (mut pen, mut written) = (Pen::default(), Pen::default());
        let mut rest = drawing;
        while let Some(escape) = rest.find('\x1b') {
            let (text, sequence) = rest.split_at(escape);
            out.push_str(text);
            if let Some(length) = read_sgr(sequence.as_bytes(), &mut pen) {
                let wanted = self.pen(pen);
                wanted.write_change(written, &mut out);
                written = wanted;
                rest = &sequence[length..];
            } else if sequence.starts_with("\x1b]8;") {
                // A link; the drawing has them whole.
                let end = sequence
                    .find("\x1b\\")
                    .map_or(sequence.len(), |end| end + 2);
                rest = &sequence[end..];
            } else {
                // Another sequence: its escape is copied, its rest is text to us.
                out.push('\x1b');
                rest = &sequence[1..];
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    fn pen(self, pen: Pen) -> Pen {
        match self {
            Self::Full => pen,
            Self::Palette => pen.in_palette(),
            Self::Plain => Pen::default(),
        }
    }
}

/// The beginning of a drawing, at most `max` bytes, cut between two characters and outside sequences.
pub(crate) fn beginning(drawing: &str, max: usize) -> &str {
    if drawing.len() <= max {
        return drawing;
    }
    let mut end = max;
    while !drawing.is_char_boundary(end) {
        end -= 1;
    }
    let cut = &drawing[..end];
    match cut.rfind('\x1b') {
        // The grid's sequences are short: only a near one can be cut in two.
        Some(escape) if end - escape < 64 => &cut[..escape],
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_first_and_text_stays() {
        let drawing = "\x1b[H\x1b[J\x1b[1;38;2;255;0;0mred\x1b[3C\x1b[48;2;0;0;9mx\x1b[m.";
        assert_eq!(Detail::Full.of(drawing), drawing);
        assert_eq!(
            Detail::Palette.of(drawing),
            "\x1b[H\x1b[J\x1b[1;38;5;196mred\x1b[3C\x1b[48;5;16mx\x1b[m."
        );
        assert_eq!(Detail::Plain.of(drawing), "\x1b[H\x1b[Jred\x1b[3Cx.");
    }

    #[test]
    fn a_cut_falls_between_characters_and_sequences() {
        for max in 0..12 {
            let cut = beginning("ab你\x1b[12;3Hc", max);
            assert!(cut.len() <= max);
            assert!(!cut.contains('\x1b') || cut.ends_with('H') || cut.ends_with('c'));
        }
    }
}
