//! Taking the user's terminal over, and giving it back on every way out.

use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

/// The alternate screen, with pastes told apart from keys.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[2J";

/// Out of a frame that was not finished, attributes off, cursor on, and back to the shell's screen.
pub(super) const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// The terminal is ours while this lives.
pub(super) struct TakenOver {
    /// What was called on a panic before; also by our hook.
    before: Arc<Mutex<Option<Hook>>>,
    /// The last bytes went out already.
    has_left: bool,
}

impl TakenOver {
    pub(super) fn new() -> io::Result<Self> {
        take()?;
        let before = Arc::new(Mutex::new(Some(panic::take_hook())));
        let calls = Arc::clone(&before);
        panic::set_hook(Box::new(move |panicked| {
            // The emulator's grid catches its own panics: nothing has happened.
            if cmdop_emulator::is_contained() {
                return;
            }
            give_back();
            if let Some(hook) = &*calls.lock().unwrap_or_else(PoisonError::into_inner) {
                hook(panicked);
            }
        }));
        Ok(Self {
            before,
            has_left: false,
        })
    }

    /// Nothing is left to write: only the mode is to be given back.
    pub(super) fn has_left(mut self) {
        self.has_left = true;
    }

    /// After the process was stopped, when somebody else may have changed the terminal's mode.
    pub(super) fn again() -> io::Result<()> {
        take()
    }
}

impl Drop for TakenOver {
    fn drop(&mut self) {
        // A thread that panics has given the terminal back in the hook, and may not change hooks.
        if std::thread::panicking() {
            return;
        }
        if self.has_left {
            let _ = crossterm::terminal::disable_raw_mode();
        } else {
            give_back();
        }
        let before = self
            .before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(panic::take_hook());
        if let Some(before) = before {
            panic::set_hook(before);
        }
    }
}

fn take() -> io::Result<()> {
    // crossterm remembers the mode that it found the first time, and gives that back.
    crossterm::terminal::disable_raw_mode()?;
    crossterm::terminal::enable_raw_mode()?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(ENTER)?;
    stdout.flush()
}

/// The terminal as it was: for panics, where nothing can be waited for.
fn give_back() {
    let _ = crossterm::terminal::disable_raw_mode();
    let mut stdout = io::stdout();
    let _ = stdout.write_all(LEAVE);
    let _ = stdout.flush();
}
