//! The signals of a program that has the terminal.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
