//! What every file of the house keeps to.

use crate::tree::{none, root, rust_files, texts};

/// The files with `unsafe` blocks, each with a SAFETY comment of its own.
const UNSAFE: &[&str] = &["daemon/src/descriptor.rs"];

/// Names that say nothing about what is inside.
const GRAB_BAGS: [&str; 5] = ["utils", "util", "common", "helpers", "misc"];

/// From here on a file wants to be two rooms.
const LONG: usize = 500;

#[test]
fn every_file_says_what_it_is_first() {
    let found: Vec<_> = rust_files()
        .iter()
        .filter(|file| !file.content.starts_with("//!"))
        .map(super::tree::Text::name)
        .collect();
    none(
        "a file begins with `//!`: what it is and where it ends",
        &found,
    );
}

#[test]
fn no_file_is_a_grab_bag() {
    let found: Vec<_> = rust_files()
        .iter()
        .filter(|file| {
            file.path.with_extension("").components().any(|part| {
                part.as_os_str()
                    .to_str()
                    .is_some_and(|name| GRAB_BAGS.contains(&name))
            })
        })
        .map(super::tree::Text::name)
        .collect();
    none("a file is named after its subject", &found);
}

#[test]
fn no_module_hides_behind_mod_rs() {
    let found: Vec<_> = rust_files()
        .iter()
        .filter(|file| file.path.ends_with("mod.rs"))
        .map(super::tree::Text::name)
        .collect();
    none("a module is `name.rs` with `name/`", &found);
}

#[test]
fn a_main_only_starts_its_library() {
    let found: Vec<_> = rust_files()
        .iter()
        .filter(|file| file.path.ends_with("src/main.rs") && file.content.lines().count() > 40)
        .map(|file| format!("{}: {} lines", file.name(), file.content.lines().count()))
        .collect();
    none("a main.rs has at most 40 lines", &found);
}

#[test]
fn unsafe_code_is_only_where_it_is_known() {
    let unsafe_block = ["unsafe", " {"].concat();
    let unsafe_function = ["unsafe", " fn"].concat();
    let unsafe_impl = ["unsafe", " impl"].concat();
    let mut found = Vec::new();
    for file in rust_files() {
        let code = file
            .content
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let blocks = code
            .filter(|line| {
                [&unsafe_block, &unsafe_function, &unsafe_impl]
                    .iter()
                    .any(|word| line.contains(*word))
            })
            .count();
        let reasons = file.content.matches("SAFETY:").count();
        if blocks > 0 && !UNSAFE.contains(&file.name().as_str()) {
            found.push(format!("{} is not in UNSAFE", file.name()));
        } else if reasons < blocks {
            found.push(format!(
                "{}: {blocks} unsafe, {reasons} SAFETY comments",
                file.name()
            ));
        }
    }
    none(
        "unsafe code stands in named files with a SAFETY comment each",
        &found,
    );
}

#[test]
fn nothing_names_a_place_on_somebodys_machine() {
    let mut places = vec![["/wo", "rk/"].concat(), ["/Us", "ers/"].concat()];
    // Where this checkout lies, unless that is a place which every system has, as `/tmp`.
    places.extend(
        root()
            .parent()
            .filter(|parent| parent.components().count() > 2)
            .map(|parent| format!("{}/", parent.display())),
    );
    let mut found = Vec::new();
    for file in texts() {
        for (number, line) in file.content.lines().enumerate() {
            if places.iter().any(|place| starts_a_path(line, place)) {
                found.push(format!("{}:{}: {}", file.name(), number + 1, line.trim()));
            }
        }
    }
    none("paths of one machine mean nothing on another", &found);
}

#[test]
fn long_files_are_listed() {
    for file in rust_files() {
        let lines = file.content.lines().count();
        if lines > LONG {
            println!("{}: {lines} lines; does it have two subjects?", file.name());
        }
    }
}

/// Whether `place` stands in the line as the beginning of a path, not inside a longer one or a URL.
fn starts_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at].ends_with(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '~' | ')')
        })
    })
}
