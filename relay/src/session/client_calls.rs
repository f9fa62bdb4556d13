//! What an attached client's stream asks of its session besides typing and reading.

use std::sync::Arc;

use cmdop_proto::{InputSeq, Refusal, v1};

use super::attached::AttachmentId;
use super::state::State;
use super::{Session, now};

impl Session {
    pub(crate) fn client_resized(
        self: &Arc<Self>,
        attachment: AttachmentId,
        size: v1::Size,
    ) -> Result<(), Refusal> {
        self.with(|state, after| state.client_resized(attachment, size, after))
    }

    pub(crate) fn client_keyboard(
        self: &Arc<Self>,
        attachment: AttachmentId,
        change: v1::KeyboardChange,
    ) -> Result<(), Refusal> {
        self.with(|state, after| state.client_keyboard(attachment, change, now(), after))
    }

    pub(crate) fn client_pinged(self: &Arc<Self>, attachment: AttachmentId, nonce: u64) {
        self.with(|state, after| state.client_pinged(attachment, nonce, after));
    }

    pub(crate) fn client_received(self: &Arc<Self>, attachment: AttachmentId, mark: u64) {
        self.with(|state, after| {
            state.client_received(attachment, mark, now().instant, after);
        });
    }

    pub(crate) fn client_background(
        self: &Arc<Self>,
        attachment: AttachmentId,
        is_in_background: bool,
    ) -> Result<(), Refusal> {
        self.with(|state, after| {
            state.client_background(attachment, is_in_background, now(), after)
        })
    }

    pub(crate) fn refuse_client(
        self: &Arc<Self>,
        attachment: AttachmentId,
        refusal: Refusal,
        seq: InputSeq,
    ) {
        self.with(|state, after| state.refuse_client(attachment, refusal, seq, now(), after));
    }

    pub(crate) fn cut_client(self: &Arc<Self>, attachment: AttachmentId, refusal: Refusal) {
        self.with(|state, after| state.cut_client(attachment, refusal, now(), after));
    }

    pub(crate) fn client_left(self: &Arc<Self>, attachment: AttachmentId) {
        self.with(|state, after| state.client_left(attachment, now(), after));
    }

    /// Ends every attached client's stream with `refusal`.
    pub(crate) fn cut_all(self: &Arc<Self>, refusal: &Refusal) {
        self.with(|state, after| state.cut_all(refusal, now(), after));
    }

    pub(crate) fn going_away(self: &Arc<Self>) {
        self.with(State::going_away);
    }
}
