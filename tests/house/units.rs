//! The systemd units: what they start must be a command line of ours.

use std::collections::BTreeMap;

use clap::CommandFactory as _;

use crate::tree::root;

#[test]
fn every_unit_starts_a_program_as_it_wants_to_be_started() {
    let programs = BTreeMap::from([
        ("cmdopd", cmdop_daemon::cli::Cli::command()),
        ("cmdop-relay", cmdop_relay::cli::Cli::command()),
        ("cmdop-control", cmdop_control::args::Args::command()),
    ]);
    let units = std::fs::read_dir(root().join("docs/systemd")).expect("the units are there");
    let mut count = 0;
    for path in units.flatten().map(|entry| entry.path()) {
        let unit = std::fs::read_to_string(&path).expect("a unit is text");
        for line in unit.lines() {
            let Some(("ExecStart" | "ExecReload", command)) = line.split_once('=') else {
                continue;
            };
            let words: Vec<&str> = command.split_whitespace().collect();
            let name = words[0].rsplit('/').next().unwrap_or_default();
            let program = programs.get(name).cloned();
            let program = program.unwrap_or_else(|| panic!("{name} is no program of ours"));
            if let Err(error) = program.try_get_matches_from(&words) {
                panic!("{}: {command}\n{error}", path.display());
            }
            count += 1;
        }
        assert!(unit.contains("[Install]"), "{}", path.display());
    }
    assert!(count >= 4, "{count} command lines");
}
