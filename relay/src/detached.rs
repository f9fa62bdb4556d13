//! Which machine keeps which detached run: learned when one is started and when an agent registers,
//! so that a run can be named without its machine.
//!
//! Only a hint: the agent alone knows its runs. Nothing of one workspace is found from another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cmdop_proto::limits::MAX_DETACHED_RUNS;
use cmdop_proto::{MachineId, Refusal, RunId, WorkspaceId, text};

/// All that are known of.
#[derive(Debug, Default)]
pub(crate) struct DetachedRuns {
    known: Mutex<Known>,
}

type Known = HashMap<WorkspaceId, HashMap<MachineId, VecDeque<RunId>>>;

impl DetachedRuns {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An agent was told to start one.
    pub(crate) fn started(&self, workspace: WorkspaceId, machine: MachineId, run: RunId) {
        let mut known = self.lock();
        let runs = known
            .entry(workspace)
            .or_default()
            .entry(machine)
            .or_default();
        // An agent keeps no more: the oldest is gone there too.
        while runs.len() >= MAX_DETACHED_RUNS {
            runs.pop_front();
        }
        runs.push_back(run);
    }

    /// An agent says which it has. What is no id at all is passed over.
    pub(crate) fn registered(&self, workspace: WorkspaceId, machine: MachineId, runs: &[String]) {
        let runs: VecDeque<RunId> = runs
            .iter()
            .take(MAX_DETACHED_RUNS)
            .filter_map(|id| id.parse().ok())
            .collect();
        let mut known = self.lock();
        let machines = known.entry(workspace).or_default();
        if runs.is_empty() {
            machines.remove(&machine);
        } else {
            machines.insert(machine, runs);
        }
        if machines.is_empty() {
            known.remove(&workspace);
        }
    }

    /// The machine left its workspace.
    pub(crate) fn forget(&self, workspace: WorkspaceId, machine: MachineId) {
        self.registered(workspace, machine, &[]);
    }

    /// The run of that id, or of which it is the unique beginning, and its machine. Runs on machines that the
    /// caller does not reach are not there.
    pub(crate) fn find(
        &self,
        workspace: WorkspaceId,
        reference: &str,
        is_reached: impl Fn(MachineId) -> bool,
    ) -> Result<(RunId, MachineId), Refusal> {
        let exact = reference.parse::<RunId>().ok();
        let known = self.lock();
        let mut found = None;
        let machines = known.get(&workspace).into_iter().flatten();
        for (machine, runs) in machines.filter(|(machine, _)| is_reached(**machine)) {
            for run in runs {
                let is_meant = match exact {
                    Some(id) => *run == id,
                    None => !reference.is_empty() && run.to_string().starts_with(reference),
                };
                if is_meant && found.replace((*run, *machine)).is_some() {
                    return Err(ambiguous(reference));
                }
            }
        }
        found.ok_or_else(|| unknown(reference))
    }
}

fn ambiguous(reference: &str) -> Refusal {
    let shown = text::shown(reference, 64);
    Refusal::invalid(
        "run-ambiguous",
        format!("several runs have an id that begins with `{shown}`"),
    )
    .hint("give more of the id")
}

fn unknown(reference: &str) -> Refusal {
    let shown = text::shown(reference, 64);
    Refusal::not_found("run-unknown", format!("there is no detached run `{shown}`"))
        .hint("`cmdop exec --detach` prints the id; a run is kept for a day after its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_: MachineId) -> bool {
        true
    }

    #[test]
    fn a_run_is_found_by_its_id_in_its_own_workspace_only() {
        let runs = DetachedRuns::default();
        let (ours, theirs) = (WorkspaceId::new(), WorkspaceId::new());
        let (machine, run) = (MachineId::new(), RunId::new());
        runs.started(ours, machine, run);
        let id = run.to_string();
        assert_eq!(runs.find(ours, &id, all).unwrap(), (run, machine));
        assert_eq!(runs.find(ours, &id[..8], all).unwrap(), (run, machine));
        for unknown in [id.as_str(), &id[..8], ""] {
            assert_eq!(
                runs.find(theirs, unknown, all).unwrap_err().reason,
                "run-unknown"
            );
        }
        assert_eq!(runs.find(ours, "", all).unwrap_err().reason, "run-unknown");
    }

    #[test]
    fn a_run_on_a_machine_that_is_not_reached_is_not_there() {
        let runs = DetachedRuns::default();
        let (workspace, here, there) = (WorkspaceId::new(), MachineId::new(), MachineId::new());
        let (mine, other) = (RunId::new(), RunId::new());
        runs.started(workspace, here, mine);
        runs.started(workspace, there, other);
        let find = |id: &str| runs.find(workspace, id, |machine| machine == here);
        // What both begin with is not ambiguous: only one is there.
        let common = &mine.to_string()[..4];
        assert_eq!(find(common).unwrap(), (mine, here));
        assert_eq!(find(&other.to_string()).unwrap_err().reason, "run-unknown");
    }

    #[test]
    fn what_an_agent_registers_replaces_what_was_known_of_it_and_is_bounded() {
        let runs = DetachedRuns::default();
        let (workspace, machine) = (WorkspaceId::new(), MachineId::new());
        let old = RunId::new();
        runs.started(workspace, machine, old);
        let new: Vec<_> = (0..300).map(|_| RunId::new().to_string()).collect();
        runs.registered(workspace, machine, &new);
        assert!(runs.find(workspace, &old.to_string(), all).is_err());
        runs.find(workspace, &new[0], all).unwrap();
        assert!(runs.find(workspace, &new[299], all).is_err());
        runs.started(workspace, machine, old);
        assert!(runs.find(workspace, &new[0], all).is_err());
        runs.forget(workspace, machine);
        assert!(runs.lock().is_empty());
    }
}
