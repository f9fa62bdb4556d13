//! `cmdop completions`: what a shell needs to complete our command line.

use super::failure::Failure;
use super::output;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop completions bash > ~/.local/share/bash-completion/completions/cmdop"
)]
pub(super) struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "cmdop", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
