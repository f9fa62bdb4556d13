//! Character sets: ASCII and the DEC special graphics that old programs draw boxes with.

/// What `` ` `` to `~` stand for in the DEC special graphics set.
const GRAPHICS: [char; 31] = [
    '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
    '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

/// Which sets are designated as G0 and G1, and which of the two is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charset {
    /// Whether G0 and G1 are the DEC special graphics.
    pub(crate) graphics: [bool; 2],
    /// Whether G1 is in use (SO) rather than G0 (SI).
    pub(crate) shifted: bool,
}

impl Charset {
    pub(crate) fn is_ascii(self) -> bool {
        !self.graphics[usize::from(self.shifted)]
    }

    /// What `character` looks like in the set in use.
    pub(crate) fn translate(self, character: char) -> char {
        match character {
            _ if self.is_ascii() => character,
            '_' => ' ',
            '`'..='~' => GRAPHICS[character as usize - '`' as usize],
            _ => character,
        }
    }

    /// Appends what turns the default sets into these.
    pub(crate) fn write(self, out: &mut String) {
        for (graphics, designator) in self.graphics.into_iter().zip(['(', ')']) {
            if graphics {
                out.extend(['\x1b', designator, '0']);
            }
        }
        if self.shifted {
            out.push('\x0e');
        }
    }
}
