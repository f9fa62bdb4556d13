//! The pages and colours that are shipped beside the programs.

use std::collections::BTreeMap;
use std::path::Path;

use clap::CommandFactory as _;

use crate::tree::root;

/// Set to write the pages instead of comparing them.
const UPDATE: &str = "CMDOP_UPDATE_MAN";

/// The command line of each program.
fn commands() -> [clap::Command; 5] {
    [
        cmdop_tui::cli::command(),
        cmdop_daemon::cli::Cli::command(),
        cmdop_relay::cli::Cli::command(),
        cmdop_control::args::Args::command(),
        cmdop_router::args::Args::command(),
    ]
}

/// Every page by its file's name.
fn pages(directory: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("man/: {error}"));
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some((
                name,
                std::fs::read_to_string(&path).expect("a page is text"),
            ))
        })
        .collect()
}

#[test]
fn the_manual_pages_say_what_the_programs_say() {
    let made = tempfile::tempdir().expect("a directory");
    for command in commands() {
        clap_mangen::generate_to(command, made.path()).expect("pages can be written");
    }
    let (made, kept) = (pages(made.path()), root().join("man"));
    if std::env::var_os(UPDATE).is_some() {
        for (name, page) in &made {
            std::fs::write(kept.join(name), page).expect("man/ can be written");
        }
    }
    let kept = pages(&kept);
    let stale: Vec<_> = made
        .iter()
        .filter(|(name, page)| kept.get(*name) != Some(*page))
        .map(|(name, _)| name)
        .chain(kept.keys().filter(|name| !made.contains_key(*name)))
        .collect();
    assert!(
        stale.is_empty(),
        "stale pages, which {UPDATE}=1 writes anew (or to be deleted): {stale:?}"
    );
}

#[test]
fn every_theme_is_toml() {
    let themes = root().join("themes");
    let entries =
        std::fs::read_dir(&themes).unwrap_or_else(|error| panic!("{}: {error}", themes.display()));
    let mut count = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(&path).expect("a theme can be read");
            text.parse::<toml::Table>()
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            count += 1;
        }
    }
    assert!(count > 0, "themes/ holds no theme");
}
