//! Where a caller's stream and an agent's stream come together: once, for the agent that has the token.
//!
//! The two are handed to each other whole, and nothing is kept between them. What they are about and what may be
//! said on them is the business of `runs` and `file_streams`.

use std::sync::{Mutex, OnceLock, PoisonError};

use cmdop_proto::Refusal;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::stream_token::StreamToken;

/// Where the agent's stream is left for the caller, or why there is none.
pub(crate) type Opener<S> = oneshot::Sender<Result<S, Refusal>>;

/// The caller left `L`; the agent comes with `S`.
pub(crate) struct Meeting<L, S> {
    token: StreamToken,
    left: Mutex<Option<(L, Opener<S>)>>,
    /// Cancelled when it is over, for whatever reason.
    pub(crate) over: CancellationToken,
    refusal: OnceLock<Refusal>,
}

impl<L, S> std::fmt::Debug for Meeting<L, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meeting")
    }
}

impl<L, S> Meeting<L, S> {
    /// The caller waits for what comes out of `opened`, until `over`. With the token for the agent.
    pub(crate) fn new(left: L, opened: Opener<S>, over: CancellationToken) -> (Self, String) {
        let token = StreamToken::random();
        let exposed = token.expose();
        let meeting = Self {
            token,
            left: Mutex::new(Some((left, opened))),
            over,
            refusal: OnceLock::new(),
        };
        (meeting, exposed)
    }

    /// Exchanges the agent's stream for what the caller left, once, for whoever has the token.
    pub(crate) fn meet(&self, token: &str, stream: S) -> Result<L, Refusal> {
        let wrong = || {
            Refusal::denied(
                "stream-token-wrong",
                "the stream token is not the one that was given out for this stream",
            )
        };
        if !self.token.matches(token) {
            return Err(wrong());
        }
        let (left, opened) = self.take().ok_or_else(wrong)?;
        // A caller that has left in the meantime ends the stream by its guard.
        let _ = opened.send(Ok(stream));
        Ok(left)
    }

    /// The agent cannot come.
    pub(crate) fn failed(&self, refusal: Refusal) {
        if let Some((_, opened)) = self.take() {
            // The caller may have left.
            let _ = opened.send(Err(refusal));
        }
    }

    fn take(&self) -> Option<(L, Opener<S>)> {
        self.left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Ends it because of what somebody did.
    pub(crate) fn end(&self, refusal: Refusal) {
        // The first reason counts.
        let _ = self.refusal.set(refusal);
        self.over.cancel();
    }

    /// Why it was ended, if it has a reason of its own.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_change_hands_once_and_for_the_token_only() {
        let (opened, mut wait) = oneshot::channel();
        let (meeting, token) = Meeting::new("left", opened, CancellationToken::new());
        let wrong = meeting.meet("guessed", "stream").unwrap_err();
        assert_eq!(wrong.reason, "stream-token-wrong");
        assert_eq!(meeting.meet(&token, "stream"), Ok("left"));
        assert_eq!(wait.try_recv().unwrap(), Ok("stream"));
        let again = meeting.meet(&token, "stream").unwrap_err();
        assert_eq!(again.reason, "stream-token-wrong");
    }

    #[test]
    fn the_first_reason_for_the_end_counts() {
        let (opened, mut wait) = oneshot::channel::<Result<(), Refusal>>();
        let (meeting, _) = Meeting::new((), opened, CancellationToken::new());
        let because = |reason| Refusal::denied(reason, "because");
        meeting.failed(because("failed"));
        assert_eq!(wait.try_recv().unwrap().unwrap_err().reason, "failed");
        assert_eq!(meeting.refusal(), None);
        meeting.end(because("first"));
        meeting.end(because("second"));
        assert!(meeting.over.is_cancelled());
        assert_eq!(meeting.refusal().unwrap().reason, "first");
    }
}
