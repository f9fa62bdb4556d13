//! The lock of what the relay's threads share: held for one short method, never across an await.
//!
//! A panic under it is a bug of that one method; everybody else goes on with what is there. In tests
//! a scheduler may decide who comes next ([`scheduled`]); the released relay has nothing of that.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value that one thread at a time may touch.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

/// The value, as long as it is held.
#[derive(Debug)]
pub(crate) struct Held<'a, T> {
    value: MutexGuard<'a, T>,
    // After the value: others may come first once it is free, before its holder's next step.
    #[cfg(test)]
    _then: scheduled::GiveWay,
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Held<'_, T> {
        Held {
            value: self.take(),
            #[cfg(test)]
            _then: scheduled::GiveWay,
        }
    }

    #[cfg(not(test))]
    fn take(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn take(&self) -> MutexGuard<'_, T> {
        use std::sync::TryLockError;
        while scheduled::gives_way() {
            match self.0.try_lock() {
                Ok(value) => return value,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Threads whose every switch is chosen by shuttle. They share one thread of the system, so none may
/// ever block it: who finds a lock taken gives way until it is free.
#[cfg(test)]
pub(crate) mod scheduled {
    use std::cell::Cell;

    thread_local! {
        static IS_ON: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `check`, which runs shuttle, with locks that give way.
    pub(crate) fn run(check: impl FnOnce()) {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                IS_ON.set(false);
            }
        }
        IS_ON.set(true);
        let _off = Off;
        check();
    }

    /// Lets the scheduler choose who is next; `false`: there is none, or this thread is dying.
    pub(super) fn gives_way() -> bool {
        let is_on = IS_ON.get() && !std::thread::panicking();
        if is_on {
            shuttle::thread::yield_now();
        }
        is_on
    }

    /// Gives way when it goes.
    #[derive(Debug)]
    pub(super) struct GiveWay;

    impl Drop for GiveWay {
        fn drop(&mut self) {
            gives_way();
        }
    }
}
