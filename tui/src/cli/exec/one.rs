//! One target: its streams and its exit code are ours. What our reader does not take, the program
//! over there is not let write.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::exec::{self, Command, Event, Finished, Input};
use cmdop_client::{Connection, Error};
use cmdop_proto::text::shown;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::stdin::Stdin;
use crate::cli::stdout::Stdout;

/// An agent that has not started the program by then will not.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the agent's own clock for `--timeout` may take to reach us.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// How long a relay may take to hear that we gave a program up.
const LEAVING: Duration = Duration::from_secs(2);

/// What the exit code of a program says whose reader went away: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

pub(super) async fn run(
    context: &Context,
    connection: &Connection,
    command: Command,
) -> Result<u8, Failure> {
    let broken =
        |error: io::Error| Failure::internal(format!("cannot use stdin or stdout: {error}"));
    let mut stops = Stops::new().map_err(broken)?;
    let limit = command.timeout.map(|limit| limit + TIMEOUT_GRACE);
    let machine = shown(&command.machine, 64);
    let wants_stdin = command.stdin;
    let begun = Instant::now();
    let started = exec::run(connection, command);
    // Cancel-safe: dropping the call ends it.
    let (input, output) = tokio::select! {
        stop = stops.next() => return Ok(128 + stop as u8),
        started = tokio::time::timeout(limit.unwrap_or(START_TIMEOUT), started) => match started {
            Ok(started) => started?,
            Err(_) => return Err(timed_out(&machine, limit.unwrap_or(START_TIMEOUT))),
        },
    };
    context.warn_of_clock(connection);
    let run = Run {
        input: Some(input),
        stdin: wants_stdin.then(Stdin::open).transpose().map_err(broken)?,
        deadline: begun + limit.unwrap_or(START_TIMEOUT),
        has_limit: limit.is_some(),
        running: false,
        ..Run::of(output).map_err(broken)?
    };
    let ended = run.pass(&mut stops).await;
    if !matches!(ended, Ok(End::Finished(_))) {
        // The program is to end now, not when its agent has lost patience.
        connection.settle(LEAVING).await;
    }
    match ended {
        Ok(End::Finished(finished)) if finished.timed_out => Err(timed_out(
            &machine,
            context.globals.timeout.unwrap_or_default(),
        )),
        Ok(End::TooLong) => Err(timed_out(
            &machine,
            context.globals.timeout.unwrap_or(START_TIMEOUT),
        )),
        ended => exit_code(ended),
    }
}

/// The output of a detached run, whose end is not ours to bring about: a signal ends us alone.
pub(super) async fn follow(context: &Context, output: exec::Output) -> Result<u8, Failure> {
    let broken =
        |error: io::Error| Failure::internal(format!("cannot use stdin or stdout: {error}"));
    let mut stops = Stops::new().map_err(broken)?;
    let mut run = Run::of(output).map_err(broken)?;
    if let Some(limit) = context.globals.timeout {
        run.deadline = Instant::now() + limit;
        run.has_limit = true;
    }
    match run.pass(&mut stops).await {
        Ok(End::Finished(finished)) => {
            super::detached::check(context, &finished)?;
            Ok(finished.exit_code)
        }
        Ok(End::TooLong) => Err(Failure::timeout(
            "the run did not end in time; it goes on without us",
        )),
        ended => exit_code(ended),
    }
}

