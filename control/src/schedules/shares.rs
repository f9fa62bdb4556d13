//! Room for what goes on at the same time, of which no workspace gets all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cmdop_proto::WorkspaceId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The room of all, and the share of each who has some of it.
#[derive(Debug)]
pub(super) struct Shares {
    all: Arc<Semaphore>,
    most: usize,
    of: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
}

/// One place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

impl Shares {
    /// So many places, and at most so many for one workspace.
    pub(super) fn new(all: usize, most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            most,
            of: Mutex::default(),
        }
    }

    /// Waits for a place. Cancel-safe. The own share first: who waits for that holds up nobody else.
    pub(super) async fn take(&self, workspace: WorkspaceId) -> Result<Place, AcquireError> {
        let share = self.share(workspace);
        Ok(Place {
            _of_one: share.acquire_owned().await?,
            _of_all: self.all.clone().acquire_owned().await?,
        })
    }

    /// A place, if there is one now.
    pub(super) fn try_take(&self, workspace: WorkspaceId) -> Option<Place> {
        Some(Place {
            _of_one: self.share(workspace).try_acquire_owned().ok()?,
            _of_all: self.all.clone().try_acquire_owned().ok()?,
        })
    }

    /// How many places there are.
    pub(super) fn room(&self) -> usize {
        self.all.available_permits()
    }

    /// Who has all that it may have. They are few: so many shares there are.
    pub(super) fn full(&self) -> Vec<WorkspaceId> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let full = of
            .iter()
            .filter(|(_, share)| share.available_permits() == 0);
        full.map(|(workspace, _)| *workspace).collect()
    }

    fn share(&self, workspace: WorkspaceId) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has no place and waits for none is not remembered: each permit holds its semaphore.
        of.retain(|_, share| Arc::strong_count(share) > 1);
        let share = of.entry(workspace);
        share
            .or_insert_with(|| Arc::new(Semaphore::new(self.most)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn no_workspace_gets_all_of_it() {
        let shares = Shares::new(3, 2);
        let (one, other) = (WorkspaceId::new(), WorkspaceId::new());
        let take = |workspace| shares.take(workspace).now_or_never();
        let held = [take(one), take(one)].map(|place| place.unwrap().unwrap());
        assert!(take(one).is_none() && shares.try_take(one).is_none());
        assert_eq!((shares.full(), shares.room()), (vec![one], 1));
        let others = take(other).unwrap().unwrap();
        assert!(take(other).is_none(), "there is no more");
        drop(held);
        assert!(shares.full().is_empty());
        drop(others);
        assert!(take(other).is_some());
        assert_eq!(shares.of.lock().unwrap().len(), 1, "who left is forgotten");
    }
}
