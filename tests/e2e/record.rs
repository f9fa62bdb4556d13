//! A session recorded from an observer's seat, and recordings played.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cmdop_emulator::{Emulator, Options};
use cmdop_tests::cli::{Outcome, finish};
use cmdop_tests::world::Ground;
use cmdop_tests::{Person, Shape, World, process, pty, wait};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Child;

/// Prints, and goes on with each line that it reads; shows its size; ends with 7.
const SCRIPT: &str = "stty -echo; printf 'r\\303\\251ady\\n'; read x; seq 1 40; printf 'counted\\n'; read x; \
    printf '\\033[2J\\033[H'; stty size; printf '\\033[31mred\\033[m and \\360\\237\\230\\200\\n'; read x; exit 7";

/// A recorder of a running session.
struct Recorder {
    child: Child,
    file: PathBuf,
}

impl Recorder {
    fn start(world: &World, session: &str, options: &[&str]) -> Self {
        let file = world.directory().join("session.cast");
        let path = file.to_str().expect("the path of a test is text");
        let args = [&["record", session, path], options].concat();
        Self {
            child: world.owner.cli.start(&args),
            file,
        }
    }

    async fn has(&self, text: &str) {
        let what = format!("{text:?} is recorded");
        wait::until_true(&what, || self.recorded().contains(text)).await;
    }

    fn recorded(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        process::signal(self.child.id().expect("it runs"), signal);
    }

    async fn ends(self) -> Outcome {
        wait::within("the recorder ends", finish(self.child, &[])).await
    }
}

/// The header and the events of a recording, each of which must be whole.
fn lines(file: &Path) -> (Value, Vec<Value>) {
    let text = std::fs::read_to_string(file).expect("a recording");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    (lines.next().expect("a header"), lines.collect())
}

async fn shows(world: &World, session: &str, text: &str) {
    let what = format!("the screen of {session} shows {text}");
    wait::until_true_async(&what, || async {
        let captured = world.cmdop(&["capture", session]).await;
        captured.out().contains(text)
    })
    .await;
}

async fn screen(world: &World, session: &str) -> String {
    trimmed(&world.cmdop(&["capture", session]).await.ok())
}

/// What a terminal of this size shows after a recording.
async fn played(world: &World, file: &Path, rows: u16, cols: u16) -> String {
    let path = file.to_str().expect("the path of a test is text");
    let played = world.cmdop(&["play", path, "--speed", "max"]).await;
    assert_eq!(played.status, 0, "{played:?}");
    let mut emulator = Emulator::new(rows, cols, Options::default());
    emulator.feed(&played.stdout);
    trimmed(&pty::text_of(&emulator))
}

/// The same by asciinema; `None` where it is not installed, or too old for this recording: version 2
/// of it reads version 2 of the format, version 3 reads both.
fn shown_by_asciinema(file: &Path, rows: u16, cols: u16) -> Option<String> {
    let run = |args: &[&str]| Command::new("asciinema").args(args).arg(file).output();
    let version = run(&["--version"]).ok()?;
    let is_new = String::from_utf8_lossy(&version.stdout).contains("asciinema 3.");
    let (header, _) = lines(file);
    if !is_new && header["version"] != 2 {
        return None;
    }
    let bytes = if is_new {
        let raw = file.with_extension("raw");
        let mut convert = Command::new("asciinema");
        convert.args(["convert", "--overwrite", "-f", "raw"]);
        let converted = convert.arg(file).arg(&raw).output().expect("it runs");
        assert!(converted.status.success(), "{converted:?}");
        let bytes = std::fs::read(&raw).expect("what it wrote");
        std::fs::remove_file(raw).expect("what it wrote");
        bytes
    } else {
        let shown = run(&["cat"]).expect("it runs");
        assert!(shown.status.success(), "{shown:?}");
        shown.stdout
    };
    let mut emulator = Emulator::new(rows, cols, Options::default());
    emulator.feed(&bytes);
    Some(trimmed(&pty::text_of(&emulator)))
}

