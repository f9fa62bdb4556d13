//! What is open between a caller and an agent, by its machine and the number that its agent knows it by.
//!
//! An agent can only name its own machine's. One machine has a bounded number of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cmdop_proto::{MachineId, RunId};

type Key = (MachineId, RunId);

/// See the module. Clones are the same table.
#[derive(Debug)]
pub(crate) struct ByMachine<T> {
    shared: Arc<Mutex<HashMap<Key, Arc<T>>>>,
}

/// Why something cannot be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotEntered {
    /// There is one of this number.
    Known,
    /// The machine has as many as it may.
    Full,
}

impl<T> ByMachine<T> {
    /// Enters one, if its machine has fewer than `most`.
    pub(crate) fn enter(&self, key: Key, value: Arc<T>, most: usize) -> Result<(), NotEntered> {
        let mut all = self.lock();
        if all.contains_key(&key) {
            return Err(NotEntered::Known);
        }
        if all.keys().filter(|(machine, _)| *machine == key.0).count() >= most {
            return Err(NotEntered::Full);
        }
        all.insert(key, value);
        Ok(())
    }

    /// The one that an agent names.
    pub(crate) fn get(&self, key: Key) -> Option<Arc<T>> {
        self.lock().get(&key).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().values().cloned().collect()
    }

    /// It is over.
    pub(crate) fn remove(&self, key: Key) {
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<T>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for ByMachine<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Default for ByMachine<T> {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_bounded_number_of_its_own() {
        let table = ByMachine::default();
        let (one, other) = (MachineId::new(), MachineId::new());
        let first = (one, RunId::new());
        assert_eq!(table.enter(first, Arc::new(1), 1), Ok(()));
        assert_eq!(table.enter(first, Arc::new(2), 9), Err(NotEntered::Known));
        let second = (one, RunId::new());
        assert_eq!(table.enter(second, Arc::new(2), 1), Err(NotEntered::Full));
        assert_eq!(table.enter((other, first.1), Arc::new(3), 1), Ok(()));
        assert_eq!(table.get(first).as_deref(), Some(&1));
        assert_eq!(table.get((other, first.1)).as_deref(), Some(&3));
        table.remove(first);
        assert_eq!(table.get(first), None);
        assert_eq!(table.all().len(), 1);
    }
}
