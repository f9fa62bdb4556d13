//! The user's terminal: raw while attached, and as it was on every way out, a panic included.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use cmdop_proto::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::screen;

/// A terminal in raw mode. Dropping it restores the terminal's modes and leaves its screen sane.
#[derive(Debug)]
pub(in crate::cli) struct Raw {
    saved: Arc<Saved>,
}

#[derive(Debug)]
struct Saved {
    terminal: OwnedFd,
    // Taken by whoever restores first: the drop, or the panic hook.
    modes: Mutex<Option<Termios>>,
}

impl Raw {
    /// Makes stdin's terminal raw.
    pub(in crate::cli) fn enter() -> io::Result<Self> {
        let terminal = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let modes = tcgetattr(&terminal)?;
        let saved = Arc::new(Saved {
            terminal,
            modes: Mutex::new(Some(modes)),
        });
        restore_on_panic(&saved);
        let raw = Self { saved };
        raw.again()?;
        Ok(raw)
    }

    /// Makes it raw once more: after a stop, a shell may have set its modes.
    pub(in crate::cli) fn again(&self) -> io::Result<()> {
        let mut modes = tcgetattr(&self.saved.terminal)?;
        modes.make_raw();
        Ok(tcsetattr(
            &self.saved.terminal,
            OptionalActions::Now,
            &modes,
        )?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.saved.restore();
    }
}

impl Saved {
    fn restore(&self) {
        let modes = self
            .modes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(modes) = modes else { return };
        // What cannot be restored cannot be restored: the process ends either way.
        let _ = rustix::io::write(rustix::stdio::stdout(), &screen::leave(size()));
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &modes);
    }
}

/// The message of a panic must be readable, and the shell after it usable.
fn restore_on_panic(saved: &Arc<Saved>) {
    let saved = Arc::downgrade(saved);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The emulator's grid catches its own panics: nothing has happened.
        if cmdop_emulator::is_contained() {
            return;
        }
        if let Some(saved) = saved.upgrade() {
            saved.restore();
        }
        before(panic);
    }));
}

/// The size of the terminal on stdout, or else on stdin; `None` if neither is one.
pub(in crate::cli) fn size() -> Option<Size> {
    [rustix::stdio::stdout(), rustix::stdio::stdin()]
        .into_iter()
        .find_map(|fd| tcgetwinsize(fd).ok())
        .and_then(|size| super::clamped(size.ws_row, size.ws_col))
}
