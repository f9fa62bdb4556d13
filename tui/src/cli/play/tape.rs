//! A recording as a tape: events in order, each at its time, and back to the start.
//!
//! It reads a line at a time, so that a recording may be larger than memory; lines are bounded. The
//! times that it gives never go back, and have the pauses cut to the idle limit.

use std::io::{self, BufRead, Read as _, Seek, SeekFrom};
use std::time::Duration;

use super::format::{self, Header, Kind, Times};

/// The longest line. A keyframe is at most 1 MiB, and JSON may take six bytes for one.
const MAX_LINE: usize = 8 << 20;

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file's fault.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A line's.
    #[error("line {line} {what}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Since the start.
    pub(super) at: Duration,
    pub(super) kind: Kind,
}

/// A recording that is read.
#[derive(Debug)]
pub(super) struct Tape<R> {
    source: R,
    header: Header,
    idle_limit: Option<Duration>,
    /// Where the events begin, in bytes and in lines.
    start: (u64, u64),
    /// The number of the newest line.
    line: u64,
    buffer: Vec<u8>,
    /// The newest event's own time.
    recorded: Duration,
    /// The same with the pauses cut.
    at: Duration,
    is_cut: bool,
}

impl<R: BufRead + Seek> Tape<R> {
    /// Reads the header. `idle_limit` counts before the recording's own.
    pub(super) fn open(mut source: R, idle_limit: Option<Duration>) -> Result<Self, Error> {
        let mut buffer = Vec::new();
        if !read_line(&mut source, &mut buffer).map_err(|fault| fault.at(1))? {
            return Err(bad(1, "is missing: the file is empty"));
        }
        let header = format::header(&buffer).map_err(|what| bad(1, what))?;
        Ok(Self {
            start: (source.stream_position()?, 1),
            source,
            header,
            idle_limit: idle_limit.or(header.idle_limit),
            line: 1,
            buffer,
            recorded: Duration::ZERO,
            at: Duration::ZERO,
            is_cut: false,
        })
    }

    /// What the header says.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The last line breaks off: its writer was killed, or still writes.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next event; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let line = self.line + 1;
            if !read_line(&mut self.source, &mut self.buffer).map_err(|fault| fault.at(line))? {
                return Ok(None);
            }
            self.line = line;
            match format::event(&self.buffer) {
                Ok(Some(event)) => {
                    return Ok(Some(Event {
                        at: self.advance(event.time),
                        kind: event.kind,
                    }));
                }
                Ok(None) => {}
                Err(_) if self.buffer.last() != Some(&b'\n') => {
                    self.is_cut = true;
                    return Ok(None);
                }
                Err(what) => return Err(bad(line, what)),
            }
        }
    }

    /// Back to the first event.
    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        (_, self.line) = self.start;
        self.source.seek(SeekFrom::Start(self.start.0))?;
        self.recorded = Duration::ZERO;
        self.at = Duration::ZERO;
        Ok(())
    }

    fn advance(&mut self, time: Duration) -> Duration {
        let pause = match self.header.times {
            Times::Relative => time,
            // A clock that was set back is a pause of nothing.
            Times::Absolute => time.saturating_sub(self.recorded),
        };
        self.recorded = self.recorded.saturating_add(pause);
        let pause = self.idle_limit.map_or(pause, |limit| pause.min(limit));
        self.at = self.at.saturating_add(pause);
        self.at
    }
}

enum Fault {
    Read(io::Error),
    TooLong,
}

impl Fault {
    fn at(self, line: u64) -> Error {
        match self {
            Self::Read(error) => Error::Read(error),
            Self::TooLong => bad(line, format!("is longer than {} MiB", MAX_LINE >> 20)),
        }
    }
}

/// Reads a line with its end, if it has one; `false` at the end of the file.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Fault> {
    line.clear();
    let most = MAX_LINE as u64 + 1;
    let length = source
        .by_ref()
        .take(most)
        .read_until(b'\n', line)
        .map_err(Fault::Read)?;
    if length as u64 == most && line.last() != Some(&b'\n') {
        return Err(Fault::TooLong);
    }
    Ok(length > 0)
}

