//! What changes files: each asks first where something would be lost.

use std::collections::BTreeSet;

use bytes::Bytes;
use cmdop_proto::Refusal;

use super::super::jobs::JobId;
use super::super::work::{Policy, What, Work};
use super::super::{Browser, Command, Effect, Prompt, Purpose, Spot, View, path};

impl Browser {
    pub(super) fn change(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Copy => self.transfer(What::Copy),
            Command::Move => self.transfer(What::Move),
            Command::Delete => self.delete(),
            Command::Mkdir | Command::Rename => match self.may_write() {
                Ok(()) => {
                    self.ask_name(command);
                    Vec::new()
                }
                Err(why) => vec![Effect::Complain(why)],
            },
            _ => Vec::new(),
        }
    }

    fn ask_name(&mut self, command: Command) {
        match self.here().selected() {
            Some(entry) if command == Command::Rename => {
                // Text that is no name of it would be a wrong beginning.
                let text = std::str::from_utf8(&entry.name)
                    .unwrap_or_default()
                    .to_owned();
                let name = entry.name.clone();
                self.ask(Purpose::Rename(name), &text);
            }
            _ if command == Command::Mkdir => self.ask(Purpose::Mkdir, ""),
            _ => {}
        }
    }

    /// Whether files of this side may be changed.
    fn may_write(&self) -> Result<(), Refusal> {
        let side = self.here();
        if side.listing().may_write {
            return Ok(());
        }
        let why = format!("files on {} can only be read", side.spot().end.name());
        Err(Refusal::denied("files-read-only", why))
    }

    fn transfer(&mut self, what: What) -> Vec<Effect> {
        let (from, to) = (self.here(), self.side(self.focus.other()));
        let names = from.wanted();
        let is_ready = !from.spot().path.is_empty() && !to.spot().path.is_empty();
        if names.is_empty() || !is_ready {
            return Vec::new();
        }
        if !to.listing().may_write || (what == What::Move && !from.listing().may_write) {
            let why = Refusal::denied("files-read-only", "files there can only be read");
            return vec![Effect::Complain(why)];
        }
        let work = Work {
            what,
            from: from.spot().clone(),
            names,
            to: to.spot().clone(),
            policy: Policy::Keep,
            others: [].into(),
            is_again: false,
            limit: self.settings.limit,
        };
        if work.is_idle() {
            return vec![Effect::Say("a directory cannot go into itself".into())];
        }
        if work.from == work.to && what == What::Move {
            return vec![Effect::Say("both sides show the same directory".into())];
        }
        // What is shown may be a moment old: the transfer itself replaces nothing that it was not told to.
        if let Some(present) = to.names() {
            return self.meets(work, present);
        }
        let (asked, to) = (self.number(), work.to.clone());
        self.prompt = Some(Prompt::Looking { work, asked });
        vec![Effect::Look(asked, to)]
    }

    /// Asks what is to become of what is there already, or begins.
    fn meets(&mut self, mut work: Work, present: BTreeSet<Bytes>) -> Vec<Effect> {
        if work.from == work.to {
            work.keep_both(&present);
        } else if work.clashes(&present) > 0 {
            self.prompt = Some(Prompt::Clash { work, present });
            return Vec::new();
        }
        self.queue(work)
    }

    fn delete(&mut self) -> Vec<Effect> {
        let side = self.here();
        let names = side.wanted();
        if names.is_empty() {
            return Vec::new();
        }
        if let Err(why) = self.may_write() {
            return vec![Effect::Complain(why)];
        }
        let spot = side.spot().clone();
        let hidden = side.hidden_marks();
        let directories = side.directories(&names);
        let work = Work {
            what: What::Delete,
            from: spot.clone(),
            names,
            to: spot,
            policy: Policy::Keep,
            others: [].into(),
            is_again: false,
            limit: None,
        };
        self.prompt = Some(Prompt::Sure {
            work,
            hidden,
            directories,
        });
        Vec::new()
    }

    /// The answer to a question; what is none leaves it open.
    pub(super) fn answer(&mut self, command: Command) -> Vec<Effect> {
        if command == Command::Dismiss {
            self.prompt = None;
            return Vec::new();
        }
        match (self.prompt.take(), command) {
            (Some(Prompt::Sure { work, .. }), Command::Yes) => self.queue(work),
            (Some(Prompt::Clash { mut work, present }), Command::Beside) => {
                work.keep_both(&present);
                self.queue(work)
            }
            (Some(Prompt::Clash { mut work, .. }), Command::Replace) => {
                work.policy = Policy::Replace;
                self.queue(work)
            }
            (Some(Prompt::Clash { mut work, .. }), Command::Skip) => {
                work.policy = Policy::Skip;
                self.queue(work)
            }
            (Some(Prompt::Clash { mut work, .. }), Command::Resume) => {
                work.policy = Policy::Resume;
                self.queue(work)
            }
            (prompt, _) => {
                self.prompt = prompt;
                Vec::new()
            }
        }
    }

    /// The names at the target are known.
    pub(in super::super) fn present(
        &mut self,
        number: u64,
        answer: Result<BTreeSet<Bytes>, Refusal>,
    ) -> Vec<Effect> {
        let work = match self.prompt.take() {
            Some(Prompt::Looking { work, asked }) if asked == number => work,
            other => {
                self.prompt = other;
                return Vec::new();
            }
        };
        match answer {
            Ok(present) => self.meets(work, present),
            Err(why) => vec![Effect::Complain(why)],
        }
    }

    /// Puts it at the end of the queue; it begins when there is room.
    pub(super) fn queue(&mut self, work: Work) -> Vec<Effect> {
        if work.what != What::Verify {
            self.here_mut().clear_marks();
        }
        if work.what == What::Verify {
            self.view = View::Transfers;
        }
        let id: JobId = self.number();
        self.jobs.add(id, work);
        self.begin()
    }

    /// Begins what can begin.
    pub(in super::super) fn begin(&mut self) -> Vec<Effect> {
        let begun = self.jobs.start(self.now).into_iter();
        begun.map(|(id, work)| Effect::Begin(id, work)).collect()
    }

    pub(super) fn rename(&mut self, from: &Bytes, text: &str) -> Vec<Effect> {
        let to = Bytes::copy_from_slice(text.as_bytes());
        if to == from {
            return Vec::new();
        }
        if !path::is_name(&to) {
            let why = "a name holds no slash";
            return vec![Effect::Say(why.into())];
        }
        let spot = self.here().spot().clone();
        vec![Effect::Rename(spot, from.clone(), to)]
    }

    pub(super) fn mkdir(&mut self, text: &str) -> Vec<Effect> {
        let spot = self.here().spot().clone();
        vec![Effect::Mkdir(spot, Bytes::copy_from_slice(text.as_bytes()))]
    }
}

/// The first part of a path that was typed for a new directory: what is to be selected then.
pub(in super::super) fn first_part(path: &[u8]) -> Bytes {
    let mut parts = path.split(|byte| *byte == b'/');
    let first = parts.find(|part| !part.is_empty()).unwrap_or_default();
    Bytes::copy_from_slice(first)
}

/// Where a new directory is made.
pub(in super::super) fn new_directory(spot: &Spot, typed: &[u8]) -> Bytes {
    path::plain(&path::join(&spot.path, typed))
}