fn exit_code(ended: Result<End, Broken>) -> Result<u8, Failure> {
    match ended {
        Ok(End::Finished(finished)) => Ok(finished.exit_code),
        Ok(End::Aborted(code)) => Ok(code),
        Ok(End::TooLong) => Err(Failure::timeout("the program took too long")),
        Err(Broken::Reader(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(BROKEN_PIPE),
        Err(Broken::Reader(error)) => Err(Failure::internal(format!(
            "cannot use stdin or stdout: {error}"
        ))),
        Err(Broken::Run(error)) => Err(error.into()),
    }
}

fn timed_out(machine: &str, limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::timeout(format!(
        "the program on {machine} took longer than {limit} and was ended"
    ))
}

/// A program in progress.
struct Run {
    /// Absent: the program is not ours to feed or to signal.
    input: Option<Input>,
    output: exec::Output,
    stdout: Stdout,
    stderr: Stdout,
    stdin: Option<Stdin>,
    /// What our own reader has not taken yet; nothing more is read from the program meanwhile.
    pending: Option<(Stream, Bytes)>,
    /// What the program has not taken yet; nothing more is read from stdin meanwhile.
    typed: Option<Bytes>,
    signals: u32,
    deadline: Instant,
    has_limit: bool,
    running: bool,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

enum End {
    Finished(Finished),
    Aborted(u8),
    TooLong,
}

enum Broken {
    Reader(io::Error),
    Run(Error),
}

impl Run {
    /// A program that runs already and gets nothing from us.
    fn of(output: exec::Output) -> io::Result<Self> {
        Ok(Self {
            input: None,
            output,
            stdout: Stdout::open()?,
            stderr: Stdout::open_stderr()?,
            stdin: None,
            pending: None,
            typed: None,
            signals: 0,
            deadline: Instant::now(),
            has_limit: false,
            running: true,
        })
    }

    async fn pass(mut self, stops: &mut Stops) -> Result<End, Broken> {
        let mut finished = None;
        loop {
            if self.pending.is_none()
                && let Some(finished) = finished
            {
                return Ok(End::Finished(finished));
            }
            let waits = self.has_limit || !self.running;
            let typed = self.typed.clone();
            // All branches are cancel-safe: each takes one thing whole, or nothing.
            tokio::select! {
                biased;
                stop = stops.next() => {
                    self.signals += 1;
                    let input = self.input.as_ref().filter(|_| self.signals == 1);
                    let sent = input.is_some_and(|input| input.try_signal(stop));
                    if !sent {
                        return Ok(End::Aborted(128 + stop as u8));
                    }
                }
                () = tokio::time::sleep_until(self.deadline), if waits && finished.is_none() => {
                    return Ok(End::TooLong);
                }
                written = write(&self.stdout, &self.stderr, self.pending.as_ref()), if self.pending.is_some() => {
                    self.written(written.map_err(Broken::Reader)?);
                }
                sent = send(self.input.as_ref(), typed), if self.typed.is_some() => self.sent(sent),
                piece = read(self.stdin.as_mut()), if self.stdin.is_some() && self.typed.is_none() => {
                    // A stdin that cannot be read is one that has ended.
                    self.typed = Some(piece.unwrap_or_default());
                }
                event = self.output.next(), if self.pending.is_none() && finished.is_none() => {
                    match event.map_err(Broken::Run)? {
                        Some(Event::Started { .. }) => self.running = true,
                        Some(Event::Stdout(data)) => self.show(Stream::Out, data).map_err(Broken::Reader)?,
                        Some(Event::Stderr(data)) => self.show(Stream::Err, data).map_err(Broken::Reader)?,
                        Some(Event::Finished(end)) => finished = Some(end),
                        None => {}
                    }
                }
            }
        }
    }

    /// Straight to our reader, and what it does not take now later.
    fn show(&mut self, stream: Stream, mut data: Bytes) -> io::Result<()> {
        let reader = match stream {
            Stream::Out => &self.stdout,
            Stream::Err => &self.stderr,
        };
        let written = reader.try_write(&data)?;
        let _ = data.split_to(written);
        self.pending = (!data.is_empty()).then_some((stream, data));
        Ok(())
    }

    fn written(&mut self, length: usize) {
        if let Some((_, data)) = &mut self.pending {
            let _ = data.split_to(length);
            if data.is_empty() {
                self.pending = None;
            }
        }
    }

    /// An empty piece was the end of stdin; a program that is gone needs no more.
    fn sent(&mut self, sent: bool) {
        let ended = self.typed.take().is_none_or(|piece| piece.is_empty());
        if ended || !sent {
            self.stdin = None;
        }
    }
}

async fn write(
    stdout: &Stdout,
    stderr: &Stdout,
    pending: Option<&(Stream, Bytes)>,
) -> io::Result<usize> {
    match pending {
        Some((Stream::Out, data)) => stdout.write(data).await,
        Some((Stream::Err, data)) => stderr.write(data).await,
        None => Ok(0),
    }
}

async fn send(input: Option<&Input>, piece: Option<Bytes>) -> bool {
    match (input, piece) {
        (Some(input), Some(piece)) if piece.is_empty() => input.close_stdin().await,
        (Some(input), Some(piece)) => input.stdin(piece).await,
        _ => true,
    }
}

async fn read(stdin: Option<&mut Stdin>) -> io::Result<Bytes> {
    match stdin {
        Some(stdin) => stdin.read().await,
        None => std::future::pending().await,
    }
}

/// What tells us to stop. The first is passed on to the program, the second ends us.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stops {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Its number. Cancel-safe.
    async fn next(&mut self) -> u32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hangup.recv() => 1,
        }
    }
}
