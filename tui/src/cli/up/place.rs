//! Where `up` keeps things, and what it remembers of the programs that it started.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_service::private_file;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// Longer than a program may take to be ready, and how often to look.
const LOCK_TIMEOUT: Duration = Duration::from_secs(40);
const LOCK_LOOK: Duration = Duration::from_millis(100);

/// What `up` starts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Program {
    Control,
    Relay,
    Agent,
}

impl Program {
    /// All, in the order in which they are started.
    pub(in crate::cli) const ALL: [Self; 3] = [Self::Control, Self::Relay, Self::Agent];

    /// The binary's name, which is also that of its data directory and its log.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Control => "cmdop-control",
            Self::Relay => "cmdop-relay",
            Self::Agent => "cmdopd",
        }
    }
}

/// The directories of one installation.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Place {
    base: PathBuf,
}

impl Place {
    /// The directory that was named, `CMDOP_HOME`, or the platform's data directory: where the
    /// programs look by themselves.
    pub(in crate::cli) fn find(context: &Context, named: Option<PathBuf>) -> Result<Self, Failure> {
        let base = match named.or_else(|| context.cmdop_home.clone()) {
            Some(base) => base,
            None => directories::ProjectDirs::from("", "", "cmdop")
                .map(|dirs| dirs.data_dir().to_owned())
                .ok_or_else(|| {
                    Failure::usage("this user has no home directory")
                        .hint("name a place with --data-dir")
                })?,
        };
        let base = std::path::absolute(&base).unwrap_or(base);
        Ok(Self { base })
    }

    /// The directory itself.
    pub(in crate::cli) fn base(&self) -> &Path {
        &self.base
    }

    /// A program's state.
    pub(super) fn data_dir(&self, program: Program) -> PathBuf {
        self.base.join(program.name())
    }

    /// A program's log.
    pub(super) fn log(&self, program: Program) -> PathBuf {
        self.base
            .join("logs")
            .join(format!("{}.log", program.name()))
    }

    /// The relay's enrolment token, while it is needed.
    pub(super) fn relay_token(&self) -> PathBuf {
        self.base.join("relay-token")
    }

    /// What the supervisor has to say.
    pub(super) fn supervisor_log(&self) -> PathBuf {
        self.base.join("logs").join("supervisor.log")
    }

    fn state_file(&self) -> PathBuf {
        self.base.join("up.json")
    }

    fn not_writable(&self, error: &std::io::Error) -> Failure {
        Failure::usage(format!("cannot write in {}: {error}", self.base.display()))
            .hint("make it writable for this user, or name another directory with --data-dir")
    }

    /// The same, waiting for another that is at work: the supervisor starts something again, say.
    pub(in crate::cli) async fn lock_patiently(&self) -> Result<File, Failure> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match self.lock() {
                Err(failure) if failure.refusal().reason == "busy" && Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_LOOK).await;
                }
                other => return other,
            }
        }
    }

    /// Makes the directories, and keeps every other `up` and `down` out until it is dropped.
    pub(in crate::cli) fn lock(&self) -> Result<File, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.base.join("logs"))
            .map_err(|error| self.not_writable(&error))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.base.join("up.lock"))
            .map_err(|error| self.not_writable(&error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Failure::unavailable(
                "busy",
                format!(
                    "another `cmdop up` or `down` is at work in {}",
                    self.base.display()
                ),
            )
            .hint("wait until it is done")
        })?;
        Ok(lock)
    }
}

/// A program that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Running {
    /// Its process.
    pub(in crate::cli) pid: u32,
    /// When the process began, in the kernel's ticks since boot: a recycled id has another one.
    pub(in crate::cli) start_time: u64,
    /// The same for people, milliseconds since the Unix epoch.
    pub(in crate::cli) started_at_ms: u64,
    /// Where it listens, `host:port`; empty for the agent.
    pub(in crate::cli) address: String,
    /// How often it was started again after it died.
    #[serde(default)]
    pub(in crate::cli) restarts: u32,
}

/// What `up` remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct State {
    control: Option<Running>,
    relay: Option<Running>,
    agent: Option<Running>,
    /// What starts the others again.
    pub(in crate::cli) supervisor: Option<Running>,
    /// The name of the account that logs in.
    pub(super) owner: String,
    /// The profile that `up` made.
    pub(in crate::cli) profile: String,
}

impl State {
    /// Reads it; nothing was started before the first time.
    pub(in crate::cli) fn load(place: &Place) -> Result<Self, Failure> {
        let path = place.state_file();
        match private_file::read(&path) {
            Err(error) if error.is_missing() => Ok(Self::default()),
            Err(error) => Err(Failure::usage(error.to_string())),
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                Failure::usage(format!("{} is damaged: {error}", path.display()))
                    .hint("stop the programs that still run, remove the file, and run `cmdop up`")
            }),
        }
    }

    /// Writes it, whole or not at all.
    pub(in crate::cli) fn save(&self, place: &Place) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).expect("text and numbers are always JSON");
        private_file::write(&place.state_file(), &text)
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// What is remembered of a program; it may have died since.
    pub(in crate::cli) fn get(&self, program: Program) -> Option<&Running> {
        match program {
            Program::Control => self.control.as_ref(),
            Program::Relay => self.relay.as_ref(),
            Program::Agent => self.agent.as_ref(),
        }
    }

    /// Remembers that a program was started.
    pub(super) fn put(&mut self, program: Program, running: Running) {
        *match program {
            Program::Control => &mut self.control,
            Program::Relay => &mut self.relay,
            Program::Agent => &mut self.agent,
        } = Some(running);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("state");
        (directory, Place { base })
    }

    #[test]
    fn what_was_started_is_remembered() {
        let (_directory, place) = place();
        let _lock = place.lock().unwrap();
        assert_eq!(State::load(&place).unwrap(), State::default());
        let mut state = State::default();
        let running = Running {
            pid: 7,
            start_time: 8,
            started_at_ms: 9,
            address: "127.0.0.1:7443".into(),
            restarts: 0,
        };
        state.put(Program::Relay, running.clone());
        state.save(&place).unwrap();
        assert_eq!(
            State::load(&place).unwrap().get(Program::Relay),
            Some(&running)
        );
    }

    #[test]
    fn two_ups_do_not_run_at_once() {
        let (_directory, place) = place();
        let lock = place.lock().unwrap();
        assert_eq!(place.lock().unwrap_err().refusal().reason, "busy");
        drop(lock);
        place.lock().unwrap();
    }
}
