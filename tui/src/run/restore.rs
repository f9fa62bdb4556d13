//! Taking the user's terminal over, and giving it back on every way out.

use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

/// The alternate screen, with pastes told apart from keys and changes of the focus told.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[2J";

/// Presses, releases, drags and the wheel, in the encoding without limits.
const MOUSE: &[u8] = b"\x1b[?1002h\x1b[?1006h";

/// Motion without a button besides, and not any more. Only while a program wants it: each move is a message.
pub(super) const MOTION: &[u8] = b"\x1b[?1003h";
pub(super) const NO_MOTION: &[u8] = b"\x1b[?1003l\x1b[?1002h";

/// kitty's keyboard protocol, flag 1: keys that are confused otherwise are told apart. What the
/// terminal did before is kept on its stack. A terminal that does not know it takes no notice.
const KEYBOARD: &[u8] = b"\x1b[>1u";

/// Out of a frame that was not finished, attributes off, and everything as it was.
pub(super) const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[<1u\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1004l\x1b[?2004l\x1b[0 q\x1b[?25h\x1b[?1049l";

/// The same for a terminal that would print what it does not know.
pub(super) const LEAVE_PLAIN: &[u8] =
    b"\x1b[0m\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// What the user's terminal can do beyond what all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// It is more than the console of a kernel: what it does not know it passes over.
    pub is_modern: bool,
    /// The mouse is ours.
    pub mouse: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            is_modern: true,
            mouse: true,
        }
    }
}

impl Terminal {
    /// What `TERM` says; `variable` looks one up.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let name = variable("TERM").unwrap_or_default();
        let is_modern = !["linux", "vt100", "vt102", "vt220", "ansi", "dumb", "cons25"]
            .contains(&name.as_str());
        Self {
            is_modern,
            mouse: true,
        }
    }

    pub(super) fn with_mouse(self, mouse: bool) -> Self {
        Self { mouse, ..self }
    }

    fn enter(self) -> Vec<u8> {
        let mut bytes = ENTER.to_vec();
        if self.mouse {
            bytes.extend_from_slice(MOUSE);
        }
        if self.is_modern {
            bytes.extend_from_slice(KEYBOARD);
        }
        bytes
    }

    /// What gives it back.
    pub(super) fn leave(self) -> &'static [u8] {
        if self.is_modern { LEAVE } else { LEAVE_PLAIN }
    }
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// The terminal is ours while this lives.
pub(super) struct TakenOver {
    /// What was called on a panic before; also by our hook.
    before: Arc<Mutex<Option<Hook>>>,
    terminal: Terminal,
    /// The last bytes went out already.
    has_left: bool,
}

impl TakenOver {
    pub(super) fn new(terminal: Terminal) -> io::Result<Self> {
        take(terminal)?;
        let before = Arc::new(Mutex::new(Some(panic::take_hook())));
        let calls = Arc::clone(&before);
        panic::set_hook(Box::new(move |panicked| {
            // The emulator's grid catches its own panics: nothing has happened.
            if cmdop_emulator::is_contained() {
                return;
            }
            give_back(terminal);
            if let Some(hook) = &*calls.lock().unwrap_or_else(PoisonError::into_inner) {
                hook(panicked);
            }
        }));
        Ok(Self {
            before,
            terminal,
            has_left: false,
        })
    }

    /// Nothing is left to write: only the mode is to be given back.
    pub(super) fn has_left(mut self) {
        self.has_left = true;
    }

    /// After the process was stopped, when somebody else may have changed the terminal's mode.
    pub(super) fn again(&self) -> io::Result<()> {
        take(self.terminal)
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
            give_back(self.terminal);
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

fn take(terminal: Terminal) -> io::Result<()> {
    // crossterm remembers the mode that it found the first time, and gives that back.
    crossterm::terminal::disable_raw_mode()?;
    crossterm::terminal::enable_raw_mode()?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&terminal.enter())?;
    stdout.flush()
}

/// The terminal as it was: for panics, where nothing can be waited for.
fn give_back(terminal: Terminal) {
    let _ = crossterm::terminal::disable_raw_mode();
    let mut stdout = io::stdout();
    let _ = stdout.write_all(terminal.leave());
    let _ = stdout.flush();
}
