//! The manual pages in man/ are what the command line says about itself now.

#![allow(clippy::unwrap_used, reason = "a test's own helpers fail the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The pages of `cmdop` in a directory; the daemons' pages beside them are not its business.
fn pages(directory: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_page = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "cmdop.1" || (name.starts_with("cmdop-") && !is_daemon(&name))
    };
    files
        .filter(is_page)
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn is_daemon(name: &str) -> bool {
    ["cmdop-relay", "cmdop-control", "cmdop-router"]
        .iter()
        .any(|daemon| name.starts_with(daemon))
}

#[test]
fn every_manual_page_is_up_to_date() {
    let made = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_cmdop"))
        .arg("man")
        .arg(made.path())
        .env_clear()
        .env("HOME", made.path())
        .status()
        .unwrap();
    assert!(status.success());
    let kept = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../man"));
    let made = pages(made.path());
    let stale: Vec<_> = made
        .iter()
        .filter(|(name, text)| kept.get(*name) != Some(text))
        .collect();
    let names: Vec<_> = stale.iter().map(|(name, _)| name).collect();
    assert!(
        stale.is_empty(),
        "stale in man/: {names:?}; `just man` makes them anew"
    );
    let surplus: Vec<_> = kept
        .keys()
        .filter(|name| !made.contains_key(*name))
        .collect();
    assert!(
        surplus.is_empty(),
        "in man/ without a command: {surplus:?}; remove them"
    );
}
