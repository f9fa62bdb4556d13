//! The loop of a player: what is due goes out, keys and signals come in.
//!
//! It never waits for the terminal or for a key without looking at the other.

use std::io::{self, BufRead, Seek};

use tokio::time::Instant;

use super::keys::{Key, Scanner};
use super::player::{Player, Wait};
use super::tape;
use crate::cli::attach::terminal::{self, Raw};
use crate::cli::attach::{Got, Signals, screen};
use crate::cli::stdin::Stdin;
use crate::cli::stdout::Stdout;

/// How a playing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The recording is over.
    Over,
    /// Its viewer has enough of it, or whoever read it.
    Quit,
    /// A signal told this process to stop.
    Killed(u8),
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The recording's fault.
    #[error(transparent)]
    Tape(#[from] tape::Error),
    /// The terminal's, or the pipe's.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Where the recording is played to.
#[derive(Debug)]
pub(super) enum Place {
    /// A pipe or a file: bytes, and nothing around them.
    Pipe,
    /// A terminal, and the keys from it.
    Terminal(Option<Keys>),
}

/// Keys that a person presses.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) stdin: Stdin,
    /// The terminal that they come from.
    pub(super) raw: Raw,
}

/// A recording that is being played.
#[derive(Debug)]
pub(super) struct Show<R> {
    player: Player<R>,
    stdout: Stdout,
    scanner: Scanner,
    pending: Vec<u8>,
    /// What ends it once all is shown that came before.
    failed: Option<tape::Error>,
}

impl<R: BufRead + Seek> Show<R> {
    pub(super) fn new(player: Player<R>, stdout: Stdout) -> Self {
        Self {
            player,
            stdout,
            scanner: Scanner::default(),
            pending: Vec::new(),
            failed: None,
        }
    }

    /// The recording's last line breaks off.
    pub(super) fn is_cut(&self) -> bool {
        self.player.is_cut()
    }

    /// Plays until an end.
    pub(super) async fn run(&mut self, place: &mut Place) -> Result<End, Error> {
        let mut signals = Signals::new()?;
        if matches!(place, Place::Terminal(_)) {
            self.pending = screen::enter(terminal::size());
            self.pending.extend_from_slice(&screen::before_keyframe());
        }
        loop {
            let mut wait = Wait::No;
            if self.pending.is_empty() {
                if let Some(error) = self.failed.take() {
                    return Err(error.into());
                }
                match self.player.play(Instant::now(), &mut self.pending) {
                    Ok(Wait::Over) if self.pending.is_empty() => return Ok(End::Over),
                    Ok(next) => wait = next,
                    Err(error) => self.failed = Some(error),
                }
            }
            let is_writing = !self.pending.is_empty();
            // All branches are cancel-safe: they wait, or take one thing whole. Keys come before
            // output, so that a flood can be left.
            let ended = tokio::select! {
                biased;
                signal = signals.next() => self.obey(signal, place)?,
                piece = read(place) => match piece? {
                    piece if piece.is_empty() => Some(End::Quit),
                    piece => self.press(&piece)?,
                },
                written = self.stdout.write(&self.pending), if is_writing => match written {
                    Ok(length) => {
                        self.pending.drain(..length);
                        None
                    }
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(End::Quit),
                    Err(error) => return Err(error.into()),
                },
                () = until(wait), if !is_writing => None,
            };
            if let Some(end) = ended {
                return Ok(end);
            }
        }
    }

    fn obey(&mut self, signal: Got, place: &Place) -> Result<Option<End>, Error> {
        match signal {
            Got::Stop(number) => return Ok(Some(End::Killed(number))),
            Got::Resize => self.player.redraw(&mut self.pending),
            Got::Continued => {
                // Whoever stopped us gave the terminal to a shell meanwhile.
                if let Place::Terminal(Some(keys)) = place {
                    keys.raw.again()?;
                }
                self.player.redraw(&mut self.pending);
            }
        }
        Ok(None)
    }

    fn press(&mut self, piece: &[u8]) -> Result<Option<End>, Error> {
        for key in self.scanner.scan(piece) {
            if key == Key::Quit {
                return Ok(Some(End::Quit));
            }
            self.player.press(key, Instant::now(), &mut self.pending)?;
        }
        Ok(None)
    }
}

/// The next keys, where there are any. Cancel-safe.
async fn read(place: &mut Place) -> io::Result<bytes::Bytes> {
    match place {
        Place::Terminal(Some(keys)) => keys.stdin.read().await,
        Place::Terminal(None) | Place::Pipe => std::future::pending().await,
    }
}

/// Cancel-safe.
async fn until(wait: Wait) {
    match wait {
        Wait::Until(instant) => tokio::time::sleep_until(instant).await,
        // A key has a branch of its own.
        Wait::Key => std::future::pending().await,
        Wait::No | Wait::Over => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::super::clock::Speed;
    use super::super::tape::Tape;
    use super::*;

    const TEXT: &str = "{\"version\": 3, \"term\": {\"cols\": 80, \"rows\": 24}}\n\
        [1, \"o\", \"one \"]\n[100, \"o\", \"two \"]\n[4, \"o\", \"three\"]\n[5, \"x\", \"0\"]\n";

    /// Plays to a pipe; what came out of it, and how long it took.
    async fn played(speed: Speed, idle_limit: Option<Duration>) -> (String, Duration) {
        let (mut reader, writer) = io::pipe().unwrap();
        let start = Instant::now();
        let tape = Tape::open(Cursor::new(TEXT.as_bytes().to_vec()), idle_limit).unwrap();
        let stdout = Stdout::of(writer.as_fd()).unwrap();
        let mut show = Show::new(Player::new(tape, speed, start), stdout);
        let end = show.run(&mut Place::Pipe).await.unwrap();
        assert_eq!(end, End::Over);
        drop((show, writer));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, start.elapsed())
    }

    /// A timer is due at the next whole millisecond.
    fn takes(took: Duration, seconds: f64) {
        let off = took.as_secs_f64() - seconds;
        assert!(
            (0.0..0.02).contains(&off),
            "{took:?} instead of {seconds} s"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_gets_the_output_and_nothing_else_in_its_own_time() {
        let (text, took) = played(Speed::Times(1.0), None).await;
        assert_eq!(text, "one two three");
        takes(took, 110.0);
    }

    #[tokio::test(start_paused = true)]
    async fn speed_and_idle_limit_make_it_shorter() {
        takes(played(Speed::Times(4.0), None).await.1, 27.5);
        let limit = Some(Duration::from_secs(3));
        takes(played(Speed::Times(1.0), limit).await.1, 10.0);
        takes(played(Speed::Times(2.0), limit).await.1, 5.0);
        takes(played(Speed::Max, None).await.1, 0.0);
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_it() {
        let (reader, writer) = io::pipe().unwrap();
        let tape = Tape::open(Cursor::new(TEXT.as_bytes().to_vec()), None).unwrap();
        let stdout = Stdout::of(writer.as_fd()).unwrap();
        drop(reader);
        let player = Player::new(tape, Speed::Max, Instant::now());
        let end = Show::new(player, stdout).run(&mut Place::Pipe).await;
        assert_eq!(end.unwrap(), End::Quit);
    }
}
