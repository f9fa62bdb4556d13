//! Where the programs under test are: beside the test's own executable, as cargo lays them out.

use std::path::{Path, PathBuf};

/// The login shell of people and machines of tests, whatever that of who runs them is.
pub(crate) const SHELL: &str = "/bin/bash";

/// The path of `cmdop`, `cmdopd`, `cmdop-relay` or `cmdop-control`.
///
/// `CMDOP_BIN_DIR` names another directory, for example one with release builds.
pub fn path(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace` first, or set CMDOP_BIN_DIR",
        path.display()
    );
    path
}

fn directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("CMDOP_BIN_DIR") {
        return directory.into();
    }
    let own = std::env::current_exe().expect("a running program has a path");
    profile_directory(&own).to_owned()
}

/// `target/<profile>` of `target/<profile>/deps/<test>`.
fn profile_directory(test: &Path) -> &Path {
    let directory = test.parent().expect("an executable lies in a directory");
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory
            .parent()
            .expect("both lie in the profile's directory")
    } else {
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_lie_one_above_the_tests() {
        let test = Path::new("/t/debug/deps/e2e-0123");
        assert_eq!(profile_directory(test), Path::new("/t/debug"));
    }
}