fn bad(line: u64, what: impl Into<String>) -> Error {
    Error::Line {
        line,
        what: what.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "{\"version\": 2, \"width\": 80, \"height\": 24}\n";
    const THREE: &str = "{\"version\": 3, \"term\": {\"cols\": 80, \"rows\": 24}}\n";

    fn tape(text: &str, limit: Option<u64>) -> Result<Tape<Cursor<Vec<u8>>>, Error> {
        let source = Cursor::new(text.as_bytes().to_vec());
        Tape::open(source, limit.map(Duration::from_millis))
    }

    fn times(tape: &mut Tape<Cursor<Vec<u8>>>) -> Vec<u128> {
        let mut times = Vec::new();
        while let Some(event) = tape.next().unwrap() {
            times.push(event.at.as_millis());
        }
        times
    }

    #[test]
    fn times_of_both_versions_count_from_the_start() {
        let two = format!("{TWO}[0.5, \"o\", \"a\"]\n[2, \"o\", \"b\"]\n[2.25, \"x\", \"0\"]\n");
        let three = format!(
            "{THREE}[0.5, \"o\", \"a\"]\n# so\n[1.5, \"o\", \"b\"]\n\n[0.25, \"x\", \"0\"]\n"
        );
        for text in [two, three] {
            assert_eq!(times(&mut tape(&text, None).unwrap()), [500, 2000, 2250]);
            assert_eq!(
                times(&mut tape(&text, Some(400)).unwrap()),
                [400, 800, 1050]
            );
        }
    }

    #[test]
    fn the_headers_idle_limit_counts_unless_another_is_given() {
        let text = "{\"version\": 2, \"width\": 8, \"height\": 4, \"idle_time_limit\": 1}\n[9, \"o\", \"a\"]\n";
        assert_eq!(times(&mut tape(text, None).unwrap()), [1000]);
        assert_eq!(times(&mut tape(text, Some(2000)).unwrap()), [2000]);
        assert_eq!(times(&mut tape(text, Some(0)).unwrap()), [0]);
    }

    #[test]
    fn a_clock_that_was_set_back_stands() {
        let text = format!("{TWO}[5, \"o\", \"a\"]\n[3, \"o\", \"b\"]\n[6, \"o\", \"c\"]\n");
        assert_eq!(times(&mut tape(&text, None).unwrap()), [5000, 5000, 6000]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_also_after_a_rewind() {
        let text = format!("{TWO}[0, \"o\", \"a\"]\n# so\nnonsense\n[1, \"o\", \"b\"]\n");
        let mut tape = tape(&text, None).unwrap();
        for _ in 0..2 {
            assert!(tape.next().unwrap().is_some());
            let error = tape.next().unwrap_err().to_string();
            assert!(error.starts_with("line 4 is no event"), "{error}");
            tape.rewind().unwrap();
        }
    }

    #[test]
    fn an_empty_file_and_a_foreign_one_are_told_apart() {
        let error = |text| tape(text, None).unwrap_err().to_string();
        assert_eq!(error(""), "line 1 is missing: the file is empty");
        assert!(error("\x7fELF").starts_with("line 1 is no header"));
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let text = format!("{TWO}[0, \"o\", \"{}\"]\n", "a".repeat(MAX_LINE));
        let error = tape(&text, None).unwrap().next().unwrap_err().to_string();
        assert_eq!(error, "line 2 is longer than 8 MiB");
    }

    #[test]
    fn a_recording_that_breaks_off_plays_up_to_there() {
        let text = format!("{TWO}[0, \"o\", \"a\"]\n[1, \"o\", \"b");
        let mut cut = tape(&text, None).unwrap();
        assert_eq!(times(&mut cut), [0]);
        assert!(cut.is_cut());
        // Whole, but for its line end.
        let mut whole = tape(&format!("{text}\"]"), None).unwrap();
        assert_eq!(times(&mut whole), [0, 1000]);
        assert!(!whole.is_cut());
    }

    proptest! {
        #[test]
        fn a_rewound_tape_gives_the_same_events_and_time_never_goes_back(
            pauses in proptest::collection::vec(0_u32..100_000, 0..20),
            limit in proptest::option::of(0_u64..5_000),
            read in 0_usize..20,
        ) {
            let mut text = THREE.to_owned();
            for pause in &pauses {
                let line = serde_json::json!([f64::from(*pause) / 1000.0, "o", "x"]);
                text.push_str(&line.to_string());
                text.push('\n');
            }
            let mut tape = tape(&text, limit).unwrap();
            for _ in 0..read {
                tape.next().unwrap();
            }
            tape.rewind().unwrap();
            let first = times(&mut tape);
            tape.rewind().unwrap();
            prop_assert_eq!(&first, &times(&mut tape));
            prop_assert_eq!(first.len(), pauses.len());
            prop_assert!(first.is_sorted());
        }

        #[test]
        fn a_file_cut_anywhere_after_its_header_plays_without_an_error(
            texts in proptest::collection::vec(any::<String>(), 1..8),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut text = TWO.to_owned();
            for (index, data) in texts.iter().enumerate() {
                text.push_str(&serde_json::json!([index, "o", data]).to_string());
                text.push('\n');
            }
            let end = TWO.len() + cut.index(text.len() - TWO.len() + 1);
            let source = Cursor::new(text.as_bytes()[..end].to_vec());
            let mut tape = Tape::open(source, None).unwrap();
            let count = times(&mut tape).len();
            let whole = text.as_bytes()[TWO.len()..end].split(|b| *b == b'\n').count() - 1;
            prop_assert!(count == whole || count == whole + 1);
        }
    }
}
