//! A session's events as the lines of a recording. Pure: it knows no file and no connection.

use bytes::Bytes;
use cmdop_client::attach::Event;
use cmdop_proto::text::shown;
use cmdop_proto::{Size, v1};
use tokio::time::Instant;

use super::cast::{Cast, Version};
use super::text::Joiner;
use crate::cli::attach::{exit_code, screen};
use crate::cli::sessions::title;

/// Of the sentence that says why a connection was lost, as much as fits in a player's list of markers.
const MAX_REASON: usize = 200;

/// The state of one recording.
#[derive(Debug)]
pub(super) struct Recorder {
    cast: Cast,
    text: Joiner,
    size: Size,
    /// Something of the session is in the recording already.
    has_shown: bool,
    is_reconnecting: bool,
}

impl Recorder {
    /// Begins a recording with its header. `time`: now, and the same in seconds since 1970.
    pub(super) fn begin(
        version: Version,
        session: &v1::Session,
        time: (Instant, u64),
        out: &mut Vec<u8>,
    ) -> Self {
        let size = session.size.and_then(|size| Size::try_from(size).ok());
        let size = size.unwrap_or(Size::DEFAULT);
        Self {
            cast: Cast::begin(version, size, &title(session), time, out),
            text: Joiner::default(),
            size,
            has_shown: false,
            is_reconnecting: false,
        }
    }

    /// Records one event.
    pub(super) fn take(&mut self, event: &Event, now: Instant, out: &mut Vec<u8>) {
        match event {
            Event::Output { data, .. } => {
                let text = self.text.push(data);
                self.output(now, &text, out);
            }
            Event::Keyframe { size, data, .. } => self.keyframe(*size, data, now, out),
            Event::Reconnecting { reason, .. } => {
                if !std::mem::replace(&mut self.is_reconnecting, true) {
                    let label = format!("connection lost: {}", shown(reason, MAX_REASON));
                    self.cast.marker(now, &label, out);
                }
            }
            Event::Reconnected => {
                self.is_reconnecting = false;
                self.cast.marker(now, "connection resumed", out);
            }
            Event::Ended(session) => {
                self.finish(now, out);
                if session.exit.is_some() {
                    self.cast.exit(now, exit_code(session), out);
                }
            }
            Event::Failed(_) => self.finish(now, out),
            Event::State(_) | Event::Refused(_) => {}
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, now: Instant, out: &mut Vec<u8>) {
        let text = self.text.finish();
        self.output(now, &text, out);
    }

    fn keyframe(&mut self, size: Size, data: &Bytes, now: Instant, out: &mut Vec<u8>) {
        // It shows all that was held back, and more.
        self.text.forget();
        if std::mem::replace(&mut self.size, size) != size {
            self.cast.resize(now, size, out);
        }
        let mut bytes = Vec::with_capacity(data.len());
        if self.has_shown {
            // It is meant for a fresh terminal, and the player's is none: it may stand inside a
            // sequence, or have modes on that a keyframe does not speak of.
            bytes.extend_from_slice(&screen::before_keyframe());
        }
        bytes.extend_from_slice(data);
        let text = self.text.push(&bytes);
        self.output(now, &text, out);
    }

    fn output(&mut self, now: Instant, text: &str, out: &mut Vec<u8>) {
        self.has_shown |= !text.is_empty();
        self.cast.output(now, text, out);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cmdop_proto::{Offset, v1};

    use super::*;

    fn session() -> v1::Session {
        v1::Session {
            name: "build".into(),
            size: Some(Size::DEFAULT.into()),
            ..v1::Session::default()
        }
    }

    fn output(data: &'static [u8]) -> Event {
        Event::Output {
            offset: Offset(0),
            data: Bytes::from_static(data),
            reached: None,
            echo: v1::Echo::Unspecified,
        }
    }

    fn keyframe(size: &str, data: &'static [u8]) -> Event {
        Event::Keyframe {
            offset: Offset(0),
            size: size.parse().unwrap(),
            data: Bytes::from_static(data),
            history: None,
            echo: v1::Echo::Unspecified,
        }
    }

    fn lost(attempt: u32) -> Event {
        Event::Reconnecting {
            reason: "the relay \x1bstopped".into(),
            attempt,
        }
    }

    fn ended() -> Event {
        Event::Ended(v1::Session {
            exit: Some(v1::Exit {
                outcome: Some(v1::exit::Outcome::Code(7)),
            }),
            ..session()
        })
    }

    /// A recording of these events, 1.5 s apart.
    fn recorded(version: Version, events: &[Event]) -> String {
        let mut now = Instant::now();
        let mut out = Vec::new();
        let mut recorder = Recorder::begin(version, &session(), (now, 1_700_000_000), &mut out);
        for event in events {
            now += Duration::from_micros(1_500_001);
            recorder.take(event, now, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    fn a_session() -> [Event; 9] {
        [
            keyframe("80x24", b"\x1b[2Jready\xe2\x82"),
            output(b"\xac \x1b[31mred\x1b[m\r\n"),
            output(b"\xc2\x9b31m \xff \x7f"),
            keyframe("100x30", b"\x1b[2Jwider"),
            lost(1),
            lost(2),
            Event::Reconnected,
            output(b"half \xf0\x9f"),
            ended(),
        ]
    }

    #[test]
    fn a_recording_keeps_its_shape() {
        insta::assert_snapshot!("version_2", recorded(Version::Two, &a_session()));
        insta::assert_snapshot!("version_3", recorded(Version::Three, &a_session()));
    }

    #[test]
    fn every_line_is_json_that_steers_no_terminal() {
        let text = recorded(Version::Three, &a_session());
        assert!(text.ends_with('\n'));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn a_keyframe_of_the_same_size_is_no_resize_and_starts_from_a_sane_terminal() {
        let text = recorded(
            Version::Two,
            &[
                keyframe("80x24", b"a"),
                output(b"\x1b["),
                keyframe("80x24", b"b"),
            ],
        );
        assert!(!text.contains("\"r\""), "{text}");
        let last = text.lines().last().unwrap();
        assert!(last.contains("\"\\u0018"), "{last}");
        assert!(last.ends_with("b\"]"), "{last}");
    }

    #[test]
    fn an_end_that_nobody_saw_is_no_exit() {
        let text = recorded(Version::Three, &[output(b"x"), Event::Ended(session())]);
        assert!(!text.contains("\"x\", \"69\""), "{text}");
    }
}
