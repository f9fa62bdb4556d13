//! What the session does for its relay: streams that come and go, messages that are obeyed.

use cmdop_proto::v1::session_down::Message as Down;
use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{Offset, Refusal, limits, v1};
use tokio::time::Instant;

use super::{Link, Task};
use crate::session::stream::Opener;

impl Task {
    pub(super) fn open(&mut self, opener: Opener) {
        self.leave();
        self.link = Link::Opening(Box::pin(opener.open(self.summary())));
    }

    /// Gives up the stream; what was not sent is in the log.
    pub(super) fn leave(&mut self) {
        if matches!(self.link, Link::Open(_)) {
            self.away_since = Instant::now();
        }
        self.link = Link::Away;
    }

    pub(super) fn lost(&mut self, refusal: &Refusal) {
        tracing::debug!(reason = refusal.reason, "lost the stream: {refusal}");
        self.leave();
    }

    /// The relay ended its side in order: it has heard the end, or wants no more.
    pub(super) fn relay_closed(&mut self) {
        if let Link::Open(stream) = &self.link
            && stream.has_said_goodbye()
        {
            self.is_given_up = true;
        }
        self.leave();
    }

    pub(super) fn pump(&mut self) {
        let exit = self.exit;
        if let Link::Open(stream) = &mut self.link
            && !stream.queue().has_stale_keyframe(&self.log)
            && !stream.pump(&self.log, exit)
        {
            self.leave();
        }
    }

    /// A relay that asked for a keyframe, on a stream that is slower than the program, must not wait
    /// for one that was overtaken.
    pub(super) async fn renew_keyframe(&mut self) {
        let Link::Open(stream) = &mut self.link else {
            return;
        };
        if stream.queue().has_stale_keyframe(&self.log) {
            let keyframe = self.make_keyframe().await;
            if let Link::Open(stream) = &mut self.link {
                stream.queue().jump(keyframe);
            }
        }
    }

    pub(super) fn answer(&mut self, message: Up) {
        if let Link::Open(stream) = &mut self.link {
            stream.queue().answer(message);
        }
    }

    pub(super) async fn obey(&mut self, message: v1::SessionDown) {
        let Link::Open(stream) = &mut self.link else {
            return;
        };
        match message.message {
            Some(Down::Input(input)) => self.accept(input),
            Some(Down::SendFrom(offset)) => stream.queue().begin(Offset(offset)),
            Some(Down::ReadUpTo(offset)) => stream.set_read_up_to(Offset(offset)),
            Some(Down::Received(mark)) => stream.queue().received(mark),
            Some(Down::Resize(size)) => self.resize(size).await,
            Some(Down::Signal(number)) => self.signal(number),
            Some(Down::Settings(settings)) => self.keep(settings),
            Some(Down::KeyframeWanted(_)) => self.keyframe().await,
            Some(Down::CaptureWanted(wanted)) => self.capture(wanted).await,
            Some(Down::HistoryWanted(wanted)) => self.history(wanted).await,
            // A message of a newer relay.
            None => {}
        }
    }

    /// What operators set outlives the relay in the session's record; nothing here acts on it. Texts
    /// are cut: all summaries have to fit one frame.
    fn keep(&mut self, settings: v1::SessionSettings) {
        self.record.size_policy = settings.size_policy;
        self.record.keyboard = settings.keyboard.map(|keyboard| {
            let shown = |text: &str| cmdop_proto::text::shown(text, limits::MAX_NAME);
            let holder = keyboard.holder.map(|holder| v1::Typist {
                client_id: shown(&holder.client_id),
                account_name: shown(&holder.account_name),
                account_id: shown(&holder.account_id),
            });
            v1::Keyboard {
                mode: keyboard.mode,
                holder,
                ..v1::Keyboard::default()
            }
        });
    }

    pub(super) fn summary(&self) -> v1::SessionSummary {
        let mut session = self.record.clone();
        session.end_offset = self.log.end().0;
        session.exit = self.exit;
        v1::SessionSummary {
            session: Some(session),
            start_offset: self.log.start().0,
            end_offset: self.log.end().0,
            command_id: self.inputs.written().0,
        }
    }
}
