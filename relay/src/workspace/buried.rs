//! Sessions that were ended here while their agent was away, and whose records are forgotten: their
//! agent must not bring them back to life.
//!
//! An entry stays until its agent is heard of without it. A restart of the relay forgets them all, as
//! it forgets everything that agents do not bring back.

use std::collections::{HashMap, VecDeque};

use cmdop_proto::{MachineId, SessionId};

/// In one workspace; the oldest go first. About 100 bytes each.
const MAX_BURIED: usize = 4096;

/// The entries.
#[derive(Debug, Default)]
pub(super) struct Buried {
    machines: HashMap<SessionId, MachineId>,
    /// The oldest first.
    order: VecDeque<SessionId>,
}

impl Buried {
    pub(super) fn bury(&mut self, id: SessionId, machine: MachineId) {
        if self.machines.insert(id, machine).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_BURIED
            && let Some(oldest) = self.order.pop_front()
        {
            self.machines.remove(&oldest);
        }
    }

    pub(super) fn holds(&self, id: SessionId, machine: MachineId) -> bool {
        self.machines.get(&id) == Some(&machine)
    }

    /// Keeps those of `machine` for which `has` says so, and all of other machines.
    pub(super) fn keep(&mut self, machine: MachineId, has: impl Fn(SessionId) -> bool) {
        self.machines
            .retain(|id, owner| *owner != machine || has(*id));
        self.order.retain(|id| self.machines.contains_key(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_buried_is_bounded_and_goes_when_its_agent_has_it_no_longer() {
        let mut buried = Buried::default();
        let (one, other) = (MachineId::new(), MachineId::new());
        let ids: Vec<_> = (0..MAX_BURIED + 2).map(|_| SessionId::new()).collect();
        for id in &ids {
            buried.bury(*id, one);
            buried.bury(*id, one);
        }
        assert_eq!((buried.order.len(), buried.machines.len()), (4096, 4096));
        let newest = ids[ids.len() - 1];
        assert!(!buried.holds(ids[0], one) && buried.holds(newest, one));
        assert!(!buried.holds(newest, other));
        buried.keep(other, |_| false);
        buried.keep(one, |id| id == newest);
        assert!(buried.holds(newest, one));
        assert_eq!((buried.order.len(), buried.machines.len()), (1, 1));
    }
}
