//! A shell at the other end of a slow line, in a time of its own.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A line editor as shells have it: it echoes, moves, inserts; `sudo` asks for a password.
#[derive(Default)]
struct Shell {
    line: Vec<char>,
    cursor: usize,
    is_hidden: bool,
}

impl Shell {
    fn takes(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        for key in keys::read(bytes) {
            match key {
                Key::Character(c) => self.inserts(c, &mut out),
                Key::Backspace if self.cursor > 0 => {
                    self.cursor -= 1;
                    self.line.remove(self.cursor);
                    if !self.is_hidden {
                        let rest: String = self.line[self.cursor..].iter().collect();
                        let back = "\x08".repeat(self.line.len() - self.cursor + 1);
                        let _ = write!(out, "\x08{rest} {back}");
                    }
                }
                Key::Left if self.cursor > 0 && !self.is_hidden => {
                    self.cursor -= 1;
                    out.push('\x08');
                }
                Key::Right if self.cursor < self.line.len() && !self.is_hidden => {
                    out.push(self.line[self.cursor]);
                    self.cursor += 1;
                }
                Key::Other if bytes.ends_with(b"\r") => self.runs(&mut out),
                Key::Other => out.push('\x07'),
                _ => {}
            }
        }
        out
    }

    fn inserts(&mut self, c: char, out: &mut String) {
        // What would not fit in a row is not taken: wrapping is the emulator's business.
        if self.line.len() >= 30 {
            return out.push('\x07');
        }
        self.line.insert(self.cursor, c);
        self.cursor += 1;
        if !self.is_hidden {
            let rest: String = self.line[self.cursor..].iter().collect();
            let back = "\x08".repeat(self.line.len() - self.cursor);
            let _ = write!(out, "{c}{rest}{back}");
        }
    }

    fn runs(&mut self, out: &mut String) {
        let line: String = self.line.drain(..).collect();
        self.cursor = 0;
        let was_hidden = std::mem::take(&mut self.is_hidden);
        self.is_hidden = !was_hidden && line == "sudo";
        *out += if self.is_hidden {
            "\r\nPassword: "
        } else {
            "\r\n$ "
        };
    }
}

/// What is under way, with its time of arrival.
enum Way {
    ToShell(u64, Vec<u8>),
    ToScreen(u64, String),
}

/// A person, a slow line, and a shell.
pub(super) struct World {
    delay: Duration,
    now: Instant,
    seq: u64,
    shell: Shell,
    /// The screen as the shell means it.
    printed: Emulator,
    /// The screen as the person has it.
    screen: Emulator,
    predictor: Predictor,
    under_way: VecDeque<(Instant, Way)>,
    tells_numbers: bool,
}

impl World {
    pub(super) fn new(delay: Duration) -> Self {
        let mut predictor = Predictor::new(Mode::Auto);
        predictor.round_trip(2 * delay);
        let emulator = || {
            let mut emulator = Emulator::new(6, 40, Options::default());
            emulator.feed(b"$ ");
            emulator
        };
        Self {
            delay,
            now: Instant::now(),
            seq: 0,
            shell: Shell::default(),
            printed: emulator(),
            screen: emulator(),
            predictor,
            under_way: VecDeque::new(),
            tells_numbers: true,
        }
    }

    pub(super) fn types(&mut self, keys: &str) {
        self.seq += 1;
        let bytes = keys.as_bytes().to_vec();
        self.predictor
            .typed(&bytes, self.seq, &self.screen, self.now);
        let arrival = (self.now + self.delay, Way::ToShell(self.seq, bytes));
        self.under_way.push_back(arrival);
    }

