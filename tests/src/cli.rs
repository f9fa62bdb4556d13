//! Running `cmdop` verbs as a script would: arguments in; status, stdout and stderr out.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::{binaries, process, wait};

/// A user of the command line: an environment and a home of their own.
#[derive(Clone, Debug)]
pub struct Cli {
    env: Vec<(String, String)>,
}

/// What a finished command left.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; 128 + n for signal n.
    pub status: i32,
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of stderr.
    pub stderr: Vec<u8>,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
        writeln!(f, "status {}", self.status)?;
        writeln!(
            f,
            "--- stdout ({} bytes)\n{}",
            self.stdout.len(),
            start(&self.stdout)
        )?;
        writeln!(
            f,
            "--- stderr ({} bytes)\n{}",
            self.stderr.len(),
            start(&self.stderr)
        )
    }
}

impl Outcome {
    /// stdout as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stderr as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// stdout as text, of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out()
    }

    /// Asserts how it failed: the exit code, and what stderr must say (letter case aside).
    #[track_caller]
    pub fn refused(&self, status: i32, says: &[&str]) {
        let error = self.err().to_lowercase();
        let missing: Vec<_> = says
            .iter()
            .filter(|text| !error.contains(&text.to_lowercase()))
            .collect();
        assert!(
            self.status == status && missing.is_empty(),
            "wanted {status} and {missing:?} in: {self:?}"
        );
        assert!(!error.contains("panicked"), "{self:?}");
    }
}

impl Cli {
    /// A user whose configuration lies in `home`, where nothing of this machine's login files is.
    pub fn new(home: PathBuf, mark: &str) -> Self {
        std::fs::create_dir_all(&home).expect("a directory for a user");
        let home = home
            .into_os_string()
            .into_string()
            .expect("the path of a test is text");
        let env = [
            ("CMDOP_HOME", home.as_str()),
            ("HOME", home.as_str()),
            ("SHELL", binaries::SHELL),
            ("CMDOP_TOKEN_STORE", "file"),
            (crate::reaper::MARK, mark),
            ("NO_COLOR", "1"),
            ("CMDOP_PROFILE", ""),
        ];
        Self {
            env: env
                .iter()
                .filter(|(_, v)| !v.is_empty())
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        }
    }

    /// The environment of this user's commands.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The same user with one more variable.
    pub fn with_env(&self, key: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.env.push((key.into(), value.into()));
        other
    }

    /// Runs `cmdop` with `args` and no stdin.
    pub async fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, &[]).await
    }

    /// Runs `cmdop` with `args` and `stdin`, which is closed after it.
    pub async fn run_with(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        let what = format!("`cmdop {}` ends", args.join(" "));
        wait::within_times(&what, 6, finish(self.start(args), stdin)).await
    }

    /// Starts `cmdop` with `args` and pipes; it is killed when dropped.
    pub fn start(&self, args: &[&str]) -> Child {
        self.start_program("cmdop", args)
    }

    /// Runs another of the programs in this user's environment.
    pub async fn run_program(&self, program: &str, args: &[&str]) -> Outcome {
        self.run_program_with(program, args, &[]).await
    }

    /// The same with `stdin`.
    pub async fn run_program_with(&self, program: &str, args: &[&str], stdin: &[u8]) -> Outcome {
        let what = format!("`{program} {}` ends", args.join(" "));
        wait::within(&what, finish(self.start_program(program, args), stdin)).await
    }

    fn start_program(&self, program: &str, args: &[&str]) -> Child {
        Command::new(binaries::path(program))
            .args(args)
            .env_remove("CMDOP_PROFILE")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"))
    }
}

/// Feeds a child its stdin while its output is collected, then waits for its end.
pub async fn finish(mut child: Child, stdin: &[u8]) -> Outcome {
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let feed = async move {
        // A program may end without reading all: not an error of the test.
        let _ = pipe.write_all(stdin).await;
        drop(pipe);
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output.expect("a child can be waited for");
    Outcome {
        status: process::exit_code(output.status),
        stdout: output.stdout,
        stderr: output.stderr,
    }
}
