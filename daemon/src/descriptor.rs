//! Descriptors that the runtime may watch: the only `unsafe` code of this program.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use portable_pty::MasterPty;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A non-blocking duplicate of a terminal's master side, closed in every child, so that the rest of
/// portable-pty's master can go.
#[allow(unsafe_code)]
pub(crate) fn duplicate(master: &(dyn MasterPty + Send)) -> io::Result<OwnedFd> {
    let raw = master
        .as_raw_fd()
        .ok_or_else(|| io::Error::other("the terminal has no descriptor"))?;
    // SAFETY: `master` owns the descriptor, which is therefore open as long as it is borrowed here.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    let owned = fcntl_dupfd_cloexec(borrowed, 3)?;
    fcntl_setfl(&owned, fcntl_getfl(&owned)? | OFlags::NONBLOCK)?;
    Ok(owned)
}

/// Has the runtime watch a descriptor.
#[allow(unsafe_code)]
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same descriptor, which stays open until it is dropped,
    // and `AsyncFd` deregisters it before that.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
