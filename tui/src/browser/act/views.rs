//! What commands do to the preview, to what is in the background, and to what was found.

use super::super::entry::Kind;
use super::super::found::{self, Find, Found};
use super::super::{
    Browser, Command, Content, Effect, JobId, Jobs, Looking, Preview, Spot, View, Wish, draw, path,
    side,
};

impl Browser {
    pub(super) fn toggle_preview(&mut self) {
        self.looking = match self.looking {
            Looking::No => Looking::Yes,
            Looking::Yes => Looking::No,
        };
    }

    pub(super) fn scroll_preview(&mut self, way: isize) {
        let rows = self.layout().preview.map_or(0, draw::preview_rows);
        let by = way * (rows / 2).max(1) as isize;
        if let Some(preview) = &mut self.preview {
            // The next picture brings it back to what there is.
            preview.top = preview.top.saturating_add_signed(by).min(preview.len());
        }
    }

    /// The preview follows the selection.
    pub(in super::super) fn follow_preview(&mut self) -> Option<Effect> {
        let side = self.here();
        let wanted = side.selected().filter(|_| self.looking == Looking::Yes);
        let Some(entry) = wanted else {
            return self.preview.take().map(|_| Effect::NoPreview);
        };
        let spot = side.spot().child(&entry.name);
        let (kind, version) = (entry.kind, (entry.size, entry.mtime_ms));
        let known = self.preview.as_ref();
        if known.is_some_and(|preview| preview.spot == spot && preview.version == version) {
            return None;
        }
        let asked = self.number();
        let content = match kind {
            Kind::Special => Content::Words("a device, socket or pipe: it is never opened".into()),
            _ => Content::Loading,
        };
        let is_asked = content == Content::Loading;
        self.preview = Some(Preview {
            spot: spot.clone(),
            asked,
            version,
            content,
            top: 0,
        });
        Some(if is_asked {
            Effect::Preview(asked, spot, kind)
        } else {
            Effect::NoPreview
        })
    }

    pub(super) fn in_transfers(&mut self, command: Command) -> Vec<Effect> {
        let rows = draw::transfers_rows(self.layout().whole);
        if let Some(by) = Self::step(command, rows) {
            self.jobs.step(by);
            return Vec::new();
        }
        match command {
            Command::Dismiss => self.view = View::Sides,
            Command::Pause => return self.wish(Jobs::pause),
            Command::Cancel => return self.wish(Jobs::cancel),
            Command::Forget => self.jobs.forget(),
            Command::Open => {
                let failed = self.jobs.selected().filter(|job| !job.failures.is_empty());
                let shown = failed.map(|job| Effect::Show(job.work.title(), job.failures.clone()));
                return shown.into_iter().collect();
            }
            Command::Retry => {
                let id = self.number();
                if self.jobs.retry(id) {
                    return self.begin();
                }
            }
            Command::Verify => {
                if let Some(work) = self.jobs.verification() {
                    return self.queue(work);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn wish(&mut self, of: impl Fn(&mut Jobs) -> Option<(JobId, Wish)>) -> Vec<Effect> {
        let wish = of(&mut self.jobs).map(|(id, wish)| Effect::Wish(id, wish));
        wish.into_iter().chain(self.begin()).collect()
    }

    pub(super) fn in_found(&mut self, command: Command) -> Vec<Effect> {
        let rows = draw::rows(Some(self.layout().whole));
        let Some(found) = &mut self.found else {
            self.view = View::Sides;
            return Vec::new();
        };
        if let Some(by) = Self::step(command, rows) {
            found.step(by);
            return Vec::new();
        }
        match command {
            Command::Dismiss => self.view = View::Sides,
            Command::Open => return self.jump(),
            Command::CopyPath => return self.copy_path(),
            Command::Cancel if found.state == found::State::Searching => {
                found.state = found::State::Done;
                return vec![Effect::NoFind];
            }
            _ => {}
        }
        Vec::new()
    }

    /// To what was found: this side shows it.
    fn jump(&mut self) -> Vec<Effect> {
        let Some((found, it)) = self
            .found
            .as_ref()
            .and_then(|found| Some((found, found.selected()?)))
        else {
            return Vec::new();
        };
        let end = found.spot.end.clone();
        let Some((path, name)) = path::split(&found.spot.child(&it.path).path) else {
            return Vec::new();
        };
        self.view = View::Sides;
        if name.starts_with(b".") && self.here().hidden() == side::Hidden::Omitted {
            self.here_mut().toggle_hidden();
        }
        vec![self.go(self.focus, Spot { end, path }, Some(name))]
    }

    pub(super) fn find(&mut self, find: Find) -> Vec<Effect> {
        let spot = self.here().spot().clone();
        let asked = self.number();
        self.found = Some(Found::new(spot.clone(), find.clone(), asked));
        self.view = View::Found;
        vec![Effect::Find(asked, spot, find)]
    }
}
