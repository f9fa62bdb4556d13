//! Looks that the grid has no room for: tags behind what is printed, see [`crate::looks`].

use super::Normaliser;
use crate::looks::Look;
pub(super) use crate::looks::is_tag;
use crate::pen::Pen;

/// A cell of the grid holds no more bytes of text, if there is to be room for a tag.
const MAX_TEXT: usize = 17;

impl Normaliser {
    /// Comes right after a character.
    pub(super) fn tag(&mut self) {
        if self.link.is_none() && self.pen.is_base() {
            return;
        }
        let look = Look {
            extra: self.pen.extra(),
            link: self.link.clone(),
        };
        let mut tag = self.grid.looks_mut().tag(&look);
        if tag.is_none() {
            let cells = 2 * self.cells(u16::MAX);
            if self.grid.looks().wants_sweep(cells) {
                self.flush();
                self.work = self.work.saturating_add(cells);
                self.grid.sweep_looks();
                tag = self.grid.looks_mut().tag(&look);
            }
        }
        self.out.extend(tag);
    }

    /// A mark for a cell that has a tag, which has to stay behind it: the cell is printed anew. False if it
    /// has none.
    pub(super) fn mark(&mut self, mark: char) -> bool {
        if self.grid.looks().is_empty() {
            return false;
        }
        let (row, col) = self.cursor();
        let screen = self.grid.screen();
        let cell = |col: u16| screen.cell(row, col);
        let Some(mut start) = col.checked_sub(1) else {
            return false;
        };
        if cell(start).is_some_and(vt100::Cell::is_wide_continuation) {
            start = start.saturating_sub(1);
        }
        let Some(cell) = cell(start) else {
            return false;
        };
        let contents = cell.contents();
        let Some(tag) = contents.chars().next_back().filter(|last| is_tag(*last)) else {
            return false;
        };
        let text = &contents[..contents.len() - tag.len_utf8()];
        if text.len() + mark.len_utf8() > MAX_TEXT {
            return true;
        }
        let text = [text, mark.encode_utf8(&mut [0; 4])].concat();
        let pen = Pen::of(cell);
        pen.write_change(self.grid_pen, &mut self.out);
        self.grid_pen = pen;
        self.out
            .extend(std::iter::repeat_n('\x08', usize::from(col - start)));
        self.out.push_str(&text);
        self.out.push(tag);
        true
    }
}
