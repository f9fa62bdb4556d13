//! The task that owns a session: one event at a time, the relay's words before the terminal's.

mod ending;
mod pictures;
mod relay;
mod terminal;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use cmdop_proto::{Offset, Refusal, Size, v1};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::Instrument as _;

use crate::holder::client::{Ground, Left};
use crate::memory::Memory;
use crate::process::Process;
use crate::pty::Pty;
use crate::session::end::Closing;
use crate::session::input::Inputs;
use crate::session::log::Log;
use crate::session::screen::Screen;
use crate::session::stream::{Intake, Opener, Stream};
use crate::session::{Command, Context, Handle, Start, shown_command};
use crate::user::Directory;

/// What one turn reads at most, so that a flood never keeps a key waiting for longer than it takes
/// to copy this much.
const TURN: usize = 64 << 10;

/// How far the emulator may be behind while a program floods: it is fed in large pieces then, which
/// is faster, and well before the log could lose what it has not seen.
const MAX_LAG: u64 = 256 << 10;

/// What the emulator is fed at once: a quarter of a millisecond of plain text, for which a key of another
/// session may wait a few times on its way through the agent.
const FEED: usize = 16 << 10;

/// How many cells it may touch in one turn: a few bytes can ask for a whole screen of work, and half
/// of the largest screen takes some milliseconds.
const WORK: usize = 1 << 20;

/// What is still read after the program's end: more than the kernel holds for a terminal, and a bound
/// against a background job that never stops printing.
const MAX_LAST_WORDS: usize = 256 << 10;

/// Where to start: where the program of another session is now, or else where it was asked for.
async fn directory(cwd: Directory, beside: Option<Handle>) -> Result<PathBuf, Refusal> {
    if let Some(beside) = beside
        && let Some(place) = beside.directory().await
        && let Some(place) = place.to_str()
        && let Ok(found) = cwd.or(place.to_owned()).find().await
    {
        return Ok(found);
    }
    cwd.find().await
}

/// Starts the session and keeps it until it is over. The error is for the relay that asked for it.
pub(crate) async fn run(
    start: Start,
    opener: Opener,
    commands: mpsc::Receiver<Command>,
    context: Context,
) -> Result<(), Refusal> {
    let span = tracing::info_span!("session", id = %start.record.id);
    let mut program = start.program;
    program.cwd = directory(start.cwd, start.beside).await?;
    let mut record = start.record;
    // Kept for showing only, and sent with every registration: the summaries of all sessions must fit
    // one frame.
    record.command = shown_command(&record.command);
    let size = program.size;
    let ground = context
        .holder
        .start(&record, program, context.log_bytes)
        .await
        .map_err(|error| super::not_started(&error))?;
    let pid = ground.process.pid().as_raw_nonzero();
    tracing::info!(parent: &span, pid, "a session starts");
    let screen = Screen::new(size);
    let mut task = Task::on(ground, record, screen, &context)
        .map_err(|error| super::not_started(&error.into()))?;
    task.open(opener);
    task.live(commands, context).instrument(span).await;
    Ok(())
}

/// Goes on with a session that an earlier worker left, until it is over.
pub(crate) async fn adopt(left: Left, commands: mpsc::Receiver<Command>, context: Context) {
    let span = tracing::info_span!("session", id = %left.record.id);
    let id = left.record.id.clone();
    let size = left.record.size.and_then(|size| Size::try_from(size).ok());
    let screen = Screen::new(size.unwrap_or(Size::DEFAULT));
    let mut task = match Task::on(left.ground, left.record, screen, &context) {
        Ok(task) => task,
        Err(error) => {
            tracing::error!(parent: &span, %error, "a session cannot be taken over");
            context.holder.release(&id).await;
            return;
        }
    };
    async {
        tracing::info!(bytes = task.log.end().0, "a session is taken over");
        task.restore_screen().await;
        task.live(commands, context).await;
    }
    .instrument(span)
    .await;
}

/// The stream to the relay.
enum Link {
    Away,
    Opening(Pin<Box<dyn Future<Output = Result<Box<Stream>, Refusal>> + Send>>),
    Open(Box<Stream>),
}

enum Event {
    Stop,
    Command(Option<Command>),
    Opened(Result<Box<Stream>, Refusal>),
    Down(Result<Option<v1::SessionDown>, Status>),
    Ended,
    Writable,
    Readable,
    Room,
    Lag,
    Deadline,
    AcksDue,
    Gathered,
}

struct Task {
    record: v1::Session,
    /// Gone once the session is over; that hangs the terminal up.
    pty: Option<Pty>,
    /// Gone once it was reaped.
    process: Option<Process>,
    /// The leader ended; it is not reaped before its last words were read.
    has_ended: bool,
    /// The session is over: how.
    exit: Option<v1::Exit>,
    log: Log,
    screen: Screen,
    /// What the screen has seen.
    fed: Offset,
    inputs: Inputs,
    link: Link,
    /// Since when there is no open stream.
    away_since: Instant,
    patience: Option<Duration>,
    closing: Option<Closing>,
    /// Nobody had the terminal open at the last look.
    is_hung_up: bool,
    /// The relay does not want to hear of it any more.
    is_given_up: bool,
    last_words: usize,
    /// When acknowledgements go out although no output does.
    acks_due_at: Instant,
    /// Bytes that were read and wait for more before they are sent, and until when.
    gathered: usize,
    gather_until: Instant,
    /// What the screen is fed from.
    buffer: Vec<u8>,
    unheard: mpsc::Sender<v1::SessionSummary>,
}

