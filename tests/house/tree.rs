//! The files of the repository, as git would list them: tracked, and new but not ignored.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
}

/// A text file and its path from the root.
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
}

impl Text {
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path
            .extension()
            .is_some_and(|extension| extension == "rs")
    }
}

/// All text files of the house; binary ones are passed over.
pub(crate) fn texts() -> Vec<Text> {
    paths()
        .into_iter()
        .filter_map(|path| {
            let content = std::fs::read_to_string(root().join(&path)).ok()?;
            Some(Text { path, content })
        })
        .collect()
}

pub(crate) fn rust_files() -> Vec<Text> {
    let files: Vec<_> = texts().into_iter().filter(Text::is_rust).collect();
    assert!(
        files.len() > 50,
        "only {} Rust files were found in {}",
        files.len(),
        root().display()
    );
    files
}

/// Asserts that nothing was found, and names all that was.
#[track_caller]
pub(crate) fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn paths() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output();
    match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned()))
            .collect(),
        // A source archive has no git: walk it.
        _ => walk(Path::new("")),
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(directory))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let path = directory.join(&name);
        if name == "target" || name == ".git" {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
