//! Copy mode, as in tmux: looking back at what a pane showed, searching it, copying parts of it.
//!
//! Pure: commands, pages of history and mouse events go in; a new state and what is to be done about it
//! come out. It looks at a copy of the screen, so what the program prints meanwhile changes nothing here.
//! It does not fetch, does not touch a clipboard, and knows no key: see [`Keys`] for the tables.

mod command;
mod document;
mod draw;
mod finding;
mod keys;
mod motion;
mod mouse;
mod moving;
mod row;
mod search;
mod selecting;
mod selection;

pub mod clipboard;

pub use command::{Command, NoCommand};
pub use document::{Document, Joined, Line, Older, Page, Position};
pub use keys::{EMACS, Keys, VI};
pub use mouse::{Clicks, Mouse};
pub use row::Row;

use finding::Finding;
use motion::{Jump, Stop, Way};
use selection::{Selection, Shape};

/// What is typed as a count may not be more.
const MAX_COUNT: u32 = 9_999;

/// How many screens of history are fetched ahead of the view.
const AHEAD: i64 = 3;

/// What is to be done after something happened in copy mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To draw it anew.
    Redraw,
    /// To copy this text.
    Copied(String),
    /// To copy this text and to leave copy mode.
    CopiedAndLeft(String),
    /// To leave copy mode.
    Left,
}

/// What is asked in copy mode: keys are text until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Pattern(Way),
    Line,
    Character(Way, Stop),
}

/// A question, and the answer so far.
#[derive(Clone, Debug)]
struct Prompt {
    asks: Asks,
    text: String,
    /// Where to go back to if there is no answer.
    cursor: Position,
    top: i64,
}

/// Text for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A character.
    Character(char),
    /// The last character is taken away.
    Erase,
    /// All of it is taken away.
    EraseAll,
    /// That is it.
    Accept,
    /// Never mind.
    Cancel,
}

/// See the module.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a wish or a fact of its own"
)]
pub struct Mode {
    document: Document,
    keys: Keys,
    /// How many rows and columns there are to show it.
    view: (u16, u16),
    /// The first row that is shown.
    top: i64,
    cursor: Position,
    /// The column that moving up and down tries to keep.
    wanted: u16,
    selection: Option<Selection>,
    shape: Shape,
    mark: Option<Position>,
    jump: Option<Jump>,
    finding: Finding,
    prompt: Option<Prompt>,
    count: Option<u32>,
    /// A page was asked for and has not come.
    is_loading: bool,
    /// The oldest row of all is to be shown, once it is here.
    seeks_top: bool,
    shows_position: bool,
    leaves_at_bottom: bool,
    /// Where the mouse is, while its button is held: rows beyond the view scroll it.
    held: Option<(i32, u16)>,
}

impl Mode {
    /// Copy mode over `document`, with the cursor where the pane's is, in a view of `rows` and `cols`.
    pub fn new(document: Document, cursor: Position, keys: Keys, view: (u16, u16)) -> Self {
        let mut mode = Self {
            document,
            keys,
            view: (view.0.max(1), view.1.max(1)),
            top: 0,
            cursor,
            wanted: cursor.col,
            selection: None,
            shape: Shape::Text,
            mark: None,
            jump: None,
            finding: Finding::default(),
            prompt: None,
            count: None,
            is_loading: false,
            seeks_top: false,
            shows_position: true,
            leaves_at_bottom: false,
            held: None,
        };
        mode.top = mode.lowest_top();
        mode.go(cursor);
        mode
    }

    /// Scrolled down to its end by the wheel, it is left: for when the wheel brought it up.
    pub fn leaving_at_bottom(mut self) -> Self {
        self.leaves_at_bottom = true;
        self
    }

    /// The view has another size.
    pub fn resized(&mut self, rows: u16, cols: u16) {
        self.view = (rows.max(1), cols.max(1));
        self.reveal();
    }

    /// Does what a key stands for.
    pub fn run(&mut self, command: Command) -> Outcome {
        if self.prompt.is_some() {
            self.answer_with(command);
            return Outcome::Redraw;
        }
        let count = self.count.take().unwrap_or(1);
        self.seeks_top = false;
        self.finding.stop();
        if let Some(outcome) = self.copying(command) {
            return outcome;
        }
        match command {
            Command::Cancel => return Outcome::Left,
            Command::TogglePosition => self.shows_position = !self.shows_position,
            Command::GotoLine => self.ask(Asks::Line),
            Command::JumpForward => self.ask(Asks::Character(Way::Down, Stop::On)),
            Command::JumpBackward => self.ask(Asks::Character(Way::Up, Stop::On)),
            Command::JumpToForward => self.ask(Asks::Character(Way::Down, Stop::Short)),
            Command::JumpToBackward => self.ask(Asks::Character(Way::Up, Stop::Short)),
            _ if self.selecting(command) || self.finding(command, count) => {}
            _ => self.repeated(command, count),
        }
        Outcome::Redraw
    }

