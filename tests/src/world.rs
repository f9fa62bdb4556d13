//! A whole cmdop on loopback: the real programs with private keys, temporary directories and free
//! ports, enrolled and logged in as people would do it.
//!
//! Whatever happens to the test, its processes end; when it fails, their logs are printed.

mod account;
mod machine;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cli::Cli;
use crate::reaper::{MARK, Reaper};
use crate::{binaries, wait};

pub use account::Account;
pub use machine::Machine;
pub use server::{Control, Relay, free_address, write_private};

/// The machine that every world has unless its builder says otherwise.
pub const WEB: &str = "web-1";

/// A control plane, a relay, machines, and people who are logged in.
#[derive(Debug)]
pub struct World {
    /// The control plane.
    pub control: Control,
    /// The relay.
    pub relay: Relay,
    /// The enrolled machines, in the order of their enrolment.
    pub machines: Vec<Machine>,
    /// The owner of the workspace `default`, logged in.
    pub owner: Account,
    ground: Ground,
    errors_expected: bool,
}

/// How a world is to be made.
#[derive(Clone, Debug)]
pub struct Builder {
    machines: Vec<String>,
    relay_behind_proxy: bool,
    database: Option<String>,
}

impl Builder {
    /// With these machines instead of [`WEB`].
    pub fn machines(mut self, names: &[&str]) -> Self {
        self.machines = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The control plane keeps its facts in the database of that URL.
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// Agents and clients reach the relay through [`Relay::proxy`].
    pub fn relay_behind_proxy(mut self) -> Self {
        self.relay_behind_proxy = true;
        self
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> World {
        let ground = Ground::new();
        let control = Control::start_on(&ground, self.database.as_deref()).await;
        let relay = Relay::start(&ground, &control, self.relay_behind_proxy).await;
        let owner = Account::owner(&ground, &control);
        let mut world = World {
            control,
            relay,
            machines: Vec::new(),
            owner,
            ground,
            errors_expected: false,
        };
        let owner = world.owner.clone();
        // The machines and the person do not wait for one another.
        let log_in = owner.log_in(&world.control, &world.relay);
        let join = async {
            let mut machines = Vec::new();
            for name in &self.machines {
                machines.push(Machine::enroll(&world.ground, &world.control, name, &[]).await);
            }
            futures_util::future::join_all(machines.iter_mut().map(Machine::run)).await;
            machines
        };
        let ((), machines) = tokio::join!(log_in, join);
        world.machines = machines;
        world
    }
}

impl World {
    /// A world with one machine, [`WEB`].
    pub async fn start() -> Self {
        Self::with().start().await
    }

    /// A world of another shape.
    pub fn with() -> Builder {
        Builder {
            machines: vec![WEB.to_owned()],
            relay_behind_proxy: false,
            database: None,
        }
    }

    /// Another control plane with the same keys, on the same database.
    pub async fn another_control(&self, name: &str) -> Control {
        self.control.start_another(&self.ground, name).await
    }

    /// Runs `cmdop` as the owner.
    pub async fn cmdop(&self, args: &[&str]) -> crate::cli::Outcome {
        self.owner.cli.run(args).await
    }

    /// Enrols another machine of the workspace `default` and waits until it is linked.
    pub async fn add_machine(&mut self, name: &str) -> &mut Machine {
        let mut machine = Machine::enroll(&self.ground, &self.control, name, &[]).await;
        machine.run().await;
        self.machines.push(machine);
        self.machines.last_mut().expect("one was just added")
    }

    /// Enrols another machine, with these options of `admin enroll-token`; it does not run.
    pub async fn enroll_machine(&mut self, name: &str, options: &[&str]) -> &mut Machine {
        let machine = Machine::enroll(&self.ground, &self.control, name, options).await;
        self.machines.push(machine);
        self.machines.last_mut().expect("one was just added")
    }

    /// The machine of that name.
    pub fn machine(&mut self, name: &str) -> &mut Machine {
        self.machines
            .iter_mut()
            .find(|machine| machine.name() == name)
            .expect("a machine of that name")
    }

    /// A new account of the workspace `default` with this role, logged in.
    pub async fn add_account(&self, name: &str, role: &str) -> Account {
        self.add_account_in("default", name, role).await
    }

    /// A new account, logged in.
    pub async fn add_account_in(&self, workspace: &str, name: &str, role: &str) -> Account {
        self.control
            .admin(&[
                "create-account",
                name,
                "--workspace",
                workspace,
                "--role",
                role,
            ])
            .await
            .ok();
        let account = Account::new(&self.ground, name);
        account.log_in(&self.control, &self.relay).await;
        account
    }

    /// A new workspace.
    pub async fn add_workspace(&self, name: &str) {
        self.control.admin(&["create-workspace", name]).await.ok();
    }

    /// A person who has never logged in.
    pub fn stranger(&self, name: &str) -> Cli {
        self.ground.cli(name)
    }

    /// SIGKILL to the relay, and a new one from its data at the same address.
    pub async fn crash_relay(&mut self) {
        self.relay.kill().await;
        self.restart_relay().await;
    }

    /// Starts the relay again from its data, at the same address.
    pub async fn restart_relay(&mut self) {
        self.relay.restart(&self.ground, &self.control).await;
    }

    /// SIGKILL to the control plane, and a new one from its data at the same address.
    pub async fn crash_control(&mut self) {
        self.control.restart(&self.ground).await;
    }

    /// Waits until `cmdop machines` shows the machine as `presence` (`online`, `offline`).
    pub async fn machine_is(&self, name: &str, presence: &str) {
        let what = format!("{name} is {presence}");
        wait::until(&what, || async {
            let listed = self.cmdop(&["machines", "--json"]).await;
            let machines: serde_json::Value = serde_json::from_str(&listed.out()).ok()?;
            let found = rows(&machines).iter().any(|machine| {
                machine["name"] == name && machine["presence"].as_str() == Some(presence)
            });
            found.then_some(())
        })
        .await;
    }

    /// Makes a session on [`WEB`] and returns its id; `args` as for `cmdop new`, without `-d`.
    pub async fn new_session(&self, args: &[&str]) -> String {
        let args = [&["new", "-d"], args].concat();
        self.cmdop(&args).await.ok().trim().to_owned()
    }

    /// The record of a session, as `cmdop sessions show --json` prints it; null when there is none.
    pub async fn session(&self, session: &str) -> serde_json::Value {
        let shown = self.cmdop(&["sessions", "show", session, "--json"]).await;
        serde_json::from_str(&shown.out()).unwrap_or_default()
    }

    /// A directory for files of the test.
    pub fn directory(&self) -> &Path {
        self.ground.directory.path()
    }

    /// The live processes of this world, other than the test itself.
    pub fn processes(&self) -> Vec<u32> {
        self.ground.reaper.marked()
    }

    /// The test provokes errors in the programs' logs.
    pub fn expect_errors(&mut self) {
        self.errors_expected = true;
    }

    fn logs(&self) -> Vec<(String, String)> {
        let directory = self.ground.logs();
        let mut logs: Vec<_> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| {
                let text = std::fs::read(entry.path()).unwrap_or_default();
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    String::from_utf8_lossy(&text).into_owned(),
                )
            })
            .collect();
        logs.sort();
        logs
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let logs = self.logs();
        if std::thread::panicking() {
            for (name, text) in &logs {
                let tail = text.len().saturating_sub(20_000);
                let tail = (tail..text.len())
                    .find(|at| text.is_char_boundary(*at))
                    .unwrap_or(0);
                eprintln!("===== {name}\n{}", &text[tail..]);
            }
            return;
        }
        for (name, text) in &logs {
            let faults: Vec<_> = text
                .lines()
                .filter(|line| is_fault(line, self.errors_expected))
                .collect();
            assert!(
                faults.is_empty(),
                "{name} reports what must not happen:\n{}",
                faults.join("\n")
            );
        }
    }
}

