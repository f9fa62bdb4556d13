//! What commands and keys do.

mod change;
mod lines;
mod views;

use bytes::Bytes;

use super::{Browser, Command, Effect, End, Place, Prompt, Purpose, Spot, View, draw, path};

pub(super) use change::{first_part, new_directory};

impl Browser {
    /// Does what a key stands for.
    pub fn apply(&mut self, command: Command) -> Vec<Effect> {
        let mut effects = match &self.prompt {
            Some(Prompt::Sure { .. } | Prompt::Clash { .. } | Prompt::Looking { .. }) => {
                self.answer(command)
            }
            _ => match (command, self.view) {
                (Command::Help, _) => vec![Effect::Help],
                (_, View::Sides) => self.in_sides(command),
                (_, View::Transfers) => self.in_transfers(command),
                (_, View::Found) => self.in_found(command),
            },
        };
        effects.extend(self.follow_preview());
        effects
    }

    /// How far a moving command moves, in a list with so many rows on the screen.
    fn step(command: Command, rows: usize) -> Option<isize> {
        let page = rows.saturating_sub(1).max(1) as isize;
        Some(match command {
            Command::Down => 1,
            Command::Up => -1,
            Command::PageDown => page,
            Command::PageUp => -page,
            Command::HalfDown => (page / 2).max(1),
            Command::HalfUp => -(page / 2).max(1),
            Command::First => isize::MIN,
            Command::Last => isize::MAX,
            _ => return None,
        })
    }

    fn in_sides(&mut self, command: Command) -> Vec<Effect> {
        let rows = draw::rows(self.layout().side(self.focus));
        if let Some(by) = Self::step(command, rows) {
            self.here_mut().step(by);
            return Vec::new();
        }
        match command {
            Command::Open => return self.enter(),
            Command::Other => self.focus = self.focus.other(),
            Command::Parent
            | Command::Home
            | Command::Back
            | Command::Same
            | Command::Swap
            | Command::Refresh => return self.travel(command),
            Command::End => return vec![Effect::ChooseEnd],
            Command::Bookmarks if self.bookmarks.all().is_empty() => {
                return vec![Effect::Say("there are no bookmarks yet".into())];
            }
            Command::Bookmarks => return vec![Effect::ChooseBookmark],
            Command::Bookmark => return self.bookmark(),
            Command::Shell => return self.shell(),
            Command::CopyPath => return self.copy_path(),
            Command::Found => match self.found {
                Some(_) => self.view = View::Found,
                None => return vec![Effect::Say("nothing was looked for yet".into())],
            },
            Command::Transfers => self.view = View::Transfers,
            Command::Dismiss => return self.dismiss(),
            Command::Preview => self.toggle_preview(),
            Command::PreviewDown => self.scroll_preview(1),
            Command::PreviewUp => self.scroll_preview(-1),
            _ => return self.in_a_side(command),
        }
        Vec::new()
    }

    /// What only changes what is shown of this side, or asks for something about what is.
    fn in_a_side(&mut self, command: Command) -> Vec<Effect> {
        let side = self.here_mut();
        match command {
            Command::Mark => {
                side.mark();
                side.step(1);
            }
            Command::MarkAll => side.mark_all(),
            Command::MarkInvert => side.invert(),
            Command::MarkClear => side.clear_marks(),
            Command::Hidden => side.toggle_hidden(),
            Command::SortNext => side.set_order(side.order().next()),
            Command::SortReverse => side.set_order(side.order().reversed()),
            Command::Filter => {
                let before = side.filter().to_owned();
                self.ask(Purpose::Filter(before.clone()), &before);
            }
            Command::MarkGlob => self.ask(Purpose::Mark, ""),
            Command::GoTo => self.ask(Purpose::GoTo, ""),
            Command::FindName => self.ask(Purpose::FindName, ""),
            Command::FindText => self.ask(Purpose::FindText, ""),
            _ => return self.change(command),
        }
        Vec::new()
    }

    // ------------------------------------------------------------ going somewhere

    /// Into the directory; what is a file is looked at.
    fn enter(&mut self) -> Vec<Effect> {
        let Some(entry) = self.here().selected() else {
            return Vec::new();
        };
        if !entry.leads_on() {
            self.toggle_preview();
            return Vec::new();
        }
        let spot = self.here().spot().child(&entry.name);
        vec![self.go(self.focus, spot, None)]
    }

    fn travel(&mut self, command: Command) -> Vec<Effect> {
        let place = self.focus;
        let end = self.here().spot().end.clone();
        let effect = match command {
            Command::Parent => match self.here().above() {
                Some((spot, name)) => self.go(place, spot, Some(name)),
                None => return Vec::new(),
            },
            Command::Back => match self.here_mut().back() {
                Some(spot) => self.go(place, spot, None),
                None => return Vec::new(),
            },
            Command::Home => {
                let path = self.here().listing().home.clone();
                self.go(place, Spot { end, path }, None)
            }
            Command::Same => {
                let spot = self.here().spot().clone();
                self.go(place.other(), spot, None)
            }
            Command::Swap => {
                std::mem::swap(&mut self.left, &mut self.right);
                // What each asked for is on its way to the side that it was.
                return Place::BOTH.map(|place| self.list(place)).into();
            }
            _ => return Place::BOTH.map(|place| self.list(place)).into(),
        };
        vec![effect]
    }

    /// The side with the keys is turned to an end, at its home.
    pub fn choose_end(&mut self, end: End) -> Vec<Effect> {
        let path = Bytes::new();
        self.choose_spot(Spot { end, path })
    }

    /// The side with the keys is turned to a directory.
    pub fn choose_spot(&mut self, spot: Spot) -> Vec<Effect> {
        self.view = View::Sides;
        let effect = self.go(self.focus, spot, None);
        [Some(effect), self.follow_preview()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// One step back: out of the filter, else off this page.
    fn dismiss(&mut self) -> Vec<Effect> {
        if self.here().filter().is_empty() {
            return vec![Effect::Leave];
        }
        self.here_mut().set_filter("");
        Vec::new()
    }

    fn bookmark(&mut self) -> Vec<Effect> {
        let spot = self.here().spot().clone();
        if spot.path.is_empty() {
            return Vec::new();
        }
        let said = self.bookmarks.toggle(&spot);
        vec![Effect::Keep(self.bookmarks.write()), Effect::Say(said)]
    }

    fn shell(&mut self) -> Vec<Effect> {
        let spot = self.here().spot();
        let text = std::str::from_utf8(&spot.path);
        let said = match (spot.end.machine(), text) {
            (Some(machine), Ok(path)) => return vec![Effect::Shell(machine, path.to_owned())],
            (None, _) => "shells are opened on machines, and this side is this computer",
            (_, Err(_)) => "no shell can be opened here: the path is no text",
        };
        vec![Effect::Say(said.into())]
    }

    fn copy_path(&mut self) -> Vec<Effect> {
        let spot = match (self.view, &self.found) {
            (View::Found, Some(found)) => {
                let path = found.selected().map(|found| found.path.clone());
                path.map(|path| found.spot.child(&path))
            }
            _ => {
                let side = self.here();
                let name = side.selected().map(|entry| entry.name.clone());
                Some(name.map_or_else(|| side.spot().clone(), |name| side.spot().child(&name)))
            }
        };
        let Some(spot) = spot else {
            return Vec::new();
        };
        let text = path::shown(&spot.path);
        let said = format!("copied {text}");
        vec![Effect::Clipboard(text), Effect::Say(said)]
    }
}
