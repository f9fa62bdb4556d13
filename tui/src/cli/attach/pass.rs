//! The loop of a raw attach: keys in, output out, size changes and signals, nothing else.
//!
//! Output is written the moment it comes; what the terminal does not take at once is gathered, up to
//! [`MAX_PENDING`], and beyond that left in the connection, so that the session's own rules for slow
//! clients apply.

use std::io;

use bytes::{Bytes, BytesMut};
use cmdop_client::Error;
use cmdop_client::attach::{Attachment, Event, Keys};
use cmdop_emulator::QueryFilter;
use cmdop_proto::v1;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::escape::{Keystroke, Scanner};
use super::{screen, terminal};
use crate::cli::stdin::Stdin;
use crate::cli::stdout::Stdout;

/// Output that waits for the terminal. More makes Ctrl-C slow, less makes throughput slow.
const MAX_PENDING: usize = 256 << 10;

/// How an attach ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The user detached, and the session has all that was typed.
    Detached,
    /// The user detached while the session did not take the last of it.
    Cut,
    /// The session is over.
    Ended(Box<v1::Session>),
    /// Nothing helps any more.
    Failed(Error),
    /// A signal told this process to stop.
    Killed(u8),
}

/// What the end of stdin means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum AtEnd {
    /// All is said: leave the session to itself.
    Detach,
    /// Nothing more is typed, but the program's end is awaited.
    Stay,
}

/// The state of one attach.
#[derive(Debug)]
pub(super) struct Pass {
    attachment: Attachment,
    keys: Keys,
    stdout: Stdout,
    scanner: Scanner,
    filter: QueryFilter,
    operator: bool,
    at_end: AtEnd,
    notices: bool,
    pending: BytesMut,
    typed: Bytes,
    shown: bool,
    outcome: Option<Outcome>,
}

impl Pass {
    pub(super) fn new(
        attachment: Attachment,
        stdout: Stdout,
        escape: Keystroke,
        (operator, at_end): (bool, AtEnd),
        notices: bool,
    ) -> Self {
        Self {
            keys: attachment.keys(),
            attachment,
            stdout,
            scanner: Scanner::new(escape),
            filter: QueryFilter::new(),
            operator,
            at_end,
            notices,
            pending: BytesMut::new(),
            typed: Bytes::new(),
            shown: false,
            outcome: None,
        }
    }

