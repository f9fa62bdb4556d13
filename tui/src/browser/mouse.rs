//! What the mouse does: it turns to sides and rows, opens what is clicked twice, goes up where a title is clicked,
//! and scrolls.

use std::time::Duration;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{Browser, Command, Effect, Place, Prompt, View, draw};

/// Two clicks within this time are one on something.
const DOUBLE: Duration = Duration::from_millis(400);

/// Rows that a step of the wheel moves by.
const WHEEL: isize = 3;

impl Browser {
    /// Something that the mouse did, at a place of the area that this page has.
    pub fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        // What is asked is answered with a key.
        if !matches!(self.prompt, None | Some(Prompt::Line { .. })) {
            return Vec::new();
        }
        let at = Position::new(event.column, event.row);
        let way = match event.kind {
            MouseEventKind::ScrollDown => 1,
            MouseEventKind::ScrollUp => -1,
            MouseEventKind::Down(MouseButton::Left) => return self.clicked(at),
            _ => return Vec::new(),
        };
        self.wheel(at, way)
    }

    fn wheel(&mut self, at: Position, way: isize) -> Vec<Effect> {
        let layout = self.layout();
        match self.view {
            View::Transfers => self.jobs.step(way),
            View::Found => {
                if let Some(found) = &mut self.found {
                    found.step(way * WHEEL);
                }
            }
            View::Sides if layout.preview.is_some_and(|area| area.contains(at)) => {
                if let Some(preview) = &mut self.preview {
                    let by = way * WHEEL;
                    preview.top = preview.top.saturating_add_signed(by).min(preview.len());
                }
            }
            View::Sides => {
                let under = Place::BOTH
                    .into_iter()
                    .find(|place| layout.side(*place).is_some_and(|area| area.contains(at)));
                if let Some(place) = under {
                    self.side_mut(place).step(way * WHEEL);
                }
            }
        }
        self.follow_preview().into_iter().collect()
    }

    fn clicked(&mut self, at: Position) -> Vec<Effect> {
        let layout = self.layout();
        match self.view {
            View::Transfers => {
                let body = draw::transfers_body(layout.whole);
                if body.contains(at) {
                    let row = usize::from((at.y - body.y) / draw::JOB_ROWS);
                    self.jobs.select(self.jobs.top + row);
                }
                Vec::new()
            }
            View::Found => {
                let body = draw::body(layout.whole);
                let count = self.found.as_ref().map_or(0, |found| found.matches.len());
                let top = self.found.as_ref().map_or(0, |found| found.top);
                let place = row(body, at)
                    .map(|row| top + row)
                    .filter(|place| *place < count);
                let Some(place) = place else {
                    return Vec::new();
                };
                if let Some(found) = &mut self.found {
                    found.at = place;
                }
                self.twice(self.focus, place)
            }
            View::Sides => self.clicked_side(&layout, at),
        }
    }

    fn clicked_side(&mut self, layout: &draw::Layout, at: Position) -> Vec<Effect> {
        let mut places = Place::BOTH.into_iter();
        let under = places.find(|place| layout.side(*place).is_some_and(|area| area.contains(at)));
        let Some((place, area)) = under.and_then(|place| Some((place, layout.side(place)?))) else {
            return Vec::new();
        };
        self.focus = place;
        if at.y == area.y && draw::has_title(area) {
            return self.apply(Command::Parent);
        }
        let top = self.side(place).top;
        match row(draw::body(area), at).map(|row| top + row) {
            Some(row) if self.side_mut(place).select(row) => self.twice(place, row),
            _ => self.follow_preview().into_iter().collect(),
        }
    }

    /// The second click on the same row opens it.
    fn twice(&mut self, place: Place, row: usize) -> Vec<Effect> {
        let before = self.clicked.replace((place, row, self.now));
        let is_second = before.is_some_and(|(side, at, when)| {
            (side, at) == (place, row) && self.now.saturating_duration_since(when) < DOUBLE
        });
        if is_second {
            self.clicked = None;
            return self.apply(Command::Open);
        }
        self.follow_preview().into_iter().collect()
    }
}

fn row(body: Rect, at: Position) -> Option<usize> {
    body.contains(at).then(|| usize::from(at.y - body.y))
}
