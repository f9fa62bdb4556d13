//! What starts over: RIS, DECSTR, and DECALN, the test picture.

use super::{Normaliser, Saved};
use crate::charset::Charset;
use crate::modes::Modes;
use crate::pen::Pen;
use crate::tabs::Tabs;

impl Normaliser {
    /// RIS. Title and scrollback stay, as on terminals people use.
    pub(super) fn full_reset(&mut self) {
        // Both screens are made anew.
        self.begin(2 * self.cells(u16::MAX));
        self.out.push_str("\x1bc");
        self.flush();
        self.grid.ring_mut().close();
        self.grid_pen = Pen::default();
        self.modes = Modes::default();
        self.kitty = [vec![0], vec![0]];
        self.tabs = Tabs::default();
        self.soft_state();
    }

    /// What RIS and DECSTR have in common.
    fn soft_state(&mut self) {
        self.pen = Pen::default();
        self.link = None;
        self.charset = Charset::default();
        self.saved = [Saved::default(); 2];
        self.region = (0, self.grid.rows() - 1);
        self.modes.insert = false;
        self.modes.origin = false;
        self.modes.autowrap = true;
        self.modes.cursor_visible = true;
        self.modes.application_cursor = false;
        self.modes.application_keypad = false;
    }

    /// DECSTR.
    pub(crate) fn soft_reset(&mut self) {
        let (row, col) = self.cursor();
        self.soft_state();
        self.write_region();
        self.move_to(row, col.min(self.grid.cols() - 1));
    }

    /// DECALN: a screen full of E. Again, without anything between, it changes nothing.
    pub(super) fn alignment_test(&mut self) {
        self.begin(self.cells(u16::MAX));
        self.region = (0, self.grid.rows() - 1);
        self.modes.origin = false;
        self.write_region();
        Pen::default().write_change(self.grid_pen, &mut self.out);
        self.grid_pen = Pen::default();
        let line = "E".repeat(usize::from(self.grid.cols()));
        for row in 0..self.grid.rows() {
            self.move_to(row, 0);
            self.out.push_str(&line);
        }
        self.move_to(0, 0);
        self.flush();
        self.is_aligned = true;
    }
}