    /// `raw`: the terminal on stdin, if it is one.
    pub(super) async fn run(
        mut self,
        mut stdin: Stdin,
        raw: Option<&terminal::Raw>,
    ) -> io::Result<Outcome> {
        let mut signals = Signals::new()?;
        let mut reading = true;
        let mut detaching = false;
        loop {
            if self.pending.is_empty()
                && let Some(outcome) = self.outcome.take()
            {
                return Ok(outcome);
            }
            if detaching && self.typed.is_empty() {
                drop(self.keys);
                let written = self.attachment.detach().await;
                return Ok(if written {
                    Outcome::Detached
                } else {
                    Outcome::Cut
                });
            }
            let live = self.outcome.is_none();
            let room = live && self.pending.len() < MAX_PENDING;
            let typed = self.typed.clone();
            // All branches are cancel-safe: they wait, or take one thing whole. `keys.input` of one
            // piece either sends it or does not. Keys come before output, so that Ctrl-C beats a flood.
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Got::Resize => self.resized(),
                    Got::Continued => {
                        // Whoever stopped us gave the terminal to a shell meanwhile.
                        if let Some(raw) = raw {
                            raw.again()?;
                        }
                        self.resized();
                    }
                    Got::Stop(number) => return Ok(Outcome::Killed(number)),
                },
                piece = stdin.read(), if live && reading && !detaching && self.typed.is_empty() => {
                    let piece = piece?;
                    if piece.is_empty() {
                        // Without a terminal, the end of stdin ends typing; the session goes on.
                        reading = false;
                        detaching = self.operator && self.at_end == AtEnd::Detach;
                    } else {
                        detaching = self.take_keys(piece);
                    }
                }
                _ = self.keys.input(typed), if live && !self.typed.is_empty() => self.typed = Bytes::new(),
                written = self.stdout.write(&self.pending), if !self.pending.is_empty() => {
                    let _ = self.pending.split_to(written?);
                }
                event = self.attachment.next(), if room => self.take_events(event)?,
            }
        }
    }

    fn take_keys(&mut self, piece: Bytes) -> bool {
        let typed = self.scanner.scan(piece);
        if self.operator
            && let Err(rest) = self.keys.try_input(typed.data)
        {
            self.typed = rest;
        }
        typed.detach
    }

    fn resized(&self) {
        if let Some(size) = terminal::size().filter(|_| self.operator) {
            self.keys.resize(size);
        }
    }

    /// Takes one event and what else is there already, then writes it all in as few writes as can be.
    fn take_events(&mut self, event: Option<Event>) -> io::Result<()> {
        let mut event = event;
        loop {
            if let Some(event) = event {
                self.take_event(event)?;
            } else {
                let lost = Error::Lost("the attachment ended".into());
                self.outcome.get_or_insert(Outcome::Failed(lost));
            }
            if self.outcome.is_some() || self.pending.len() >= MAX_PENDING {
                break;
            }
            event = match self.attachment.try_next() {
                Some(event) => Some(event),
                None => break,
            };
        }
        self.flush()
    }

    fn take_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Output { data, .. } => return self.output(&data),
            Event::Keyframe { data, .. } => {
                // It shows all that waits, and more: what waits would only delay it.
                self.pending.clear();
                if !std::mem::replace(&mut self.shown, true) {
                    self.pending
                        .extend_from_slice(&screen::enter(terminal::size()));
                }
                self.pending
                    .extend_from_slice(&redrawn(&mut self.filter, &data));
            }
            Event::Reconnecting { reason, attempt: 1 } => {
                self.notice(&format!("cmdop: reconnecting ({reason})"));
            }
            Event::Reconnected => self.notice("cmdop: connected"),
            Event::State(_) | Event::Reconnecting { .. } => {}
            Event::Refused(refusal) => self.notice(&format!("cmdop: {refusal}")),
            Event::Ended(session) => {
                let held = self.filter.finish();
                self.pending.extend_from_slice(&held);
                self.outcome = Some(Outcome::Ended(Box::new(session)));
            }
            Event::Failed(error) => self.outcome = Some(Outcome::Failed(error)),
        }
        Ok(())
    }

    /// Tells something of ours in the terminal's title, unless it would split a sequence in two.
    fn notice(&mut self, text: &str) {
        if self.notices && self.filter.is_ground() {
            self.pending.extend_from_slice(&screen::notice(text));
        }
    }

    /// Nothing waits: straight to the terminal, without a copy.
    fn output(&mut self, data: &Bytes) -> io::Result<()> {
        let data = self.filter.filter(data);
        let written = if self.pending.is_empty() {
            self.stdout.try_write(&data)?
        } else {
            0
        };
        self.pending.extend_from_slice(&data[written..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.stdout.try_write(&self.pending)?;
        let _ = self.pending.split_to(written);
        Ok(())
    }
}

/// A keyframe as the terminal gets it. Its end may be the beginning of a query.
fn redrawn(filter: &mut QueryFilter, keyframe: &[u8]) -> Vec<u8> {
    *filter = QueryFilter::new();
    let mut out = screen::before_keyframe();
    out.extend_from_slice(&filter.filter(keyframe));
    out
}

/// The signals that matter to a program that has the terminal.
pub(in crate::cli) struct Signals {
    resize: Signal,
    continued: Signal,
    stops: [(u8, Signal); 4],
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Got {
    /// The terminal has another size.
    Resize,
    /// The process goes on after it was stopped.
    Continued,
    /// It is to end, by this signal.
    Stop(u8),
}

impl Signals {
    pub(in crate::cli) fn new() -> io::Result<Self> {
        let stop =
            |kind: SignalKind| Ok::<_, io::Error>((kind.as_raw_value() as u8, signal(kind)?));
        Ok(Self {
            resize: signal(SignalKind::window_change())?,
            continued: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            stops: [
                stop(SignalKind::terminate())?,
                stop(SignalKind::hangup())?,
                stop(SignalKind::interrupt())?,
                stop(SignalKind::quit())?,
            ],
        })
    }

    /// Cancel-safe.
    pub(in crate::cli) async fn next(&mut self) -> Got {
        let [(term, a), (hup, b), (int, c), (quit, d)] = &mut self.stops;
        tokio::select! {
            _ = self.resize.recv() => Got::Resize,
            _ = self.continued.recv() => Got::Continued,
            _ = a.recv() => Got::Stop(*term),
            _ = b.recv() => Got::Stop(*hup),
            _ = c.recv() => Got::Stop(*int),
            _ = d.recv() => Got::Stop(*quit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_a_keyframe_ends_in_the_middle_of_is_taken_out_too() {
        let mut filter = QueryFilter::new();
        let mut out = redrawn(&mut filter, b"screen\x1b[");
        out.extend_from_slice(&filter.filter(b"cand on"));
        assert!(out.ends_with(b"screenand on"), "{}", out.escape_ascii());
    }
}
