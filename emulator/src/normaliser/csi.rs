//! Control sequences.

use std::fmt::Write as _;

use super::Normaliser;

/// The first number of parameter `index`; a missing or zero one is `default`.
pub(super) fn number(params: &vte::Params, index: usize, default: u16) -> u16 {
    match params
        .iter()
        .nth(index)
        .and_then(|group| group.first().copied())
    {
        None | Some(0) => default,
        Some(number) => number,
    }
}

impl Normaliser {
    /// How many cells a control sequence may touch.
    pub(super) fn cost(&self, params: &vte::Params, action: char) -> usize {
        let count = number(params, 0, 1);
        match action {
            'J' => self.cells(u16::MAX),
            'L' | 'M' | 'S' | 'T' => self.cells(count),
            '@' | 'P' | 'X' | 'K' | 'I' | 'Z' | 'b' | 'g' => self.cells(1),
            // Each mode may be one that changes the screen.
            'h' | 'l' => params.len() * self.cells(u16::MAX),
            _ => 1,
        }
    }

    pub(super) fn csi(&mut self, params: &vte::Params, marks: &[u8], action: char) {
        // Attributes and insert mode leave the character just printed what it is.
        match (marks, action) {
            ([], 'm') => return self.pen.apply(params.iter()),
            ([], 'h' | 'l') => return self.ansi_modes(params, action == 'h'),
            ([], 'b') => return self.repeat(number(params, 0, 1)),
            _ => self.printed = None,
        }
        match (marks, action) {
            ([], _) => self.plain_csi(params, action),
            ([b'?'], 'J') => self.erase_display(number(params, 0, 0)),
            ([b'?'], 'K') => self.erase_line(number(params, 0, 0)),
            ([b'?'], 'h' | 'l') => self.private_modes(params, action == 'h'),
            ([b'!'], 'p') => self.soft_reset(),
            ([b' '], 'q') => self.cursor_shape(number(params, 0, 0)),
            ([b'>'], 'm') => self.modify_other_keys(params),
            ([b'>' | b'<' | b'='], 'u') => self.kitty_keyboard(params, marks[0]),
            _ => self.query(params, marks, action),
        }
    }

    fn plain_csi(&mut self, params: &vte::Params, action: char) {
        let count = number(params, 0, 1);
        match action {
            // These leave the cell before the cursor and its row alone.
            '@' | 'P' | 'D' | 'C' | 'E' | 'F' => self.forward(count, action),
            'a' => self.forward(count, 'C'),
            'X' => {
                self.sync_pen();
                self.forward(count, 'X');
            }
            'A' | 'B' | 'L' | 'M' | 'S' => {
                self.settle();
                self.forward(count, action);
            }
            'e' => {
                self.settle();
                self.forward(count, 'B');
            }
            // With more parameters it is xterm's mouse tracking.
            'T' if params.len() <= 1 => {
                self.settle();
                self.forward(count, 'T');
            }
            'G' | '`' => self.move_to_col((count - 1).min(self.grid.cols() - 1)),
            'H' | 'f' => self.go(count - 1, number(params, 1, 1) - 1),
            'd' => {
                let (_, col) = self.cursor();
                self.go(count - 1, col);
            }
            'I' => self.tab(count),
            'Z' => self.tab_back(count),
            'J' => self.erase_display(number(params, 0, 0)),
            'K' => self.erase_line(number(params, 0, 0)),
            'g' => self.clear_tabs(number(params, 0, 0)),
            'r' => self.set_region(params),
            's' => self.save_cursor(),
            'u' => self.restore_cursor(),
            _ => self.query(params, &[], action),
        }
    }

    fn forward(&mut self, count: u16, action: char) {
        let _ = write!(self.out, "\x1b[{count}{action}");
    }

    /// REP, at most a row of it: four bytes must not cost a screen of work.
    fn repeat(&mut self, count: u16) {
        if let Some(character) = self.printed {
            for _ in 0..count.min(self.grid.cols()) {
                self.print(character);
            }
        }
    }

    fn erase_display(&mut self, part: u16) {
        match part {
            0 => {
                self.sync_pen();
                self.out.push_str("\x1b[J");
            }
            1 | 2 => {
                self.settle();
                self.sync_pen();
                let _ = write!(self.out, "\x1b[{part}J");
                if part == 2 && !self.modes.alternate_screen {
                    // What had scrolled off no longer goes on here.
                    self.flush();
                    self.grid.ring_mut().close();
                }
            }
            3 => {
                self.flush();
                self.grid.ring_mut().clear();
            }
            _ => {}
        }
    }

    fn erase_line(&mut self, part: u16) {
        if matches!(part, 1 | 2) {
            self.settle();
        }
        if part <= 2 {
            self.sync_pen();
            let _ = write!(self.out, "\x1b[{part}K");
        }
    }

    fn tab_back(&mut self, count: u16) {
        let cols = self.grid.cols();
        let mut col = self.cursor().1.min(cols - 1);
        for _ in 0..count.min(cols) {
            col = self.tabs.previous(col);
        }
        self.move_to_col(col);
    }

    fn clear_tabs(&mut self, part: u16) {
        let cols = self.grid.cols();
        match part {
            0 => {
                let (_, col) = self.cursor();
                self.tabs.clear(col.min(cols - 1), cols);
            }
            3 => self.tabs.clear_all(),
            _ => {}
        }
    }

    /// DECSTBM; a region that makes no sense is the whole screen.
    fn set_region(&mut self, params: &vte::Params) {
        let rows = self.grid.rows();
        let top = number(params, 0, 1) - 1;
        let bottom = number(params, 1, rows).min(rows) - 1;
        self.region = if top < bottom {
            (top, bottom)
        } else {
            (0, rows - 1)
        };
        self.write_region();
        self.go(0, 0);
    }

    fn ansi_modes(&mut self, params: &vte::Params, on: bool) {
        for group in params {
            if group == [4] {
                self.modes.insert = on;
            }
        }
    }
}
