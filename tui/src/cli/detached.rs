//! The hidden step between `up` and a program that must outlive the terminal: becomes the leader of
//! a session of its own, then becomes the program. The process id stays the same.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::failure::Failure;

/// Become a background program
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    // It fails only for a process that leads a group already, and then there is nothing to leave.
    let _ = rustix::process::setsid();
    let mut words = args.program.iter();
    let program = words.next().cloned().unwrap_or_default();
    let error = Command::new(&program).args(words).exec();
    let program = program.to_string_lossy();
    Err(Failure::unavailable(
        "unreachable",
        format!("cannot run {program}: {error}"),
    ))
}
