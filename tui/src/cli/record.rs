//! `cmdop record`: a session as an asciicast, from an observer's seat.
//!
//! What was recorded is on disk after every event: a recorder that is killed leaves a file that plays
//! up to there. Input is not recorded, since the relay tells no observer who types what.

mod cast;
mod recorder;
mod sink;
mod text;

use std::io;
use std::path::PathBuf;

use cmdop_client::attach::{Attachment, Event, Options};
use cmdop_client::clock::now_ms;
use cmdop_client::{Error, attach};
use cmdop_proto::v1;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::context::Context;
use super::failure::Failure;
use super::sessions::{exit, title};
use cast::Version;
use recorder::Recorder;
use sink::Sink;

/// Lines that may wait for one write. More would only delay what a kill leaves behind.
const MAX_PENDING: usize = 256 << 10;

/// Record a session to an asciicast file, until it ends or ctrl-c
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop record build build.cast\n\nThe file plays with `cmdop play` and with \
                  asciinema. It holds all that the session shows, secrets too, so only its owner can read it."
)]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Where to; `-` is stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write asciicast v3, as asciinema 3 does, instead of v2
    #[arg(long)]
    v3: bool,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    sink::check(&args.file, args.force)?;
    let connection = context.connection()?;
    let attachment = attach::open(&connection, Options::observer(&args.session)).await?;
    context.warn_of_clock(&connection);
    let session = attachment.session().clone();
    let sink = Sink::open(&args.file, args.force)?;
    let version = if args.v3 {
        Version::Three
    } else {
        Version::Two
    };
    let start = Instant::now();
    let mut lines = Vec::new();
    let time = (start, now_ms() / 1000);
    let recorder = Recorder::begin(version, &session, time, &mut lines);
    let recording = Recording {
        attachment,
        sink,
        recorder,
        pending: lines,
        written: 0,
        end: None,
    };
    let name = sink::name(&args.file);
    let (end, written) = recording
        .run()
        .await
        .map_err(|error| Failure::internal(format!("cannot write {name}: {error}")))?;
    let seconds = start.elapsed().as_secs_f64();
    let how = match &end {
        End::Over(session) => format!("; the session ended: {}", how_it_ended(session)),
        _ => String::new(),
    };
    context.progress(&format!(
        "[recorded {} for {seconds:.1}s, {written} bytes to {name}{how}]",
        title(&session)
    ));
    match end {
        End::Failed(error) => Err(error.into()),
        End::Hurried(signal) => Ok(128 + signal),
        End::Over(_) | End::Stopped => Ok(0),
    }
}

fn how_it_ended(session: &v1::Session) -> String {
    let how = exit(session);
    if how.is_empty() {
        cmdop_proto::text::shown(&session.reason, 256)
    } else {
        how
    }
}

/// Why a recording ended.
#[derive(Debug)]
enum End {
    /// The session is over.
    Over(Box<v1::Session>),
    /// Its user has enough of it, or whoever read it.
    Stopped,
    /// Its user did not want to wait for a reader that stands still.
    Hurried(u8),
    /// Nothing helps any more.
    Failed(Error),
}

/// A recording that is under way.
#[derive(Debug)]
struct Recording {
    attachment: Attachment,
    sink: Sink,
    recorder: Recorder,
    pending: Vec<u8>,
    written: u64,
    end: Option<End>,
}

impl Recording {
    async fn run(mut self) -> io::Result<(End, u64)> {
        let mut stops = Stops::new()?;
        loop {
            if self.pending.is_empty()
                && let Some(end) = self.end.take()
            {
                return Ok((end, self.written));
            }
            // All branches are cancel-safe: they wait, or take one thing whole. A sink that is slow
            // leaves the session's output in the connection, where the rules for slow clients apply.
            tokio::select! {
                biased;
                signal = stops.next() => {
                    if self.end.is_some() {
                        return Ok((End::Hurried(signal), self.written));
                    }
                    self.recorder.finish(Instant::now(), &mut self.pending);
                    self.end = Some(End::Stopped);
                }
                written = self.sink.write(&self.pending), if !self.pending.is_empty() => match written {
                    Ok(length) => {
                        self.pending.drain(..length);
                        self.written += length as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok((End::Stopped, self.written));
                    }
                    Err(error) => return Err(error),
                },
                event = self.attachment.next(), if self.pending.is_empty() => self.take(event),
            }
        }
    }

    /// Takes one event and what else is there already.
    fn take(&mut self, event: Option<Event>) {
        let now = Instant::now();
        let mut event = event;
        loop {
            let Some(taken) = event else {
                let lost = Error::Lost("the attachment ended".into());
                self.end.get_or_insert(End::Failed(lost));
                return;
            };
            self.recorder.take(&taken, now, &mut self.pending);
            match taken {
                Event::Ended(session) => self.end = Some(End::Over(Box::new(session))),
                Event::Failed(error) => self.end = Some(End::Failed(error)),
                _ => {}
            }
            if self.end.is_some() || self.pending.len() >= MAX_PENDING {
                return;
            }
            event = match self.attachment.try_next() {
                Some(event) => Some(event),
                None => return,
            };
        }
    }
}

/// The signals that end a recording, in good order: a terminal that closes is one of them.
#[derive(Debug)]
struct Stops([(u8, Signal); 3]);

impl Stops {
    fn new() -> io::Result<Self> {
        let stop =
            |kind: SignalKind| Ok::<_, io::Error>((kind.as_raw_value() as u8, signal(kind)?));
        Ok(Self([
            stop(SignalKind::interrupt())?,
            stop(SignalKind::terminate())?,
            stop(SignalKind::hangup())?,
        ]))
    }

    /// Cancel-safe.
    async fn next(&mut self) -> u8 {
        let [(int, a), (term, b), (hup, c)] = &mut self.0;
        tokio::select! {
            _ = a.recv() => *int,
            _ = b.recv() => *term,
            _ = c.recv() => *hup,
        }
    }
}