fn trimmed(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_recording_plays_to_the_screen_that_the_session_had() {
    let world = World::start().await;
    for options in [&[][..], &["--v3"]] {
        world
            .new_session(&["web-1", "--name", "taped", "--", "/bin/sh", "-c", SCRIPT])
            .await;
        shows(&world, "taped", "réady").await;
        let recorder = Recorder::start(&world, "taped", options);
        recorder.has("réady").await;
        world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
        recorder.has("counted").await;
        world.cmdop(&["resize", "taped", "100x30"]).await.ok();
        recorder.has("\"100x30\"").await;
        world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
        shows(&world, "taped", "red and").await;
        recorder.has("red").await;
        let wanted = screen(&world, "taped").await;
        assert!(
            wanted.contains("30 100") && wanted.contains("red and 😀"),
            "{wanted}"
        );
        world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
        let file = recorder.file.clone();
        let outcome = recorder.ends().await;
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(
            outcome.err().contains("taped") && outcome.err().contains("exit 7"),
            "{outcome:?}"
        );
        let (header, events) = lines(&file);
        assert_eq!(events[0][1], "o", "the session's state comes first");
        let size = match header["version"].as_u64() {
            Some(2) => [&header["width"], &header["height"]],
            _ => [&header["term"]["cols"], &header["term"]["rows"]],
        };
        assert_eq!(size, [80, 24], "{header}");
        if options == ["--v3"] {
            let last = events.last().expect("events");
            assert_eq!((&last[1], &last[2]), (&json!("x"), &json!("7")));
        }
        assert_eq!(played(&world, &file, 30, 100).await, wanted);
        if let Some(shown) = shown_by_asciinema(&file, 30, 100) {
            assert_eq!(shown, wanted);
        }
        std::fs::remove_file(file).expect("a recording");
    }
}

#[tokio::test]
async fn a_recording_whose_recorder_was_killed_plays_up_to_there() {
    let world = World::start().await;
    world
        .new_session(&["web-1", "--name", "taped", "--", "/bin/sh", "-c", SCRIPT])
        .await;
    shows(&world, "taped", "réady").await;
    let recorder = Recorder::start(&world, "taped", &[]);
    recorder.has("réady").await;
    world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
    recorder.has("counted").await;
    let wanted = screen(&world, "taped").await;
    recorder.signal(Signal::KILL);
    let file = recorder.file.clone();
    assert_eq!(recorder.ends().await.status, 137);
    lines(&file);
    assert_eq!(played(&world, &file, 24, 80).await, wanted);
    // Even if the last line had been cut.
    let text = std::fs::read_to_string(&file).expect("the recording");
    let cut = format!("{text}[99.0, \"o\", \"never wh");
    std::fs::write(&file, cut).expect("the recording");
    assert_eq!(played(&world, &file, 24, 80).await, wanted);
}

#[tokio::test]
async fn a_recording_ends_when_its_user_says_so() {
    let world = World::start().await;
    world
        .new_session(&["web-1", "--name", "taped", "--", "/bin/sh", "-c", SCRIPT])
        .await;
    shows(&world, "taped", "réady").await;
    for signal in [Signal::INT, Signal::TERM] {
        let recorder = Recorder::start(&world, "taped", &[]);
        recorder.has("réady").await;
        recorder.signal(signal);
        let file = recorder.file.clone();
        let outcome = recorder.ends().await;
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(outcome.err().contains("recorded taped for"), "{outcome:?}");
        lines(&file);
        // The next one must not be taken for this one.
        std::fs::remove_file(file).expect("a recording");
    }
    assert!(
        world.cmdop(&["sessions"]).await.ok().contains("taped"),
        "the session lives on"
    );
}

#[tokio::test]
async fn a_recording_goes_to_stdout_too_and_lands_nowhere_by_accident() {
    let world = World::start().await;
    world
        .new_session(&["web-1", "--name", "taped", "--", "/bin/sh", "-c", SCRIPT])
        .await;
    shows(&world, "taped", "réady").await;
    let child = world.owner.cli.start(&["record", "taped", "-"]);
    wait::until_true_async("the recorder is attached", || async {
        world.session("taped").await["observer_count"] == 1
    })
    .await;
    for _ in 0..3 {
        world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
    }
    let outcome = wait::within("the recorder ends", finish(child, &[])).await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.out().starts_with("{\"") && outcome.out().contains("\"o\""),
        "{outcome:?}"
    );

    let file = world.directory().join("precious");
    std::fs::write(&file, "precious").expect("a file");
    let path = file.to_str().expect("the path of a test is text");
    world
        .cmdop(&["record", "taped", path])
        .await
        .refused(2, &["exists", "--force"]);
    // A session that is no more costs no file, not even by force.
    world
        .cmdop(&["record", "taped", path, "--force"])
        .await
        .refused(69, &["taped"]);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "precious");
}

#[tokio::test]
async fn a_lost_connection_is_marked_and_the_recording_goes_on() {
    let mut world = World::start().await;
    world
        .new_session(&["web-1", "--name", "taped", "--", "/bin/sh", "-c", SCRIPT])
        .await;
    shows(&world, "taped", "réady").await;
    let recorder = Recorder::start(&world, "taped", &[]);
    recorder.has("réady").await;
    world.crash_relay().await;
    recorder.has("connection resumed").await;
    world.machine_is("web-1", "online").await;
    world.cmdop(&["send", "taped", "--enter", ""]).await.ok();
    recorder.has("counted").await;
    let wanted = screen(&world, "taped").await;
    let file = recorder.file.clone();
    recorder.signal(Signal::INT);
    assert_eq!(recorder.ends().await.status, 0);
    let (_, events) = lines(&file);
    let markers: Vec<_> = events.iter().filter(|event| event[1] == "m").collect();
    assert!(
        markers[0][2]
            .as_str()
            .is_some_and(|label| label.starts_with("connection lost: ")),
        "{markers:?}"
    );
    assert_eq!(markers[1][2], "connection resumed", "{markers:?}");
    assert_eq!(played(&world, &file, 24, 80).await, wanted);
}

