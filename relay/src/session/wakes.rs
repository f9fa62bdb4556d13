//! Whom to wake once the lock is free again. The common case, one waiter, takes no memory.

use std::task::Waker;

/// Wakers that were taken out of a locked state.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    /// Takes the waker out of its place, if one is there.
    pub(crate) fn take(&mut self, place: &mut Option<Waker>) {
        match (place.take(), &self.first) {
            (None, _) => {}
            (waker, None) => self.first = waker,
            (Some(waker), Some(_)) => self.rest.push(waker),
        }
    }

    /// Wakes them all.
    pub(crate) fn wake(self) {
        self.first
            .into_iter()
            .chain(self.rest)
            .for_each(Waker::wake);
    }
}
