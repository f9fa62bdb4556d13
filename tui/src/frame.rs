//! A frame on its way to the user's terminal: what the drawing library writes, gathered into one piece.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The terminal shows what is between these at once (mode 2026); one that does not know them ignores them.
pub(crate) const BEGIN: &[u8] = b"\x1b[?2026h";
/// See [`BEGIN`].
pub(crate) const END: &[u8] = b"\x1b[?2026l";

/// Collects what the drawing library writes in thousands of small pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameWriter {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl FrameWriter {
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
