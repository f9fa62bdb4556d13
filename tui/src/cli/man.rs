//! `cmdop man`: the manual pages, from the command line itself.

use std::path::{Path, PathBuf};

use super::failure::Failure;

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop man ~/.local/share/man/man1")]
pub(super) struct Args {
    /// Where to; it is made if need be
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    write(&args.directory).map_err(|error| {
        let directory = args.directory.display();
        Failure::usage(format!("cannot write manual pages to {directory}: {error}"))
    })?;
    Ok(0)
}

/// Writes one page for each command, `cmdop.1`, `cmdop-attach.1`, …
pub(super) fn write(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(super::command(), directory)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        super::write(directory.path()).unwrap();
        for page in ["cmdop.1", "cmdop-attach.1", "cmdop-machines-enroll-token.1"] {
            assert!(directory.path().join(page).exists(), "{page}");
        }
    }
}
