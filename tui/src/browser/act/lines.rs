//! Lines that are typed: for a filter, a name, a path, a search.

use crossterm::event::{KeyCode, KeyEvent};

use super::super::found::Find;
use super::super::{Browser, Command, Effect, Prompt, Purpose, Spot, path};
use crate::line::Line;

impl Browser {
    pub(super) fn ask(&mut self, purpose: Purpose, text: &str) {
        let line = Line::new(text);
        self.prompt = Some(Prompt::Line { purpose, line });
    }

    /// A key while something is asked. `None`: it is none of ours, look it up in [`Self::keys`].
    pub fn press(&mut self, key: &KeyEvent) -> Option<Vec<Effect>> {
        let Some(Prompt::Line { line, .. }) = &mut self.prompt else {
            return None;
        };
        let mut effects = match key.code {
            KeyCode::Enter => self.entered(),
            KeyCode::Esc => {
                if let Some(Prompt::Line {
                    purpose: Purpose::Filter(before),
                    ..
                }) = self.prompt.take()
                {
                    self.here_mut().set_filter(&before);
                }
                Vec::new()
            }
            // The selection can be moved while a filter is typed.
            KeyCode::Down => self.moves_below(Command::Down),
            KeyCode::Up => self.moves_below(Command::Up),
            _ => {
                line.press(key);
                self.typed();
                Vec::new()
            }
        };
        effects.extend(self.follow_preview());
        Some(effects)
    }

    fn moves_below(&mut self, command: Command) -> Vec<Effect> {
        let is_filter = matches!(
            self.prompt,
            Some(Prompt::Line {
                purpose: Purpose::Filter(_),
                ..
            })
        );
        if is_filter {
            self.in_sides(command)
        } else {
            Vec::new()
        }
    }

    /// Text that was pasted; `false`: no line is asked for.
    pub fn paste(&mut self, text: &str) -> bool {
        let Some(Prompt::Line { line, .. }) = &mut self.prompt else {
            return false;
        };
        line.insert(text);
        self.typed();
        true
    }

    /// A filter counts while it is typed.
    fn typed(&mut self) {
        if let Some(Prompt::Line {
            purpose: Purpose::Filter(_),
            line,
        }) = &self.prompt
        {
            let text = line.text().to_owned();
            self.here_mut().set_filter(&text);
        }
    }

    fn entered(&mut self) -> Vec<Effect> {
        let Some(Prompt::Line { purpose, line }) = self.prompt.take() else {
            return Vec::new();
        };
        let text = line.text();
        if text.is_empty() {
            return Vec::new();
        }
        match purpose {
            Purpose::Filter(_) => Vec::new(),
            Purpose::Mark => self.mark_glob(text),
            Purpose::GoTo => {
                let side = self.here();
                let path = path::typed(text, &side.listing().home, &side.spot().path);
                let end = side.spot().end.clone();
                vec![self.go(self.focus, Spot { end, path }, None)]
            }
            Purpose::FindName => self.find(Find::Name(text.to_owned())),
            Purpose::FindText => self.find(Find::Text(text.to_owned())),
            Purpose::Rename(from) => self.rename(&from, text),
            Purpose::Mkdir => self.mkdir(text),
        }
    }

    fn mark_glob(&mut self, text: &str) -> Vec<Effect> {
        match globset::Glob::new(text) {
            Ok(glob) => {
                let matcher = glob.compile_matcher();
                let count = self.here_mut().mark_matching(|name| matcher.is_match(name));
                vec![Effect::Say(format!("{count} marked"))]
            }
            Err(error) => vec![Effect::Say(format!("no pattern: {}", error.kind()))],
        }
    }
}
