//! Another size: the main screen is laid out anew, the alternate one is cut.
//!
//! The grid itself would cut both. Instead the logical lines on the screen are written on a
//! fresh grid. Lines that no longer fit scroll off as usual; when there is room and the screen
//! was full, the newest lines of the scrollback come back, so narrow and wide again shows what
//! was there before.

use unicode_width::UnicodeWidthChar as _;

use crate::charset::Charset;
use crate::lexer::Lexer;
use crate::line::Line;
use crate::looks::Looks;
use crate::modes::Modes;
use crate::normaliser::Normaliser;
use crate::pen::Pen;

/// The main screen as text: lines before the cursor's line, that line cut in two at the cursor,
/// and the lines after it.
#[derive(Default)]
struct Layout {
    before: Vec<Box<str>>,
    head: Line,
    /// How many blank columns are between the head and the cursor.
    gap: u16,
    rest: Line,
    after: Vec<Box<str>>,
    /// Whether the last row was in use.
    full: bool,
}

impl Normaliser {
    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        self.begin(0);
        self.flush();
        self.grid.forget_expected();
        let old_cols = self.grid.cols();
        let alternate = self
            .modes
            .alternate_screen
            .then(|| self.grid.screen().clone());
        let main = match alternate {
            Some(_) => self.grid.main_screen(),
            None => self.grid.screen().clone(),
        };
        let cursor = match alternate {
            Some(_) => (self.saved[0].row, self.saved[0].col),
            None => self.grid.cursor(),
        };
        // The top of the screen may belong to a line that has begun to scroll off.
        let open = if self.grid.ring().is_open() {
            self.grid.ring_mut().pop()
        } else {
            None
        };
        let mut layout = Layout::read(&main, self.grid.looks(), cursor, open.as_deref());
        if layout.full {
            self.bring_back(&mut layout, rows, cols);
        }

        // Text is written with nothing special in force.
        let kept = (
            self.modes,
            self.pen,
            self.charset,
            std::mem::take(&mut self.tabs),
            self.link.take(),
        );
        self.grid.looks_mut().is_frozen = true;
        (self.modes, self.charset) = (Modes::default(), Charset::default());
        self.grid.replace(rows, cols);
        self.region = (0, rows - 1);
        self.restart_pen();
        let place = self.write_layout(&layout);
        let (modes, pen, charset, tabs, link) = kept;
        match alternate {
            Some(screen) => {
                (self.saved[0].row, self.saved[0].col) = (place.0, place.1.min(cols - 1));
                self.show_alternate();
                self.cut(&screen);
            }
            None => self.place(place),
        }
        (self.modes, self.pen, self.charset, self.tabs) = (modes, pen, charset, tabs);
        self.link = link;
        self.grid.looks_mut().is_frozen = false;
        self.printed = None;
        self.tabs.resize(old_cols, cols);
        for saved in &mut self.saved {
            saved.row = saved.row.min(rows - 1);
            saved.col = saved.col.min(cols - 1);
        }
        self.flush();
    }

    /// Takes lines from the scrollback until the new screen is full.
    fn bring_back(&mut self, layout: &mut Layout, rows: u16, cols: u16) {
        let height = |line: &str| height(line, cols);
        let mut used = height(layout.head.text()).max(1)
            + layout
                .before
                .iter()
                .chain(&layout.after)
                .map(|line| height(line))
                .sum::<usize>();
        let mut lines = Vec::new();
        while used < usize::from(rows) {
            let Some(line) = self.grid.ring_mut().pop() else {
                break;
            };
            used += height(&line);
            lines.push(line);
        }
        lines.reverse();
        lines.append(&mut layout.before);
        layout.before = lines;
    }

    /// Writes the lines; gives the cursor's place, whose column may be one past the last.
    fn write_layout(&mut self, layout: &Layout) -> (u16, u16) {
        for line in &layout.before {
            self.write(line);
            self.write("\x1b[m\r\n");
        }
        self.write(layout.head.text());
        let (mut row, mut col) = self.cursor();
        let cols = self.grid.cols();
        let scrolled = self.grid.scrolled();
        let rest = layout.rest.text();
        if !rest.is_empty() {
            let gap = " ".repeat(usize::from(layout.gap));
            self.write("\x1b[m");
            self.write(&gap);
            (row, col) = self.cursor();
            if col >= cols {
                // What follows starts the next row, and the cursor is on it.
                (row, col) = (row + 1, 0);
            }
            self.write(rest);
        } else if layout.gap > 0 {
            col = col.saturating_add(layout.gap).min(cols - 1);
        }
        for line in &layout.after {
            self.write("\x1b[m\r\n");
            self.write(line);
        }
        self.write("\x1b[m");
        self.flush();
        let gone = u16::try_from(self.grid.scrolled() - scrolled).unwrap_or(u16::MAX);
        (row.saturating_sub(gone), col)
    }

    fn write(&mut self, text: &str) {
        Lexer::default().feed(text.as_bytes(), self);
    }

    /// Puts the cursor in its place; one past the last column is a pending wrap.
    fn place(&mut self, (row, col): (u16, u16)) {
        let cols = self.grid.cols();
        if col < cols {
            self.move_to(row, col);
            return;
        }
        let screen = self.grid.screen();
        let wide = screen
            .cell(row, cols - 1)
            .is_some_and(vt100::Cell::is_wide_continuation);
        let start = cols - 1 - u16::from(wide);
        let cell = screen.cell(row, start).filter(|cell| cell.has_contents());
        let printed = cell.map(|cell| {
            let (text, pen, _) = self.grid.looks().of(cell);
            (pen, text.to_owned())
        });
        self.move_to(row, start);
        if let Some((pen, text)) = printed {
            self.pen = pen;
            self.text(&text);
        }
    }

    /// Draws what fits of a screen, such that its cursor stays on it.
    fn cut(&mut self, screen: &vt100::Screen) {
        let (old_rows, old_cols) = (screen.size().0.get(), screen.size().1.get());
        let (rows, cols) = (self.grid.rows(), self.grid.cols());
        let (cursor_row, cursor_col) = screen.cursor_position();
        let first = (cursor_row + 1).saturating_sub(rows);
        for row in 0..rows.min(old_rows - first) {
            let mut width = cols.min(old_cols);
            let edge = screen.cell(first + row, width - 1);
            if width < old_cols && edge.is_some_and(vt100::Cell::is_wide) {
                width -= 1;
            }
            let mut line = Line::default();
            line.cells(screen, self.grid.looks(), first + row, 0..width);
            self.move_to(row, 0);
            self.write(line.text());
            self.write("\x1b[m");
        }
        self.move_to(cursor_row - first, cursor_col.min(cols - 1));
    }
}

