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

    /// The run of that id, or of which it is the unique beginning, and its machine.
    pub(crate) fn find(
        &self,
        workspace: WorkspaceId,
        reference: &str,
    ) -> Result<(RunId, MachineId), Refusal> {
        let exact = reference.parse::<RunId>().ok();
        let known = self.lock();
        let mut found = None;
        for (machine, runs) in known.get(&workspace).into_iter().flatten() {
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

    #[test]
    fn a_run_is_found_by_its_id_in_its_own_workspace_only() {
        let runs = DetachedRuns::default();
        let (ours, theirs) = (WorkspaceId::new(), WorkspaceId::new());
        let (machine, run) = (MachineId::new(), RunId::new());
        runs.started(ours, machine, run);
        let id = run.to_string();
        assert_eq!(runs.find(ours, &id).unwrap(), (run, machine));
        assert_eq!(runs.find(ours, &id[..8]).unwrap(), (run, machine));
        for unknown in [id.as_str(), &id[..8], ""] {
            assert_eq!(
                runs.find(theirs, unknown).unwrap_err().reason,
                "run-unknown"
            );
        }
        assert_eq!(runs.find(ours, "").unwrap_err().reason, "run-unknown");
    }

    #[test]
    fn what_an_agent_registers_replaces_what_was_known_of_it_and_is_bounded() {
        let runs = DetachedRuns::default();
        let (workspace, machine) = (WorkspaceId::new(), MachineId::new());
        let old = RunId::new();
        runs.started(workspace, machine, old);
        let new: Vec<_> = (0..300).map(|_| RunId::new().to_string()).collect();
        runs.registered(workspace, machine, &new);
        assert!(runs.find(workspace, &old.to_string()).is_err());
        runs.find(workspace, &new[0]).unwrap();
        assert!(runs.find(workspace, &new[299]).is_err());
        runs.started(workspace, machine, old);
        assert!(runs.find(workspace, &new[0]).is_err());
        runs.forget(workspace, machine);
        assert!(runs.lock().is_empty());
    }
}