/// A panic is never allowed in a program, an ERROR only where the test provokes it.
fn is_fault(line: &str, errors_expected: bool) -> bool {
    line.contains("panicked at") || (!errors_expected && line.contains(" ERROR "))
}

/// The rows of a `--json` listing, whether it is an array or an object that holds one.
pub fn rows(listing: &serde_json::Value) -> Vec<serde_json::Value> {
    match listing {
        serde_json::Value::Array(rows) => rows.clone(),
        serde_json::Value::Object(fields) => fields
            .values()
            .find_map(|value| value.as_array().cloned())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The directories of a world and who cleans up after it. Dropped last.
#[derive(Debug)]
pub struct Ground {
    reaper: Reaper,
    directory: TempDir,
    mark: String,
}

impl Ground {
    /// An empty ground with nothing running on it.
    #[allow(
        clippy::new_without_default,
        reason = "it makes directories and a process"
    )]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("cmdop-test-")
            .tempdir()
            .expect("a directory");
        let mark = uuid::Uuid::new_v4().to_string();
        let ground = Self {
            reaper: Reaper::start(&mark),
            directory,
            mark,
        };
        std::fs::create_dir(ground.logs()).expect("a directory for logs");
        ground
    }

    /// The directory of everything.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What the processes of this ground carry in their environment.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// The processes that carry this ground's mark.
    pub fn processes(&self) -> Vec<u32> {
        self.reaper.marked()
    }

    /// One of the programs, ready to get arguments.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binaries::path(program));
        command
            .env("CMDOP_HOME", self.path().join("home"))
            .env("CMDOP_TOKEN_STORE", "file")
            .env("NO_COLOR", "1")
            .env(MARK, &self.mark);
        command
    }

    /// A user of the command line with an empty home.
    pub fn cli(&self, name: &str) -> Cli {
        Cli::new(self.path().join("people").join(name), &self.mark)
    }

    fn logs(&self) -> PathBuf {
        self.path().join("logs")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(name)
    }
}
