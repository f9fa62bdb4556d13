//! Stdin for many: read once, kept, and read by each target from its beginning at its own pace.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

/// What is kept for targets that have not read it yet.
const MAX_KEPT: usize = 64 << 20;

/// The writing end.
#[derive(Debug)]
pub(super) struct Replay {
    pieces: Arc<Mutex<Vec<Bytes>>>,
    progress: watch::Sender<Progress>,
    kept: usize,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    pieces: usize,
    ended: bool,
}

/// The reading end of one target, at the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pieces: Arc<Mutex<Vec<Bytes>>>,
    progress: watch::Receiver<Progress>,
    next: usize,
}

/// More came than can be kept.
#[derive(Debug)]
pub(super) struct TooLarge;

impl Replay {
    pub(super) fn new() -> Self {
        Self {
            pieces: Arc::default(),
            progress: watch::Sender::default(),
            kept: 0,
        }
    }

    pub(super) fn reader(&self) -> Reader {
        Reader {
            pieces: self.pieces.clone(),
            progress: self.progress.subscribe(),
            next: 0,
        }
    }

    /// Adds a piece; an empty one is the end.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), TooLarge> {
        if piece.is_empty() {
            self.progress.send_modify(|progress| progress.ended = true);
            return Ok(());
        }
        self.kept += piece.len();
        if self.kept > MAX_KEPT {
            return Err(TooLarge);
        }
        // A panic elsewhere left the list whole: it only ever grows.
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push(piece);
        let count = pieces.len();
        drop(pieces);
        self.progress
            .send_modify(|progress| progress.pieces = count);
        Ok(())
    }
}

impl Reader {
    /// The next piece; `None` at the end, or when nobody writes any more.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let next = self.next;
        let progress = *self
            .progress
            .wait_for(|progress| progress.pieces > next || progress.ended)
            .await
            .ok()?;
        if progress.pieces <= next {
            return None;
        }
        self.next += 1;
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.get(next).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rest(reader: &mut Reader) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await {
            all.extend_from_slice(&piece);
        }
        all
    }

    #[tokio::test]
    async fn each_reader_gets_all_whenever_it_begins() {
        let mut replay = Replay::new();
        let mut early = replay.reader();
        replay.push(Bytes::from_static(b"one ")).unwrap();
        assert_eq!(early.next().await.unwrap(), "one ");
        let mut late = replay.reader();
        replay.push(Bytes::from_static(b"two")).unwrap();
        replay.push(Bytes::new()).unwrap();
        assert_eq!(rest(&mut early).await, b"two");
        assert_eq!(rest(&mut late).await, b"one two");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut replay = Replay::new();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let pushed = (0..100).take_while(|_| replay.push(piece.clone()).is_ok());
        assert_eq!(pushed.count(), MAX_KEPT >> 20);
    }
}
