//! A machine of a world: a real agent with a data directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::{Control, Ground};
use crate::process::{self, Program};
use crate::reaper::MARK;
use crate::{binaries, wait};

/// An enrolled machine, whose agent may run.
#[derive(Debug)]
pub struct Machine {
    name: String,
    data: PathBuf,
    home: PathBuf,
    log: PathBuf,
    mark: String,
    /// Where it reaches the relay, if not where the control plane says.
    relay: Option<String>,
    config: Option<PathBuf>,
    program: Option<Program>,
}

impl Machine {
    /// Enrols a machine; its agent does not run yet. `options` go to `admin enroll-token`.
    pub async fn enroll(ground: &Ground, control: &Control, name: &str, options: &[&str]) -> Self {
        let token = control
            .admin(&[&["enroll-token"], options].concat())
            .await
            .ok();
        let machine = Self::prepare(ground, name);
        let mut command = machine.command();
        command.args([
            "enroll",
            "--control",
            &control.url(),
            "--token",
            token.trim(),
            "--hostname",
            name,
        ]);
        command.arg("--data-dir").arg(&machine.data);
        let output = wait::within(
            "cmdopd enroll ends",
            tokio::process::Command::from(command).output(),
        )
        .await;
        let output = output.expect("cmdopd starts");
        assert!(
            output.status.success(),
            "cannot enrol {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        machine
    }

    fn prepare(ground: &Ground, name: &str) -> Self {
        let base = ground.path().join("machines").join(name);
        let home = base.join("home");
        std::fs::create_dir_all(&home).expect("a home directory for the agent's user");
        std::fs::create_dir_all(home.join("tmp")).expect("a directory for temporary files");
        Self {
            name: name.to_owned(),
            data: base.join("data"),
            home,
            log: ground.log(&format!("cmdopd-{name}")),
            mark: ground.mark.clone(),
            relay: None,
            config: None,
            program: None,
        }
    }

    /// Its hostname.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The directory of what the agent's user keeps; its programs have `tmp` in it as TMPDIR.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The agent's process.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the agent runs")
    }

    /// What `cmdopd status` says; null while no worker answers.
    pub async fn status(&self) -> serde_json::Value {
        let mut command = self.command();
        command.arg("status").arg("--data-dir").arg(&self.data);
        let output = tokio::process::Command::from(command).output();
        let output = wait::within("cmdopd status ends", output).await;
        serde_json::from_slice(&output.expect("cmdopd starts").stdout).unwrap_or_default()
    }

    /// The process id of the agent's worker, which the agent's own process starts again when it dies.
    pub async fn worker(&self) -> u32 {
        wait::until("a worker answers", || async {
            self.status().await["pid"].as_u64().map(|pid| pid as u32)
        })
        .await
    }

    /// SIGKILL to the agent's worker, and the wait for the next one's link.
    pub async fn kill_worker(&self) {
        let before = self.worker().await;
        process::signal(before, Signal::KILL);
        wait::until_true_async("another worker is linked", || async {
            let status = self.status().await;
            let pid = status["pid"].as_u64();
            pid.is_some_and(|pid| pid != u64::from(before)) && status["link"]["state"] == "linked"
        })
        .await;
    }

    /// From its next start on the agent reaches the relay at another address.
    pub fn use_relay(&mut self, url: &str) {
        self.relay = Some(url.to_owned());
    }

    /// The agent reads this configuration when it is started next.
    pub fn configure(&mut self, toml: &str) {
        let path = self.home.join("cmdopd.toml");
        std::fs::write(&path, toml).expect("a file of the test");
        self.config = Some(path);
    }

    /// Starts the agent and waits until it is linked.
    pub async fn run(&mut self) {
        self.start();
        let line = self.program().line().await;
        assert!(line.starts_with("linked https://"), "{line}");
    }

    /// Starts the agent and does not wait.
    pub fn start(&mut self) {
        let mut command = self.command();
        command.arg("run").arg("--data-dir").arg(&self.data);
        if let Some(relay) = &self.relay {
            command.args(["--relay", relay]);
        }
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        self.program = Some(Program::start(
            &format!("cmdopd on {}", self.name),
            command,
            &self.log,
        ));
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(&mut self) {
        self.program().terminate().await;
        self.program = None;
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&mut self) {
        self.program().kill().await;
        self.program = None;
    }

    /// Removes what the stopped agent knows of its enrolment, as on a new computer.
    pub fn forget(&self) {
        std::fs::remove_dir_all(&self.data).expect("the agent's state goes");
    }

    /// A user with an empty home and a plain shell: nothing of this machine's login files enters.
    fn command(&self) -> Command {
        let mut command = Command::new(binaries::path("cmdopd"));
        command
            .env("CMDOP_HOME", &self.home)
            .env("HOME", &self.home)
            // What programs inherit: by it they can tell the machines of a world apart.
            .env("TMPDIR", self.home.join("tmp"))
            .env("SHELL", binaries::SHELL)
            .env("PS1", "$ ")
            .env("NO_COLOR", "1")
            .env(MARK, &self.mark)
            .env_remove("ENV");
        command
    }
}
