//! What commands and keys do.

use crossterm::event::{KeyCode, KeyEvent};

use super::prompt::Wanted;
use super::selection::{invert, toggle};
use super::{
    Command, Dashboard, Effect, Filter, Grouping, Now, Order, Prompt, Results, RunRequest, Step,
    Target, View,
};
use crate::line::Line;

impl Dashboard {
    /// Does what a key stands for.
    pub fn apply(&mut self, command: Command, now: Now) -> Vec<Effect> {
        self.refresh(now.instant);
        if matches!(self.prompt, Some(Prompt::Confirm(_))) {
            return self.answer(command, now);
        }
        let effects = match command {
            Command::Help => vec![Effect::Help(self.keys())],
            Command::Dismiss => self.dismiss(),
            Command::Run => self.ask_command(),
            _ => match self.view {
                View::Table => self.in_table(command),
                View::Detail(_) => self.in_detail(command),
                View::Results => self.in_results(command, now),
            },
        };
        self.refresh(now.instant);
        effects
    }

    fn dismiss(&mut self) -> Vec<Effect> {
        match self.view {
            View::Table => return vec![Effect::Leave],
            View::Detail(_) | View::Results => self.view = View::Table,
        }
        Vec::new()
    }

    /// How far a moving command moves.
    fn step(&self, command: Command) -> Option<Step> {
        let page = self.body_height().saturating_sub(1).max(1) as isize;
        Some(match command {
            Command::Down => Step::Rows(1),
            Command::Up => Step::Rows(-1),
            Command::PageDown => Step::Rows(page),
            Command::PageUp => Step::Rows(-page),
            Command::HalfDown => Step::Rows((page / 2).max(1)),
            Command::HalfUp => Step::Rows(-(page / 2).max(1)),
            Command::First => Step::First,
            Command::Last => Step::Last,
            _ => return None,
        })
    }

    fn in_table(&mut self, command: Command) -> Vec<Effect> {
        if let Some(step) = self.step(command) {
            self.selection.step(&self.rows, step);
            return Vec::new();
        }
        match command {
            Command::Open => return self.open(),
            Command::Detail => self.show_detail(),
            Command::Results if self.results.is_some() => self.view = View::Results,
            Command::Filter => {
                let before = self.filter_text.clone();
                self.prompt = Some(Prompt::filter(Line::new(&before), before));
            }
            Command::ClearFilter => self.set_filter(Filter::default(), String::new()),
            Command::SortNext => self.set_order(self.order.next()),
            Command::SortReverse => self.set_order(self.order.reversed()),
            Command::Sort(column) if column == self.order.column => {
                self.set_order(self.order.reversed());
            }
            Command::Sort(column) => self.set_order(Order::by(column)),
            Command::Fold => self.fold(),
            Command::FoldAll => self.fold_all(),
            Command::Group => {
                self.grouping = match self.grouping {
                    Grouping::Fleets => Grouping::Flat,
                    Grouping::Flat => Grouping::Fleets,
                };
            }
            Command::Mark => self.mark(),
            Command::MarkAll => {
                let shown: Vec<_> = self.rows.machines().collect();
                toggle(&mut self.marks, &shown);
            }
            Command::MarkInvert => invert(&mut self.marks, self.rows.machines()),
            Command::MarkClear => self.marks.clear(),
            _ => {}
        }
        self.is_dirty = true;
        Vec::new()
    }

    fn open(&mut self) -> Vec<Effect> {
        match self.selection.target() {
            Some(Target::Machine(id)) => return vec![Effect::Open(*id)],
            Some(Target::Fleet(_)) => self.fold(),
            None => {}
        }
        Vec::new()
    }

    fn show_detail(&mut self) {
        if let Some(Target::Machine(id)) = self.selection.target() {
            self.view = View::Detail(*id);
            self.detail_top = 0;
        }
    }

    fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    fn set_filter(&mut self, filter: Filter, text: String) {
        (self.filter, self.filter_text) = (filter, text);
        self.is_dirty = true;
    }

    /// The fleet that the selected row is, or is in.
    fn fold(&mut self) {
        let name = match self.selection.target() {
            Some(Target::Fleet(name)) => name.clone(),
            Some(Target::Machine(id)) => match self.hosts.get(*id) {
                Some(host) => host.fleet().to_owned(),
                None => return,
            },
            None => return,
        };
        if !self.folded.remove(&name) {
            self.folded.insert(name);
        }
        self.is_dirty = true;
    }

    /// Folds all fleets, or if all are folded, unfolds them.
    fn fold_all(&mut self) {
        let names = self.rows.groups().iter().map(|group| group.name.clone());
        let all: Vec<_> = names.collect();
        if all.iter().all(|name| self.folded.contains(name)) {
            self.folded.clear();
        } else {
            self.folded.extend(all);
        }
    }

    fn mark(&mut self) {
        match self.selection.target() {
            Some(Target::Machine(id)) => toggle(&mut self.marks, &[*id]),
            Some(Target::Fleet(name)) => {
                let group = self.rows.groups().iter().find(|group| group.name == *name);
                if let Some(group) = group {
                    toggle(&mut self.marks, &group.machines);
                }
            }
            None => {}
        }
        self.selection.step(&self.rows, Step::Rows(1));
    }

    fn in_detail(&mut self, command: Command) -> Vec<Effect> {
        match (command, self.step(command)) {
            (_, Some(Step::Rows(by))) => {
                self.detail_top = self.detail_top.saturating_add_signed(by);
            }
            (_, Some(Step::First)) => self.detail_top = 0,
            // The next picture brings it back to what there is.
            (_, Some(Step::Last)) => self.detail_top = usize::MAX,
            (Command::Open, None) => {
                return self
                    .current()
                    .map(|host| Effect::Open(host.machine.id))
                    .into_iter()
                    .collect();
            }
            _ => {}
        }
        Vec::new()
    }

