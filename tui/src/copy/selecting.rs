//! Selecting, marks, and what is copied.

use super::document::Position;
use super::keys::Keys;
use super::selection::{Part, Selection, Shape, Unit};
use super::{Command, Mode, Outcome};

impl Mode {
    /// Whether the command was about selecting, and is done.
    pub(super) fn selecting(&mut self, command: Command) -> bool {
        match command {
            Command::BeginSelection => self.select(Unit::Character),
            Command::SelectLine => self.select(Unit::Line),
            Command::SelectWord => self.select(Unit::Word),
            Command::RectangleToggle => {
                self.shape = self.shape.toggled();
                self.go(self.cursor);
            }
            Command::OtherEnd => {
                if let Some(selection) = &mut self.selection {
                    let other = std::mem::replace(&mut selection.anchor, self.cursor);
                    self.go(other);
                }
            }
            Command::ClearSelection => self.unselect(),
            Command::SetMark => self.mark = Some(self.cursor),
            Command::JumpToMark => {
                if let Some(mark) = self.mark.replace(self.cursor) {
                    self.go(mark);
                }
            }
            _ => return false,
        }
        true
    }

    /// What is to be done, if the command copies something.
    pub(super) fn copying(&mut self, command: Command) -> Option<Outcome> {
        let outcome = match command {
            Command::CopySelection => {
                let text = self.selected();
                self.unselect();
                text.map_or(Outcome::Redraw, Outcome::Copied)
            }
            Command::CopySelectionAndCancel => leaving(self.selected()),
            Command::CopyLineAndCancel => {
                let unit = Unit::Line;
                let anchor = self.cursor;
                let part =
                    Selection { anchor, unit }.part(&self.document, anchor, Shape::Text, self.keys);
                leaving(Some(part.text(&self.document)))
            }
            Command::CopyEndOfLineAndCancel => {
                let row = self.document.line(self.cursor.row).1;
                let end = Position::new(row, self.document.width(row));
                leaving(Some(
                    Part::text_between(self.cursor, end).text(&self.document),
                ))
            }
            _ => return None,
        };
        Some(outcome)
    }

    pub(super) fn select(&mut self, unit: Unit) {
        self.selection = Some(Selection {
            anchor: self.cursor,
            unit,
        });
    }

    pub(super) fn unselect(&mut self) {
        self.selection = None;
        // The cursor may stand where only a rectangle's can.
        self.go(self.cursor);
    }

    /// What is selected.
    pub(super) fn part(&self) -> Option<Part> {
        let selection = self.selection?;
        Some(selection.part(&self.document, self.cursor, self.shape, self.keys))
    }

    /// The text that is selected.
    pub fn selected(&self) -> Option<String> {
        let text = self.part()?.text(&self.document);
        (!text.is_empty()).then_some(text)
    }

    /// Whether something is selected.
    pub fn is_selecting(&self) -> bool {
        self.selection.is_some()
    }

    /// Whose habits it follows.
    pub fn keys(&self) -> Keys {
        self.keys
    }
}

fn leaving(text: Option<String>) -> Outcome {
    let text = text.filter(|text| !text.is_empty());
    text.map_or(Outcome::Left, Outcome::CopiedAndLeft)
}
