//! Recordings may come from anybody: `play` shows them or says what is wrong, whatever stands in them.

#[path = "../fuzz/replay.rs"]
mod replay;

use std::process::{Command, Stdio};

use cmdop_tests::binaries;

/// Recordings that are made of the corpus: each is played by a process of its own.
const MUTATIONS: usize = 150;

/// It was shown, or its fault was named.
const ENDS: [i32; 2] = [0, 2];

#[test]
fn whatever_stands_in_a_recording_it_is_played_or_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("any.cast");
    replay::replay("cast", MUTATIONS, |recording| {
        std::fs::write(&file, recording).expect("a file");
        let played = Command::new(binaries::path("cmdop"))
            .args(["play", "--speed", "max"])
            .arg(&file)
            .env("HOME", place.path())
            .stdin(Stdio::null())
            .output()
            .expect("cmdop starts");
        let said = String::from_utf8_lossy(&played.stderr);
        let code = played.status.code();
        assert!(
            code.is_some_and(|code| ENDS.contains(&code)),
            "{}: {said}",
            played.status
        );
        assert!(!said.contains("panicked"), "{said}");
    });
}
