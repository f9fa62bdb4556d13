//! The full screen as a terminal meets it: the real program on a real PTY. There is no server behind
//! it; the system's own tests have one.

#![allow(clippy::unwrap_used, reason = "a test's own helpers fail the test")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::time::Duration;

use cmdop_emulator::{Emulator, Options};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

/// Nothing takes this long, not even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// `cmdop` on a terminal of its own.
struct Person {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn std::io::Write + Send>,
    output: mpsc::Receiver<Vec<u8>>,
    screen: Emulator,
    printed: Vec<u8>,
    _home: tempfile::TempDir,
}

impl Person {
    /// Opens the full screen on a profile whose server does not answer.
    fn new(rows: u16, cols: u16) -> Self {
        let home = home();
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cmdop"));
        command.env_clear();
        command.env("CMDOP_HOME", home.path());
        command.env("CMDOP_TOKEN_STORE", "file");
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 64 << 10];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys: pair.master.take_writer().unwrap(),
            master: pair.master,
            output,
            screen: Emulator::new(rows, cols, Options::default()),
            printed: Vec::new(),
            _home: home,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn text(&self) -> String {
        let (rows, cols) = self.screen.size();
        let cell = |row, col| match self.screen.cell(row, col) {
            Some(cell) if cell.width == 1 && cell.text.is_empty() => " ".to_owned(),
            Some(cell) => cell.text.to_owned(),
            None => String::new(),
        };
        let row = |row| (0..cols).map(|col| cell(row, col)).collect::<String>() + "\n";
        (0..rows).map(row).collect()
    }

    /// Reads until the screen shows what is wanted.
    fn wait_for(&mut self, what: &str, is_there: impl Fn(&str) -> bool) {
        while !is_there(&self.text()) {
            let Ok(bytes) = self.output.recv_timeout(DEADLINE) else {
                panic!("waited for {what}; the screen is\n{}", self.text());
            };
            self.screen.feed(&bytes);
            self.printed.extend(bytes);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.process_id().unwrap() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end and checks that the terminal is as it was; returns the exit code.
    fn leave(mut self) -> u32 {
        let (sender, ended) = mpsc::channel();
        let mut child = self.child;
        std::thread::spawn(move || sender.send(child.wait().unwrap().exit_code()));
        let code = ended.recv_timeout(DEADLINE).expect("it ends");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.screen.feed(&bytes);
            self.printed.extend(bytes);
        }
        let modes = self.screen.modes();
        assert!(!modes.alternate_screen, "the shell's screen is back");
        assert!(modes.cursor_visible && !modes.bracketed_paste && !modes.synchronized);
        assert_eq!(modes.mouse, cmdop_emulator::MouseMode::None);
        assert!(!modes.focus_events && modes.kitty_keyboard == 0);
        assert!(
            is_cooked(&*self.master),
            "the terminal echoes and edits lines again"
        );
        code
    }
}

fn is_cooked(master: &dyn MasterPty) -> bool {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(master.tty_name().unwrap(), flags, Mode::empty()).unwrap();
    let modes = tcgetattr(&terminal).unwrap().local_modes;
    modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
}

/// A home with a profile that nobody is logged in to.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let client = home.path().join("client");
    std::fs::create_dir(&client).unwrap();
    let profiles = "current = \"default\"\n\n[profiles.default]\n\
                    control-url = \"https://127.0.0.1:9\"\nrelay-urls = [\"https://127.0.0.1:9\"]\n";
    let file = client.join("profiles.toml");
    std::fs::write(&file, profiles).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o700)).unwrap();
    home
}

#[test]
fn it_opens_says_what_is_wrong_and_gives_the_terminal_back_on_quit() {
    let mut person = Person::new(24, 80);
    person.wait_for("the reason", |text| {
        text.contains("not logged in") && text.contains("FLEET")
    });
    assert!(!is_cooked(&*person.master), "keys come one by one");
    person.press("?");
    person.wait_for("the help", |text| {
        text.contains("every other key is its program")
    });
    person.press("\x1b");
    person.wait_for("the list", |text| !text.contains("every other key is"));
    person.press("q");
    assert_eq!(person.leave(), 0);
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut person = Person::new(24, 80);
        person.wait_for("the list", |text| text.contains("FLEET"));
        person.signal(signal);
        assert_eq!(person.leave(), code, "{signal:?}");
    }
}

#[test]
fn it_follows_the_size_of_its_terminal_down_to_almost_nothing() {
    let mut person = Person::new(24, 80);
    person.wait_for("the list", |text| {
        text.contains("FLEET") && text.contains("machines")
    });
    for (rows, cols) in [(5, 20), (2, 5), (40, 120)] {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        person.screen = Emulator::new(rows, cols, Options::default());
        person.master.resize(size).unwrap();
        let bar = &"FLEET"[..usize::from(cols - 2).min(3)];
        person.wait_for(bar, |text| {
            text.lines()
                .last()
                .is_some_and(|bottom| bottom.contains(bar))
        });
    }
    person.press("q");
    assert_eq!(person.leave(), 0);
}

#[test]
fn it_draws_everything_anew_after_it_was_stopped() {
    let mut person = Person::new(24, 80);
    person.wait_for("the list", |text| text.contains("FLEET"));
    person.signal(Signal::STOP);
    // What the shell did to the terminal meanwhile.
    person.screen = Emulator::new(24, 80, Options::default());
    person.signal(Signal::CONT);
    person.wait_for("the list again", |text| {
        text.contains("FLEET") && text.contains("machines")
    });
    person.press("q");
    assert_eq!(person.leave(), 0);
}
