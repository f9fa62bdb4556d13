//! Who may import whom. A change here is a change of architecture and wants a decision record.

use std::collections::BTreeSet;

use crate::tree::{none, root, rust_files};

/// Each folder and the folders that it may depend on.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("proto", &[]),
    ("emulator", &[]),
    ("service", &["proto"]),
    ("files", &["proto"]),
    ("client", &["proto", "files"]),
    ("tui", &["client", "emulator", "service", "proto"]),
    (
        "daemon",
        &["emulator", "files", "service", "proto", "client"],
    ),
    ("relay", &["service", "proto", "client"]),
    ("control", &["service", "proto", "client"]),
    ("router", &["service", "proto", "client"]),
    (
        "tests",
        &[
            "proto", "service", "emulator", "files", "client", "tui", "daemon", "relay", "control",
            "router",
        ],
    ),
];

#[test]
fn nobody_imports_whom_they_may_not() {
    let mut found = Vec::new();
    for (folder, allowed) in ALLOWED {
        for other in imports(folder) {
            if !allowed.contains(&other.as_str()) {
                found.push(format!("{folder} imports {other}"));
            }
        }
    }
    none("see ALLOWED in tests/house/imports.rs", &found);
}

#[test]
fn every_member_of_the_workspace_has_its_rule() {
    let manifest = manifest("");
    let members = manifest["workspace"]["members"]
        .as_array()
        .expect("the workspace has members");
    let members: BTreeSet<_> = members
        .iter()
        .filter_map(|member| member.as_str())
        .collect();
    let ruled: BTreeSet<_> = ALLOWED.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(members, ruled);
}

#[test]
fn only_the_emulator_names_vt100() {
    let mut found: Vec<_> = ALLOWED
        .iter()
        .filter(|(folder, _)| *folder != "emulator" && dependencies(folder).contains("vt100"))
        .map(|(folder, _)| format!("{folder}/Cargo.toml"))
        .collect();
    let import = ["vt100", "::"].concat();
    for file in rust_files() {
        if !file.path.starts_with("emulator") && file.content.contains(&import) {
            found.push(file.name());
        }
    }
    none("the emulator hides vt100 from everybody", &found);
}

/// The cmdop folders that a folder's crate depends on, build and target dependencies included.
fn imports(folder: &str) -> Vec<String> {
    dependencies(folder)
        .iter()
        .filter_map(|name| Some(name.strip_prefix("cmdop-")?.to_owned()))
        .collect()
}

/// Development dependencies are left out: a test may meet whom it likes.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let target = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .cloned()
        .unwrap_or_default();
    std::iter::once(&manifest)
        .chain(target.values())
        .flat_map(|table| [table.get("dependencies"), table.get("build-dependencies")])
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|table| table.keys().cloned())
        .collect()
}

fn manifest(folder: &str) -> toml::Value {
    let path = root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