impl Task {
    /// A session on its terminal, before anything happens.
    fn on(
        ground: Ground,
        record: v1::Session,
        screen: Screen,
        context: &Context,
    ) -> io::Result<Self> {
        let mut log = Log::new(Memory::open(ground.parts)?);
        let memory = log.memory();
        let inputs = Inputs::left(memory.clients()?, memory.written(), memory.half());
        Ok(Self {
            patience: super::patience(&record, context.notice),
            record,
            pty: Some(Pty::new(ground.terminal)?),
            process: Some(ground.process),
            has_ended: false,
            exit: None,
            log,
            screen,
            fed: Offset::START,
            inputs,
            link: Link::Away,
            away_since: Instant::now(),
            closing: None,
            is_hung_up: false,
            is_given_up: false,
            last_words: MAX_LAST_WORDS,
            acks_due_at: Instant::now(),
            gathered: 0,
            gather_until: Instant::now(),
            buffer: vec![0; FEED],
            unheard: context.unheard.clone(),
        })
    }

    async fn live(&mut self, mut commands: mpsc::Receiver<Command>, context: Context) {
        loop {
            if self.may_finish() {
                self.last_words().await;
            }
            self.renew_keyframe().await;
            if self.gathered == 0 {
                self.pump();
            }
            if self.is_over() {
                break;
            }
            let event = self.next(&mut commands, &context.stop).await;
            self.handle(event).await;
        }
        context.holder.release(&self.record.id).await;
        tracing::info!(bytes = self.log.end().0, "a session is over");
    }

    /// Cancel-safe throughout: what a lost branch was about to bring, it brings at the next call.
    async fn next(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        stop: &CancellationToken,
    ) -> Event {
        let deadline = self.deadline();
        let may_read = self.may_read();
        let intake = if self.inputs.is_full() {
            Intake::Closed
        } else {
            Intake::Open
        };
        let has_lag = self.has_lag();
        let acks_due_at = match &mut self.link {
            Link::Open(stream) => stream.queue().holds_acks().then_some(self.acks_due_at),
            Link::Away | Link::Opening(_) => None,
        };
        let gather_until = (self.gathered > 0).then_some(self.gather_until);
        let Self {
            link, pty, process, ..
        } = self;
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.is_given_up => Event::Stop,
            command = commands.recv(), if !commands.is_closed() || !commands.is_empty() => {
                Event::Command(command)
            }
            event = link_event(link, intake) => event,
            () = ended(process.as_mut()), if !self.has_ended => Event::Ended,
            // Before what a flood keeps ready for ever.
            () = at(deadline), if deadline.is_some() => Event::Deadline,
            () = writable(pty.as_ref()), if self.inputs.next().is_some() => Event::Writable,
            () = readable(pty.as_ref()), if may_read => Event::Readable,
            () = at(acks_due_at), if acks_due_at.is_some() => Event::AcksDue,
            () = at(gather_until), if gather_until.is_some() => Event::Gathered,
            () = std::future::ready(()), if has_lag => Event::Lag,
        }
    }

    async fn handle(&mut self, event: Event) {
        if !matches!(event, Event::Readable | Event::Lag) {
            self.gathered = 0;
        }
        match event {
            Event::Stop | Event::Command(Some(Command::End) | None) => self.give_up().await,
            Event::Command(Some(Command::Resume(opener))) => self.open(opener),
            Event::Command(Some(Command::Where(asked))) => drop(asked.send(self.directory())),
            Event::Command(Some(Command::Summary(asked))) => drop(asked.send(self.summary())),
            Event::Opened(Ok(stream)) => self.link = Link::Open(stream),
            Event::Opened(Err(refusal)) => self.lost(&refusal),
            Event::Down(Ok(Some(message))) => self.obey(message).await,
            Event::Down(Ok(None)) => self.relay_closed(),
            Event::Down(Err(status)) => self.lost(&Refusal::from(status)),
            Event::Ended => self.has_ended = true,
            Event::Writable => self.write(),
            Event::Readable => self.read().await,
            Event::Room | Event::Gathered => {}
            Event::Lag => self.feed().await,
            Event::Deadline => self.deadline_passed().await,
            Event::AcksDue => {
                if let Link::Open(stream) = &mut self.link {
                    stream.queue().release_acks();
                }
            }
        }
    }

    /// Whether the emulator is to be fed. What is gathered of a flood is fed in large pieces: of many lines
    /// at once, most have left the screen before they are drawn.
    fn has_lag(&self) -> bool {
        let lag = self.log.end() - self.fed;
        let is_much = self.gathered == 0 || lag >= FEED as u64;
        lag > 0 && is_much && self.exit.is_none()
    }

    /// Over: the processes are gone, and the relay has heard it or does not want to. A stream that is
    /// still being opened may yet carry the end.
    fn is_over(&self) -> bool {
        self.exit.is_some() && self.is_given_up && matches!(self.link, Link::Away)
    }
}

async fn link_event(link: &mut Link, intake: Intake) -> Event {
    match link {
        Link::Away => std::future::pending().await,
        Link::Opening(opening) => Event::Opened(opening.as_mut().await),
        Link::Open(stream) => match stream.next(intake).await {
            Some(down) => Event::Down(down),
            None => Event::Room,
        },
    }
}

async fn ended(process: Option<&mut Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn readable(pty: Option<&Pty>) {
    if let Some(pty) = pty {
        let _ = pty.readable().await;
    }
}

async fn writable(pty: Option<&Pty>) {
    match pty {
        Some(pty) => drop(pty.writable().await),
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    if let Some(deadline) = deadline.filter(|deadline| *deadline > Instant::now()) {
        tokio::time::sleep_until(deadline).await;
    }
}

#[cfg(test)]
mod tests;
