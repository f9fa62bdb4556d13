//! What is kept of a detached run: the start of each of its output streams and how it ended, in files
//! that only the agent's user can read.
//!
//! A stream is kept up to [`MAX_KEPT`]; what comes after it is counted and dropped, so that neither the
//! program nor the disk waits for somebody who may never come.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cmdop_proto::{limits, v1};
use cmdop_service::private_file;
use serde::{Deserialize, Serialize};

/// Bytes of each stream that are kept: a long build's log, not a disk image.
pub(crate) const MAX_KEPT: u64 = 64 << 20;

/// The two streams, by the names of their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Stdout,
    Stderr,
}

impl Which {
    fn file(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What is known of a run, as it lies in its directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    pub(super) pid: u32,
    pub(super) started_ms: u64,
    /// 0: it runs, or ran when the agent died.
    pub(super) ended_ms: u64,
    pub(super) exit_code: Option<u32>,
    pub(super) signal: Option<u32>,
    pub(super) timed_out: bool,
    pub(super) ended_on_request: bool,
    /// Nobody saw how it ended.
    pub(super) lost: bool,
    pub(super) stdout_lost: u64,
    pub(super) stderr_lost: u64,
}

impl Facts {
    /// The same as a result, for streams of this length.
    pub(super) fn finished(&self, stdout_bytes: u64, stderr_bytes: u64) -> v1::ExecFinished {
        let code = self.exit_code.map(v1::exit::Outcome::Code);
        let signal = self.signal.map(v1::exit::Outcome::Signal);
        v1::ExecFinished {
            exit: Some(v1::Exit {
                outcome: code.or(signal),
            })
            .filter(|_| !self.lost),
            timed_out: self.timed_out,
            stdout_bytes,
            stderr_bytes,
            stdout_lost: self.stdout_lost,
            stderr_lost: self.stderr_lost,
            lost: self.lost,
            ended_on_request: self.ended_on_request,
        }
    }

    pub(super) fn ended(&mut self, exit: v1::Exit) {
        match exit.outcome {
            Some(v1::exit::Outcome::Code(code)) => self.exit_code = Some(code),
            Some(v1::exit::Outcome::Signal(signal)) => self.signal = Some(signal),
            None => {}
        }
    }
}

/// The directory of one run.
#[derive(Clone, Debug)]
pub(super) struct Place {
    directory: PathBuf,
}

impl Place {
    pub(super) fn new(runs: &Path, id: &str) -> Self {
        Self {
            directory: runs.join(id),
        }
    }

    /// Makes it, with a file for each stream.
    pub(super) fn make(&self) -> io::Result<(Writer, Writer)> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        Ok((self.writer(Which::Stdout)?, self.writer(Which::Stderr)?))
    }

    fn writer(&self, which: Which) -> io::Result<Writer> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.directory.join(which.file()))?;
        Ok(Writer {
            file,
            kept: 0,
            lost: 0,
            is_broken: false,
        })
    }

    /// Writes down what is known.
    pub(super) fn save(&self, facts: &Facts) -> io::Result<()> {
        let text = serde_json::to_vec(facts).expect("numbers are JSON");
        private_file::write(&self.directory.join("run.json"), &text).map_err(io::Error::other)
    }

    /// What an earlier worker wrote down, and how much of each stream there is.
    pub(super) fn load(&self) -> Option<(Facts, u64, u64)> {
        let text = std::fs::read(self.directory.join("run.json")).ok()?;
        let facts = serde_json::from_slice(&text).ok()?;
        let length = |which: Which| {
            let path = self.directory.join(which.file());
            path.metadata().map(|data| data.len()).unwrap_or_default()
        };
        Some((facts, length(Which::Stdout), length(Which::Stderr)))
    }

    /// A stream for reading.
    pub(super) fn reader(&self, which: Which) -> io::Result<File> {
        File::open(self.directory.join(which.file()))
    }

    /// Removes all of it.
    pub(super) fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.directory.display(), "cannot remove a run's files");
        }
    }
}

/// The piece of a stream at `offset`, which is known to be there up to `end`.
pub(super) fn piece(file: &File, offset: u64, end: u64) -> io::Result<v1::ExecOutput> {
    let length = (end - offset).min(limits::MAX_OUTPUT as u64) as usize;
    let mut data = vec![0; length];
    file.read_exact_at(&mut data, offset)?;
    Ok(v1::ExecOutput {
        offset,
        data: data.into(),
    })
}

/// The file of one stream, at its end.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    kept: u64,
    lost: u64,
    is_broken: bool,
}

impl Writer {
    /// Keeps what there is room for, and counts the rest. A disk that is full has room for nothing more:
    /// a stream with a hole would be worse than a short one.
    pub(super) fn push(&mut self, data: &Bytes) {
        let room = if self.is_broken {
            0
        } else {
            MAX_KEPT - self.kept
        };
        let length = (data.len() as u64).min(room);
        match self.file.write_all(&data[..length as usize]) {
            Ok(()) => {
                self.kept += length;
                self.lost += data.len() as u64 - length;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot keep more of a run's output");
                self.is_broken = true;
                // Half of it may be there, which nobody will ask for.
                let _ = self.file.set_len(self.kept);
                self.lost += data.len() as u64;
            }
        }
    }

    /// How many bytes there are to read.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// How many are missing after them.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_kept_from_its_start_up_to_the_limit_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path(), "run");
        let (mut stdout, _) = place.make().unwrap();
        let data = Bytes::from((0..1_000_003_u32).map(|n| n as u8).collect::<Vec<_>>());
        let mut written = 0;
        while written < MAX_KEPT + 5_000_000 {
            stdout.push(&data);
            written += data.len() as u64;
        }
        assert_eq!(
            (stdout.kept(), stdout.lost()),
            (MAX_KEPT, written - MAX_KEPT)
        );
        let file = place.reader(Which::Stdout).unwrap();
        assert_eq!(file.metadata().unwrap().len(), MAX_KEPT);
        let last = piece(&file, MAX_KEPT - 10, MAX_KEPT).unwrap();
        let expected = |n: u64| (n % 1_000_003) as u8;
        let wanted: Vec<u8> = (MAX_KEPT - 10..MAX_KEPT).map(expected).collect();
        assert_eq!(last.data, wanted);
        place.remove();
        assert!(place.load().is_none());
    }

    #[test]
    fn what_is_known_of_a_run_is_read_again_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(&dir.path().join("runs"), "run");
        let (mut stdout, _) = place.make().unwrap();
        stdout.push(&Bytes::from_static(b"abc"));
        let facts = Facts {
            exit_code: Some(3),
            ended_ms: 7,
            ..Facts::default()
        };
        place.save(&facts).unwrap();
        assert_eq!(place.load(), Some((facts, 3, 0)));
        for name in ["stdout", "stderr", "run.json", ""] {
            let mode = place.directory.join(name).metadata().unwrap().permissions();
            assert_eq!(mode.mode() & 0o077, 0, "{name}");
        }
    }
}