impl Layout {
    fn read(screen: &vt100::Screen, looks: &Looks, cursor: (u16, u16), open: Option<&str>) -> Self {
        let (rows, cols) = (screen.size().0.get(), screen.size().1.get());
        let last = (0..rows)
            .rev()
            .find(|&row| is_used(screen, row))
            .unwrap_or(0)
            .max(cursor.0);
        let mut layout = Self {
            full: last == rows - 1,
            ..Self::default()
        };
        let mut line = open.map_or_else(Line::default, Line::resume);
        // The cursor's line: what is before the cursor is `head`, the rest starts a new line.
        let mut passed = false;
        for row in 0..=last {
            if row == cursor.0 {
                let col = cursor.1.min(cols);
                line.cells(screen, looks, row, 0..col);
                layout.gap = u16::try_from(line.gap()).unwrap_or(0);
                line.end_row(false);
                layout.head = std::mem::take(&mut line);
                passed = true;
                line.cells(screen, looks, row, col..cols);
                line.end_row(screen.row_wrapped(row));
            } else {
                line.row(screen, looks, row);
            }
            if row < last && screen.row_wrapped(row) {
                continue;
            }
            let done = std::mem::take(&mut line);
            if std::mem::take(&mut passed) {
                layout.rest = done;
            } else if row < cursor.0 {
                layout.before.push(done.into_text());
            } else {
                layout.after.push(done.into_text());
            }
        }
        layout
    }
}

fn is_used(screen: &vt100::Screen, row: u16) -> bool {
    let mut cells = (0..screen.size().1.get()).filter_map(|col| screen.cell(row, col));
    cells.any(|cell| cell.has_contents() || Pen::of(cell) != Pen::default())
}

/// How many rows of `cols` columns a line takes.
fn height(line: &str, cols: u16) -> usize {
    let (mut rows, mut col) = (1, 0);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            characters.by_ref().find(|&end| end == 'm');
            continue;
        }
        let width = character.width().unwrap_or(0).min(2);
        if col + width > usize::from(cols) {
            rows += 1;
            col = 0;
        }
        col += width;
    }
    rows
}
