//! Asking the kernel when a descriptor can be read or written.

use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor; gives it back where the kernel cannot tell (regular files are always ready).
///
/// Must be called on the runtime.
#[allow(
    deprecated,
    reason = "what the deprecation warns of is a type whose descriptor can change; an OwnedFd or a BorrowedFd keeps its own"
)]
pub(super) fn of<T: AsRawFd>(fd: T, interest: Interest) -> Result<AsyncFd<T>, T> {
    AsyncFd::try_with_interest(fd, interest).map_err(|refused| refused.into_parts().0)
}
