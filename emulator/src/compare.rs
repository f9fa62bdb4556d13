//! Whether two emulators are in the same state, and if not, where they first differ.

use std::fmt::Debug;

use crate::emulator::Emulator;

impl Emulator {
    /// The first difference between the states of two emulators, for tests and diagnostics:
    /// `None` means that the same bytes fed to both from here on give the same results.
    ///
    /// Of the scrollback, the newest `scrollback_lines` lines are compared. Options, waiting
    /// events and replies are not.
    pub fn difference(&self, other: &Self, scrollback_lines: usize) -> Option<String> {
        let (ours, theirs) = (&self.normaliser, &other.normaliser);
        differ("size", self.size(), other.size())
            .or_else(|| self.differing_cell(other))
            .or_else(|| differ("cursor", ours.grid.cursor(), theirs.grid.cursor()))
            .or_else(|| differ("modes", ours.modes, theirs.modes))
            .or_else(|| differ("attributes", ours.pen, theirs.pen))
            .or_else(|| differ("link", &ours.link, &theirs.link))
            .or_else(|| differ("region", ours.region, theirs.region))
            .or_else(|| differ("charset", ours.charset, theirs.charset))
            .or_else(|| differ("tabs", &ours.tabs, &theirs.tabs))
            .or_else(|| differ("saved cursors", ours.saved, theirs.saved))
            .or_else(|| differ("keyboard flags", &ours.kitty, &theirs.kitty))
            .or_else(|| differ("last character", ours.printed, theirs.printed))
            .or_else(|| differ("title", &ours.title, &theirs.title))
            .or_else(|| differ("tail", self.lexer.tail(), other.lexer.tail()))
            .or_else(|| self.differing_line(other, scrollback_lines))
    }

    fn differing_cell(&self, other: &Self) -> Option<String> {
        let (rows, cols) = self.size();
        let both = self.modes().alternate_screen && other.modes().alternate_screen;
        let hidden = both.then(|| {
            (
                self.normaliser.grid.main_screen(),
                other.normaliser.grid.main_screen(),
            )
        });
        let shown = (
            self.normaliser.grid.screen(),
            other.normaliser.grid.screen(),
        );
        let hidden = hidden.as_ref().map(|(ours, theirs)| (ours, theirs));
        for (name, (ours, theirs)) in [("shown", Some(shown)), ("hidden", hidden)]
            .into_iter()
            .filter_map(|(n, s)| Some((n, s?)))
        {
            for row in 0..rows {
                for col in 0..cols {
                    let what = format!("{name} cell {row},{col}");
                    let difference = differ(
                        &what,
                        self.look_of(ours, row, col),
                        other.look_of(theirs, row, col),
                    );
                    if difference.is_some() {
                        return difference;
                    }
                }
                let what = format!("wrap of {name} row {row}");
                let difference = differ(&what, ours.row_wrapped(row), theirs.row_wrapped(row));
                if difference.is_some() {
                    return difference;
                }
            }
        }
        None
    }

    /// All there is to see of a cell: tags may differ where looks do not.
    fn look_of<'a>(
        &'a self,
        screen: &'a vt100::Screen,
        row: u16,
        col: u16,
    ) -> impl PartialEq + Debug {
        let cell = screen.cell(row, col)?;
        let (text, pen, link) = self.normaliser.grid.looks().of(cell);
        Some((
            text.to_owned(),
            pen,
            link.cloned(),
            cell.is_wide(),
            cell.is_wide_continuation(),
        ))
    }

    fn differing_line(&self, other: &Self, lines: usize) -> Option<String> {
        let (ours, theirs) = (self.normaliser.grid.ring(), other.normaliser.grid.ring());
        let count = |length: usize| length.min(lines);
        differ("scrollback lines", count(ours.len()), count(theirs.len()))
            .or_else(|| {
                let pairs = ours.newest(lines).zip(theirs.newest(lines)).enumerate();
                pairs.into_iter().find_map(|(index, (ours, theirs))| {
                    differ(&format!("scrollback line {index}"), ours, theirs)
                })
            })
            .or_else(|| {
                let open = lines > 0 && ours.is_open();
                differ("open line", open, lines > 0 && theirs.is_open())
            })
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "callers have values and references alike"
)]
fn differ<T: PartialEq + Debug>(what: &str, ours: T, theirs: T) -> Option<String> {
    (ours != theirs).then(|| format!("{what}: {ours:?} and {theirs:?}"))
}
