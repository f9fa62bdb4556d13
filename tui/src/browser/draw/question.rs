//! The last row while something is asked.

use ratatui::layout::{Position, Rect};

use super::super::{Browser, Prompt, Work};
use crate::dashboard::draw::cells::Canvas;
use crate::dashboard::draw::footer::typed;
use crate::theme::Role;

pub(super) fn draw(browser: &Browser, area: Rect, canvas: &mut Canvas<'_>) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let said = match browser.prompt()? {
        Prompt::Line { purpose, line } => {
            return Some(typed(purpose.label(), line, None, area, canvas));
        }
        Prompt::Sure {
            work,
            hidden,
            directories,
        } => format!("y/n: {}?", sure(work, *hidden, *directories)),
        Prompt::Looking { work, .. } => format!("looking at {}", work.to.shown()),
        Prompt::Clash { work, present } => {
            let count = work.clashes(present);
            let are = if count == 1 { "is" } else { "are" };
            let what = match work.names.as_slice() {
                [_] => work.subject(),
                names => format!("{count} of {} items", names.len()),
            };
            format!("{what} {are} there already: o replace, s skip, k keep both, r resume, Esc")
        }
    };
    let style = canvas.style(Role::Dialog);
    canvas.row(area, 0).left(&said, area.width, style);
    None
}

/// How many, and where.
fn sure(work: &Work, hidden: usize, directories: usize) -> String {
    let not_shown = match hidden {
        0 => String::new(),
        count => format!(" ({count} not shown)"),
    };
    let all = match (directories, work.names.len()) {
        (0, _) => "",
        (_, 1) => ", with all that is in it",
        _ => ", directories with all that is in them",
    };
    format!("{}{not_shown}{all}", work.title())
}