/// A viewer at a terminal, without any server.
struct Viewer {
    person: Person,
    _ground: Ground,
}

impl Viewer {
    /// Plays outputs at these seconds, in a recording that does not end while the test runs.
    fn of(outputs: &[(u32, &str)]) -> Self {
        let ground = Ground::new();
        let mut text = String::from("{\"version\": 2, \"width\": 80, \"height\": 24}\n");
        for (second, data) in outputs {
            let _ = writeln!(text, "{}", json!([second, "o", data]));
        }
        text.push_str("[999999, \"o\", \"the end\"]\n");
        let path = ground.path().join("made.cast");
        std::fs::write(&path, text).expect("a recording");
        let path = path.to_str().expect("the path of a test is text");
        let cli = ground.cli("viewer");
        let person = Person::running(&cli, &["play", path], Shape::default());
        Self {
            person,
            _ground: ground,
        }
    }
}

/// The modes of a new terminal.
fn modes() -> String {
    pty::Pty::spawn(Path::new("/bin/true"), &[], &[], Shape::default()).modes()
}

#[tokio::test]
async fn a_player_gives_the_terminal_back_however_it_ends() {
    let left_on = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?1000h\u{1b}[?2004hfull screen";
    for (way, status) in [("q", 0), ("\u{3}", 0), ("TERM", 143), ("HUP", 129)] {
        let viewer = Viewer::of(&[(0, left_on)]);
        let pty = &viewer.person.pty;
        viewer.person.sees("full screen").await;
        assert_ne!(pty.modes(), modes(), "a player's terminal is raw");
        match way {
            "TERM" => process::signal(pty.pid().expect("it runs"), Signal::TERM),
            "HUP" => process::signal(pty.pid().expect("it runs"), Signal::HUP),
            keys => viewer.person.type_keys(keys),
        }
        assert_eq!(pty.exit().await, status, "{way:?}");
        assert_eq!(pty.modes(), modes(), "{way:?}");
        let raw = String::from_utf8_lossy(&pty.raw()).into_owned();
        for (on, off) in [
            ("?1049h", "?1049l"),
            ("?25l", "?25h"),
            ("?1000h", "?1000l"),
            ("?2004h", "?2004l"),
        ] {
            assert!(raw.rfind(off) > raw.rfind(on), "{off} after {way:?}");
        }
    }
}

#[tokio::test]
async fn a_viewer_pauses_steps_and_jumps() {
    let viewer = Viewer::of(&[
        (0, "zero"),
        (4000, "\u{1b}[2J\u{1b}[Hlater"),
        (4002, "\u{1b}[?1049h\u{1b}[Hother"),
    ]);
    let person = &viewer.person;
    person.sees_line("zero").await;
    person.type_keys(".");
    person.sees_line("later").await;
    // Three seconds into the other screen, and back before it.
    person.type_keys("\u{1b}[C");
    person.sees_line("other").await;
    assert!(!person.screen().contains("later"), "{}", person.screen());
    person.type_keys("\u{1b}[D");
    person.sees_line("later").await;
    assert!(!person.screen().contains("other"), "{}", person.screen());
    person.type_keys("\u{1b}[D");
    person.sees_line("zero").await;
    assert!(!person.screen().contains("later"), "{}", person.screen());
    person.type_keys("q");
    assert_eq!(person.pty.exit().await, 0);
}

#[tokio::test]
async fn a_bad_recording_is_named_with_its_line() {
    let ground = Ground::new();
    let cli = ground.cli("viewer");
    let path = ground.path().join("bad.cast");
    let name = path.to_str().expect("the path of a test is text");
    std::fs::write(
        &path,
        "{\"version\": 2, \"width\": 80, \"height\": 24}\n[0, \"o\", \"a\"]\n[0, 5]\n",
    )
    .expect("a recording");
    let outcome = cli.run(&["play", name, "--speed", "max"]).await;
    outcome.refused(2, &["bad.cast: line 3 is no event"]);
    assert_eq!(outcome.out(), "a");
    std::fs::write(&path, "no recording").expect("a file");
    cli.run(&["play", name])
        .await
        .refused(2, &["bad.cast: line 1 is no header"]);
    let directory = ground.path().to_str().expect("the path of a test is text");
    cli.run(&["play", directory])
        .await
        .refused(2, &["is not a file"]);
    cli.run(&["play", "nowhere.cast"])
        .await
        .refused(2, &["nowhere.cast"]);
    cli.run(&["play", name, "--speed", "0"])
        .await
        .refused(2, &["speed"]);
}
