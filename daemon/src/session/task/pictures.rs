//! The screen for those who ask: keyframes, captures and pages of history for the relay, checkpoints
//! for a worker after us.

use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{Offset, v1};

use super::terminal::kept;
use super::{FEED, Link, Task};
use crate::memory::{Lines, Picture};
use crate::pty::Pty;
use crate::session::screen::{Look, Screen};

/// History in a kept picture. What is older is lost with the worker, unless the log still holds it; pages
/// of history say so by their `first_kept`.
const CHECKPOINT_LINES: usize = 1000;

impl Task {
    pub(super) async fn keyframe(&mut self) {
        let keyframe = self.make_keyframe().await;
        if let Link::Open(stream) = &mut self.link {
            stream.queue().keyframe(keyframe);
        }
    }

    /// The screen at the log's end.
    pub(super) async fn make_keyframe(&mut self) -> v1::Keyframe {
        self.catch_up().await;
        v1::Keyframe {
            offset: self.log.end().0,
            size: Some(self.screen.size().into()),
            data: self.screen.keyframe().into(),
            history: Some(self.screen.history_mark()),
            ..v1::Keyframe::default()
        }
    }

    pub(super) async fn capture(&mut self, wanted: v1::CaptureWanted) {
        self.catch_up().await;
        let look = if wanted.ansi { Look::Ansi } else { Look::Plain };
        let capture = self.screen.capture(wanted.scrollback_lines, look);
        self.answer(Up::Capture(v1::CaptureReply {
            request_id: wanted.request_id,
            capture: Some(v1::CaptureResponse {
                text: capture.text.into_bytes().into(),
                size: Some(self.screen.size().into()),
                offset: self.log.end().0,
                scrollback_lines: capture.scrollback_lines,
                history: capture.is_whole.then(|| self.screen.history_mark()),
            }),
        }));
    }

    pub(super) async fn history(&mut self, wanted: v1::HistoryWanted) {
        self.catch_up().await;
        let history = self.screen.history(&wanted, self.log.end());
        self.answer(Up::History(v1::HistoryTaken {
            request_id: wanted.request_id,
            history: Some(history),
        }));
    }

    /// Keeps a picture for a worker after us.
    pub(super) fn checkpoint(&mut self) {
        let mark = self.screen.history_mark();
        let picture = Picture {
            offset: self.fed,
            size: self.screen.size(),
            bytes: self.screen.picture(CHECKPOINT_LINES),
            lines: Lines {
                epoch: mark.epoch,
                next: mark.next,
            },
        };
        let result = self.log.memory().set_checkpoint(&picture);
        kept(result);
    }

    /// The screen as the worker before us had it: its last picture, and what came after that.
    pub(super) async fn restore_screen(&mut self) {
        let memory = self.log.memory();
        match memory.checkpoint() {
            Ok(Some(picture)) => {
                self.screen = Screen::new(picture.size);
                self.screen.show(&picture.bytes);
                let Lines { epoch, next } = picture.lines;
                self.screen.continue_history(epoch, next);
                self.fed = picture.offset.max(self.log.start());
                if self.fed > picture.offset {
                    // What the log has lost since cannot be shown; to look for it would take for ever.
                    self.screen.lose_count();
                }
            }
            Ok(None) => {
                self.fed = self.log.start();
                if self.fed > Offset::START {
                    self.screen.lose_count();
                }
            }
            Err(error) => {
                tracing::error!(%error, "the memory of the session cannot be read");
                self.screen.lose_count();
            }
        }
        let seen = self.log.memory().fed().unwrap_or(self.fed);
        // What the worker before us had seen, it has answered.
        while self.fed < seen.min(self.log.end()) {
            let most = (seen - self.fed).min(FEED as u64) as usize;
            let _answered = self.show_piece(most);
            tokio::task::yield_now().await;
        }
        if let Some(size) = self.pty.as_ref().and_then(Pty::size) {
            if size != self.screen.size() {
                self.catch_up().await;
                self.screen.resize(size);
            }
            self.record.size = Some(size.into());
        }
        self.checkpoint();
    }
}