    fn in_results(&mut self, command: Command, now: Now) -> Vec<Effect> {
        let (step, runs) = (self.step(command), self.runs + 1);
        let Some(results) = &mut self.results else {
            return Vec::new();
        };
        match command {
            Command::Expand | Command::Open => results.expand(),
            Command::ExpandAll => results.expand_all(),
            Command::CancelRun => {
                let run = results.run();
                if results.cancel(now.instant) {
                    return vec![Effect::Cancel(run)];
                }
            }
            Command::RunFailed => {
                if let Some(request) = results.again(runs, now.instant) {
                    self.runs = runs;
                    return vec![Effect::Run(request)];
                }
            }
            _ => {
                if let Some(step) = step {
                    results.step(step);
                }
            }
        }
        Vec::new()
    }

    // ------------------------------------------------------------ lines and questions

    /// The machines that a command is for: the marked ones, or the selected one, or those of the selected
    /// fleet. In detail, that one.
    fn wanted(&self) -> Vec<(cmdop_proto::MachineId, String)> {
        let ids: Vec<_> = match (&self.view, self.selection.target()) {
            (View::Detail(id), _) => vec![*id],
            _ if !self.marks.is_empty() => self.marks.iter().copied().collect(),
            (_, Some(Target::Machine(id))) => vec![*id],
            (_, Some(Target::Fleet(name))) => {
                let group = self.rows.groups().iter().find(|group| group.name == *name);
                group
                    .map(|group| group.machines.clone())
                    .unwrap_or_default()
            }
            (_, None) => Vec::new(),
        };
        let named = ids.into_iter().filter_map(|id| {
            let host = self.hosts.get(id)?;
            Some((id, host.machine.name.clone()))
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by(|one, other| one.1.cmp(&other.1));
        named
    }

    fn ask_command(&mut self) -> Vec<Effect> {
        let machines = self.wanted();
        if self.view == View::Results || machines.is_empty() {
            return Vec::new();
        }
        let shown: std::collections::BTreeSet<_> = self.rows.machines().collect();
        let hidden = machines
            .iter()
            .filter(|(id, _)| !shown.contains(id))
            .count();
        self.prompt = Some(Prompt::command(Wanted { machines, hidden }));
        Vec::new()
    }

    /// A key while a line is asked for. `None`: it is none of ours, look it up in [`Self::keys`].
    pub fn press(&mut self, key: &KeyEvent, now: Now) -> Option<Vec<Effect>> {
        match (self.prompt.as_mut()?, key.code) {
            (Prompt::Confirm(_), _) => return None,
            (_, KeyCode::Enter) => self.enter(),
            (_, KeyCode::Esc) => self.give_up(),
            (Prompt::Filter { line, .. } | Prompt::Command { line, .. }, _) => {
                line.press(key);
                self.typed();
            }
        }
        self.refresh(now.instant);
        Some(Vec::new())
    }

    /// Text that was pasted while a line is asked for; `false`: none is.
    pub fn paste(&mut self, text: &str, now: Now) -> bool {
        let Some(Prompt::Filter { line, .. } | Prompt::Command { line, .. }) = &mut self.prompt
        else {
            return false;
        };
        line.insert(text);
        self.typed();
        self.refresh(now.instant);
        true
    }

    /// A filter counts as soon as it can be understood.
    fn typed(&mut self) {
        if let Some(Prompt::Filter { line, error, .. }) = &mut self.prompt {
            let text = line.text().to_owned();
            match Filter::parse(&text) {
                Ok(filter) => {
                    *error = None;
                    self.set_filter(filter, text);
                }
                Err(wrong) => *error = Some(wrong),
            }
        }
    }

    /// A filter that is wrong stays asked for, a command that is empty too.
    fn enter(&mut self) {
        match self.prompt.take() {
            Some(prompt @ Prompt::Filter { error: Some(_), .. }) => self.prompt = Some(prompt),
            Some(Prompt::Command { line, wanted }) if line.text().trim().is_empty() => {
                self.prompt = Some(Prompt::Command { line, wanted });
            }
            Some(Prompt::Command { line, wanted }) => {
                let command = line.text().trim().to_owned();
                let max_output = Results::room_for(wanted.machines.len());
                self.prompt = Some(Prompt::Confirm(super::prompt::Question {
                    hidden: wanted.hidden,
                    request: RunRequest {
                        run: self.runs + 1,
                        command,
                        machines: wanted.machines,
                        max_output,
                    },
                }));
            }
            _ => {}
        }
    }

    fn give_up(&mut self) {
        if let Some(Prompt::Filter { before, .. }) = self.prompt.take() {
            let filter = Filter::parse(&before).unwrap_or_default();
            self.set_filter(filter, before);
        }
    }

    /// The answer to the question whether to run; what is neither yes nor no leaves it open.
    fn answer(&mut self, command: Command, now: Now) -> Vec<Effect> {
        match command {
            Command::Yes => {}
            Command::Dismiss => {
                self.prompt = None;
                return Vec::new();
            }
            _ => return Vec::new(),
        }
        let Some(Prompt::Confirm(question)) = self.prompt.take() else {
            return Vec::new();
        };
        self.runs = question.request.run;
        let old = self
            .results
            .as_ref()
            .filter(|old| !old.is_over())
            .map(Results::run);
        self.results = Some(Results::new(&question.request, now.instant));
        self.results_top = 0;
        self.view = View::Results;
        let cancel = old.map(Effect::Cancel);
        cancel
            .into_iter()
            .chain([Effect::Run(question.request)])
            .collect()
    }
}
