//! The results of a command: headings of machines that ended alike, and what they wrote.

use ratatui::layout::Rect;

use super::super::Dashboard;
use super::super::results::{Block, BlockKey, End, ResultRow, Results};
use super::cells::Canvas;
use super::figures;
use crate::theme::Role;

pub(super) fn draw(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) {
    let Some(results) = dashboard.results() else {
        return;
    };
    let mut lines: Option<(usize, usize, Box<dyn Iterator<Item = String> + '_>)> = None;
    for y in 0..area.height {
        let place = dashboard.results_top + usize::from(y);
        match results.row(place) {
            None => break,
            Some(ResultRow::Heading(block)) => {
                heading(results, &results.blocks()[block], (area, y), canvas);
            }
            Some(ResultRow::Line(block, line)) => {
                // Lines of one block come one after the other: its output is walked through once.
                if !matches!(&lines, Some((known, next, _)) if (*known, *next) == (block, line)) {
                    let output = results.output(results.blocks()[block].key);
                    lines = output
                        .map(|output| (block, line, Box::new(output.lines().skip(line)) as Box<_>));
                }
                if let Some((_, next, lines)) = &mut lines {
                    *next += 1;
                    let style = canvas.style(Role::Text);
                    let mut pen = canvas.row(area, y);
                    pen.skip(4.min(area.width / 8));
                    let room = pen.room();
                    pen.left(&lines.next().unwrap_or_default(), room, style);
                }
            }
        }
        if place == results.cursor() {
            canvas.restyle(area, y, Role::Selected);
        }
    }
}

fn heading(results: &Results, block: &Block, (area, y): (Rect, u16), canvas: &mut Canvas<'_>) {
    let charset = canvas.charset;
    let (sign, role) = match results.end(block.key) {
        Some(End::Exited(0)) => (charset.success(), Role::Online),
        Some(End::Cancelled) => ("-", Role::Muted),
        Some(End::Unreachable) => ("x", Role::Offline),
        Some(_) => (charset.failure(), Role::Critical),
        None if block.key == BlockKey::Running => ("~", Role::Stale),
        None => (".", Role::Muted),
    };
    let fold = if block.has_output {
        charset.fold(block.shown == 0)
    } else {
        " "
    };
    let (style, text) = (canvas.style(role), canvas.style(Role::Text));
    let muted = canvas.style(Role::Muted);
    let plural = if block.count == 1 { "" } else { "s" };
    let mut pen = canvas.row(area, y);
    pen.left(fold, 2, text);
    pen.left(sign, 2, style);
    pen.put(&words(results, block), style);
    pen.put(&format!("  {} machine{plural}: ", block.count), muted);
    let took = match results.end(block.key) {
        Some(End::Unreachable) | None => String::new(),
        Some(_) => format!("  {}", figures::took(block.took)),
    };
    let room = pen.room();
    let names = super::cells::columns(&block.names);
    let took_width = super::cells::columns(&took);
    pen.left(
        &block.names,
        names.min(room.saturating_sub(took_width)),
        text,
    );
    if took_width <= pen.room() {
        pen.put(&took, muted);
    }
}

/// How the machines of a block stand, in a few words.
fn words(results: &Results, block: &Block) -> String {
    match results.end(block.key) {
        None if block.key == BlockKey::Running => "running".into(),
        None => "waiting".into(),
        Some(End::Exited(code)) => format!("exit {code}"),
        Some(End::Killed(signal)) => format!("killed by signal {signal}"),
        Some(End::TimedOut) => "timed out".into(),
        Some(End::Cancelled) => "called off".into(),
        Some(End::Unreachable) => "unreachable".into(),
        Some(End::Refused(why)) => format!("not run: {why}"),
        Some(End::Unreported(why)) => format!("unknown: {why}"),
    }
}
