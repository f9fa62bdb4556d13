//! Writing frames without ever waiting for the user's terminal.
//!
//! A thread writes; at most one frame is on its way. A terminal that stands still (a slow line, a
//! stopped viewer) so holds up frames, never keys.

use std::io::{self, Write};
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::mpsc;

/// A terminal that takes nothing for this long gets no farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Output {
    frames: blocking::SyncSender<Vec<u8>>,
    results: mpsc::Receiver<io::Result<()>>,
    is_busy: bool,
}

impl Output {
    /// Starts the thread; it ends when this is dropped and the last frame is written.
    pub(super) fn new(terminal: impl Write + Send + 'static) -> io::Result<Self> {
        // One each: a frame is only sent when the one before it is written.
        let (frames, to_write) = blocking::sync_channel(1);
        let (told, results) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || write_all(terminal, &to_write, &told))?;
        Ok(Self {
            frames,
            results,
            is_busy: false,
        })
    }

    /// Whether a frame is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Sends a frame; only when none is on its way.
    pub(super) fn send(&mut self, frame: Vec<u8>) -> io::Result<()> {
        self.is_busy = true;
        self.frames
            .try_send(frame)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The frame on its way is written, or could not be. Never, if there is none. Cancel-safe.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        if !self.is_busy {
            return std::future::pending().await;
        }
        let result = self.results.recv().await;
        self.is_busy = false;
        result.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Writes the last bytes, and waits for them for a moment.
    pub(super) async fn finish(&mut self, last: Vec<u8>) {
        let farewell = async {
            if self.is_busy {
                let _ = self.written().await;
            }
            if self.send(last).is_ok() {
                let _ = self.written().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

fn write_all(
    mut terminal: impl Write,
    frames: &blocking::Receiver<Vec<u8>>,
    told: &mpsc::Sender<io::Result<()>>,
) {
    while let Ok(frame) = frames.recv() {
        let result = terminal.write_all(&frame).and_then(|()| terminal.flush());
        if told.blocking_send(result).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that takes a write when the test lets it.
    struct Stalled {
        allowed: blocking::Receiver<()>,
        writes: blocking::Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed
                .recv()
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            let _ = self.writes.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (Output, blocking::Sender<()>, blocking::Receiver<Vec<u8>>) {
        let (allow, allowed) = blocking::channel();
        let (writes, written) = blocking::channel();
        (
            Output::new(Stalled { allowed, writes }).unwrap(),
            allow,
            written,
        )
    }

    #[tokio::test]
    async fn a_terminal_that_stands_still_holds_up_nobody() {
        let (mut output, allow, written) = stalled();
        output.send(b"frame".to_vec()).unwrap();
        assert!(output.is_busy());
        assert!(futures_util::FutureExt::now_or_never(output.written()).is_none());
        allow.send(()).unwrap();
        output.written().await.unwrap();
        assert!(!output.is_busy());
        assert_eq!(written.recv().unwrap(), b"frame");
    }

    #[tokio::test]
    async fn a_terminal_that_is_gone_is_noticed() {
        let (mut output, allow, _written) = stalled();
        drop(allow);
        output.send(b"frame".to_vec()).unwrap();
        assert!(output.written().await.is_err());
    }

    #[tokio::test]
    async fn the_farewell_waits_for_a_moment_and_no_longer() {
        let (mut output, _allow, _written) = stalled();
        output.send(b"frame".to_vec()).unwrap();
        output.finish(b"bye".to_vec()).await;
    }
}
