//! What does not change about the machine while the agent runs.

/// The operating system, as Rust names it.
pub(crate) const OS: &str = std::env::consts::OS;
/// The processor's architecture, as Rust names it.
pub(crate) const ARCH: &str = std::env::consts::ARCH;

/// The machine's own name.
pub(crate) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