    pub(super) fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = (0..self.under_way.len()).min_by_key(|index| self.under_way[*index].0);
            let arrival = next
                .map(|index| self.under_way[index].0)
                .filter(|at| *at <= end);
            let deadline = self.predictor.deadline().filter(|at| *at <= end);
            match (arrival, deadline, next) {
                (Some(at), other, Some(index)) if other.is_none_or(|other| at <= other) => {
                    self.now = at;
                    if let Some((_, way)) = self.under_way.remove(index) {
                        self.arrives(way);
                    }
                }
                (_, Some(at), _) => {
                    self.now = self.now.max(at);
                    self.predictor.tick(&self.screen, self.now);
                    assert!(
                        self.predictor.deadline().is_none_or(|next| next > self.now),
                        "it spins"
                    );
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn arrives(&mut self, way: Way) {
        match way {
            Way::ToShell(seq, bytes) => {
                let out = self.shell.takes(&bytes);
                self.printed.feed(out.as_bytes());
                let arrival = (self.now + self.delay, Way::ToScreen(seq, out));
                self.under_way.push_back(arrival);
            }
            Way::ToScreen(seq, out) => {
                self.screen.feed(out.as_bytes());
                let reached = self.tells_numbers.then_some(seq);
                self.predictor.output(reached, &self.screen, self.now);
            }
        }
    }

    /// What the person sees.
    pub(super) fn rows(&self) -> Vec<String> {
        shown(&self.predictor, &self.screen, self.now)
    }

    /// What the shell printed.
    pub(super) fn shell_rows(&self) -> Vec<String> {
        shown(&Predictor::new(Mode::Off), &self.printed, self.now)
    }

    /// The last line that has something in it, as the person sees it.
    pub(super) fn line(&self) -> String {
        let rows = self.rows();
        rows.into_iter()
            .rfind(|row| !row.is_empty())
            .unwrap_or_default()
    }
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c d",
        "e",
        "é",
        "你",
        "\x7f",
        "\x7f",
        "\x1b[D",
        "\x1bOD",
        "\x1b[C",
        "\r",
        "sudo\r",
        "\t",
        "\x1b",
        "\x1b[A",
        "  ",
        "abcdefghijklmnopqrstuvwxyz",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_typed_what_is_shown_in_the_end_is_the_screen(
        typing in prop::collection::vec((key(), 0..400_u64), 0..60),
        delay in 0..300_u64,
        tells_numbers: bool,
    ) {
        let mut world = World::new(ms(delay));
        world.tells_numbers = tells_numbers;
        world.predictor.set_mode(Mode::On);
        for (keys, pause) in typing {
            world.types(keys);
            for guess in world.predictor.overlay(world.now) {
                prop_assert!(guess.row < 6 && guess.col < 40);
            }
            world.passes(ms(pause));
        }
        world.passes(ms(60_000));
        prop_assert_eq!(world.rows(), world.shell_rows());
        prop_assert_eq!(world.predictor.cursor(world.now), None);
        prop_assert_eq!(world.predictor.deadline(), None);
    }

    #[test]
    fn no_output_breaks_it(
        steps in prop::collection::vec((key(), "[ -~\r\n\x08]{0,12}|\x1b\\[[0-9]{0,2}[A-HJKLMPST@]|\x1b\\[\\?1049[hl]|你", any::<Option<u8>>(), 0..900_u64), 0..80),
        rows in 2..6_u16, cols in 2..12_u16,
    ) {
        let mut predictor = Predictor::new(Mode::On);
        let mut screen = Emulator::new(rows, cols, Options::default());
        let mut now = Instant::now();
        for (seq, (keys, output, reached, pause)) in (1..).zip(steps) {
            predictor.typed(keys.as_bytes(), seq, &screen, now);
            screen.feed(output.as_bytes());
            predictor.output(reached.map(|back| seq.saturating_sub(u64::from(back))), &screen, now);
            now += ms(pause);
            predictor.tick(&screen, now);
            prop_assert!(predictor.deadline().is_none_or(|next| next > now), "it spins");
            for guess in predictor.overlay(now) {
                prop_assert!(guess.row < rows && guess.col < cols);
            }
            if let Some((row, col)) = predictor.cursor(now) {
                prop_assert!(row < rows && col < cols);
            }
        }
    }
}