    fn repeated(&mut self, command: Command, count: u32) {
        for _ in 0..count {
            let before = (self.cursor, self.top);
            self.moving(command);
            if before == (self.cursor, self.top) {
                break;
            }
        }
    }

    /// A digit was typed. False if it is no part of a count: then it is a key like others.
    pub fn digit(&mut self, digit: u8) -> bool {
        if self.prompt.is_some() || digit > 9 || digit == 0 && self.count.is_none() {
            return false;
        }
        let count = self.count.unwrap_or(0) * 10 + u32::from(digit);
        self.count = Some(count.min(MAX_COUNT));
        true
    }

    /// Whether keys are text for a question: then they go to [`Mode::input`].
    pub fn asks(&self) -> bool {
        self.prompt.is_some()
    }

    fn ask(&mut self, asks: Asks) {
        self.prompt = Some(Prompt {
            asks,
            text: String::new(),
            cursor: self.cursor,
            top: self.top,
        });
    }

    /// Text for the question that is open.
    pub fn input(&mut self, input: Input) -> Outcome {
        let Some(mut prompt) = self.prompt.take() else {
            return Outcome::Redraw;
        };
        match input {
            Input::Accept => self.answered(&prompt),
            Input::Cancel => {
                self.finding.stop();
                self.back_to(&prompt);
            }
            Input::Character(c) => self.character(prompt, c),
            Input::Erase | Input::EraseAll => {
                if input == Input::EraseAll {
                    prompt.text.clear();
                }
                if prompt.text.pop().is_some() || input == Input::EraseAll {
                    self.changed(prompt);
                }
            }
        }
        Outcome::Redraw
    }

    fn character(&mut self, mut prompt: Prompt, c: char) {
        if let Asks::Character(way, stop) = prompt.asks {
            let jump = Jump { to: c, way, stop };
            self.jump = Some(jump);
            self.jump(jump);
            return;
        }
        let fits = prompt.text.len() + c.len_utf8() <= search::MAX_PATTERN;
        if fits && !cmdop_proto::text::is_hidden(c) {
            prompt.text.push(c);
        }
        self.changed(prompt);
    }

    fn changed(&mut self, prompt: Prompt) {
        if let Asks::Pattern(way) = prompt.asks {
            self.back_to(&prompt);
            self.preview(&prompt.text, way);
        }
        self.prompt = Some(prompt);
    }

    /// Where it was when the question came, as far as that can be shown in the view of today.
    fn back_to(&mut self, prompt: &Prompt) {
        self.top = prompt.top;
        self.go(prompt.cursor);
    }

    fn answered(&mut self, prompt: &Prompt) {
        match prompt.asks {
            Asks::Pattern(way) => self.search(&prompt.text, way),
            Asks::Line => self.show_line(&prompt.text),
            Asks::Character(..) => {}
        }
    }

    /// What is to be fetched next, once: it stays so until a page comes or fails.
    pub fn wants_older(&mut self) -> Option<Older> {
        let near = self.top - self.document.first() < AHEAD * i64::from(self.view.0);
        let wants = near || self.seeks_top || self.finding.seeks();
        let older = self
            .document
            .older()
            .filter(|_| wants && !self.is_loading)?;
        self.is_loading = true;
        Some(older)
    }

    /// A page of the history came.
    pub fn prepend(&mut self, page: &Page) -> Joined {
        self.is_loading = false;
        let first = self.document.first();
        let joined = self.document.prepend(page);
        match joined {
            Joined::Rows(_) => self.older_came(first),
            Joined::Gap | Joined::OtherEpoch => self.older_failed(),
        }
        joined
    }

    /// No older page can be had.
    pub fn older_failed(&mut self) {
        self.is_loading = false;
        self.document.complete();
        self.older_came(self.document.first());
    }

    fn older_came(&mut self, first: i64) {
        self.seek_on(first);
        if self.seeks_top {
            self.go(Position::new(self.document.first(), 0));
            self.seeks_top = !self.document.is_complete();
        }
        // A view that is larger than the screen shows what came.
        self.reveal();
    }

    /// Where it begins in the history, if the pane knows: where the first page has to end.
    pub fn begins_at(&mut self, epoch: u64, next: u64) {
        self.document.begins_at(epoch, next);
    }

    /// The place of the cursor.
    pub fn cursor(&self) -> Position {
        self.cursor
    }

    /// The first row that is shown.
    pub fn top(&self) -> i64 {
        self.top
    }

    /// What it looks at.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

#[cfg(test)]
mod tests;
