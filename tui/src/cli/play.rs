//! `cmdop play`: an asciicast on this terminal, with the times that it was recorded with.
//!
//! A recording may come from anybody. As with `attach`, its output reaches the terminal, and only
//! what would make the terminal answer is taken out. The terminal is restored on every way out.

mod clock;
mod format;
mod keys;
mod player;
mod show;
mod tape;

use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_proto::Size;
use cmdop_proto::text::shown;
use tokio::time::Instant;

use super::attach::screen;
use super::attach::terminal::{self, Raw};
use super::context::Context;
use super::failure::Failure;
use super::stdin::Stdin;
use super::stdout::Stdout;
use clock::Speed;
use player::Player;
use show::{End, Keys, Place, Show};
use tape::Tape;

/// Play an asciicast file (v2 or v3) on this terminal
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop play build.cast --speed 2 --idle-limit 1\n\nKeys: space pauses, `.` steps to \
                  the next output, right and left jump 5 s, `+` and `-` change the speed, `q` quits. Without a \
                  terminal on stdout it only prints, in the recording's time."
)]
pub(super) struct Args {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How many times as fast, from 0.01 to 1000; `max` shows all of it at once
    #[arg(long, default_value = "1", value_name = "N")]
    speed: Speed,
    /// Cut pauses to this many seconds [default: what the recording says]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    idle_limit: Option<Duration>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let name = shown(&args.file.to_string_lossy(), 1024);
    let unreadable = |error: tape::Error| unreadable(&name, &error);
    let source = open(&args.file, &name)?;
    let tape = Tape::open(source, args.idle_limit).map_err(unreadable)?;
    let size = tape.header().size;
    let is_terminal = std::io::stdout().is_terminal();
    let player = Player::new(tape, args.speed, Instant::now());
    let player = if is_terminal {
        player.at_terminal(!context.globals.quiet)
    } else {
        player
    };
    let broken =
        |error: std::io::Error| Failure::internal(format!("cannot use the terminal: {error}"));
    let stdout = Stdout::open().map_err(broken)?;
    let mut place = if is_terminal {
        Place::Terminal(keys().map_err(broken)?)
    } else {
        Place::Pipe
    };
    // Without raw keys nothing else leaves the screen sane.
    let sane = matches!(place, Place::Terminal(None)).then(|| Sane);
    let mut show = Show::new(player, stdout);
    let end = show.run(&mut place).await;
    drop((place, sane));
    let end = end.map_err(|error| match error {
        show::Error::Tape(error) => unreadable(error),
        show::Error::Output(error) => Failure::from(error),
    })?;
    if end == End::Over {
        if show.is_cut() {
            context.warn(&format!("{name} breaks off in its last line"));
        }
        if let Some(here) = terminal::size().filter(|here| is_terminal && is_larger(size, *here)) {
            context.progress(&format!("[recorded at {size}, played at {here}]"));
        }
    }
    Ok(match end {
        End::Over | End::Quit => 0,
        End::Killed(signal) => 128 + signal,
    })
}

/// Opens the recording. Only a file can be rewound, and is there without waiting for a writer.
fn open(path: &Path, name: &str) -> Result<BufReader<File>, Failure> {
    let cannot = |error| Failure::usage(format!("cannot read {name}: {error}"));
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err(Failure::usage(format!("{name} is not a file")));
    }
    Ok(BufReader::new(File::open(path).map_err(cannot)?))
}

fn keys() -> std::io::Result<Option<Keys>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let raw = Raw::enter()?;
    let stdin = Stdin::open()?;
    Ok(Some(Keys { stdin, raw }))
}

/// A terminal that gives no keys; its screen is left sane.
struct Sane;

impl Drop for Sane {
    fn drop(&mut self) {
        // What cannot be restored cannot be restored: the process ends either way.
        let _ = rustix::io::write(rustix::stdio::stdout(), &screen::leave(terminal::size()));
    }
}

fn unreadable(name: &str, error: &tape::Error) -> Failure {
    match error {
        tape::Error::Read(error) => Failure::usage(format!("cannot read {name}: {error}")),
        error @ tape::Error::Line { .. } => Failure::usage(format!("{name}: {error}")),
    }
}

fn is_larger(recorded: Size, here: Size) -> bool {
    recorded.rows() > here.rows() || recorded.cols() > here.cols()
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().and_then(format::seconds);
    number.ok_or_else(|| "it is no number of seconds".into())
}
