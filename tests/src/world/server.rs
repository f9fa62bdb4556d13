//! The two servers of a world: the control plane and the relay.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Ground;
use crate::cli::{Cli, Outcome};
use crate::faults::Proxy;
use crate::forge;
use crate::process::Program;

/// A running control plane.
#[derive(Debug)]
pub struct Control {
    /// The process.
    pub program: Program,
    address: SocketAddr,
    data: PathBuf,
    log: PathBuf,
    cli: Cli,
    /// The URL of its database; none: a file in its data directory.
    database: Option<String>,
}

impl Control {
    /// Starts one with an empty data directory; the owner's account is `owner`.
    pub async fn start(ground: &Ground) -> Self {
        Self::start_on(ground, None).await
    }

    /// The same with its facts in the database of that URL.
    pub async fn start_on(ground: &Ground, database: Option<&str>) -> Self {
        forge::plant_key(&ground.path().join("control"));
        Self::start_in(ground, "control", database).await
    }

    async fn start_in(ground: &Ground, name: &str, database: Option<&str>) -> Self {
        let data = ground.path().join(name);
        let log = ground.log(name);
        let database = database.map(str::to_owned);
        let place = (data.as_path(), database.as_deref());
        let (program, address) = serve(ground, place, &log, "127.0.0.1:0").await;
        Self {
            program,
            address,
            data,
            log,
            cli: ground.cli("admin"),
            database,
        }
    }

    /// Another one on the same database, which has nothing of this one but the key for secrets.
    pub async fn start_another(&self, ground: &Ground, name: &str) -> Self {
        let data = ground.path().join(name);
        let mut private = std::fs::DirBuilder::new();
        private.mode(0o700).create(&data).expect("a directory");
        let key = std::fs::read_to_string(self.data.join("secrets.key")).expect("a key");
        write_private(&data.join("secrets.key"), &key);
        Self::start_in(ground, name, self.database.as_deref()).await
    }

    /// `https://host:port`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The certificate of the private CA.
    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.data.join("ca.pem")).expect("the control plane made a CA")
    }

    /// Runs `cmdop-control admin` on its data.
    pub async fn admin(&self, args: &[&str]) -> Outcome {
        self.admin_with(args, &[]).await
    }

    /// The same with `stdin`.
    pub async fn admin_with(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        let data = self.data.to_str().expect("the path of a test is text");
        let mut place = vec!["admin", "--data-dir", data];
        if let Some(database) = &self.database {
            place.extend(["--database", database]);
        }
        let args = [&place, args].concat();
        self.cli
            .run_program_with("cmdop-control", &args, stdin)
            .await
    }

    /// Starts it again, at the address that it had.
    pub async fn restart(&mut self, ground: &Ground) {
        if self.program.is_running() {
            self.program.kill().await;
        }
        let place = (self.data.as_path(), self.database.as_deref());
        let (program, _) = serve(ground, place, &self.log, &self.address.to_string()).await;
        self.program = program;
    }
}

async fn serve(
    ground: &Ground,
    (data, database): (&Path, Option<&str>),
    log: &Path,
    listen: &str,
) -> (Program, SocketAddr) {
    let mut command = ground.command("cmdop-control");
    command
        .args([
            "serve",
            "--listen",
            listen,
            "--owner",
            "owner",
            "--data-dir",
        ])
        .arg(data);
    if let Some(database) = database {
        command.args(["--database", database]);
    }
    let mut program = Program::start("cmdop-control", command, log);
    let address = address(&program.line().await);
    (program, address)
}

/// A relay that runs, or that a test has killed for a while.
#[derive(Debug)]
pub struct Relay {
    /// The process.
    pub program: Program,
    address: SocketAddr,
    proxy: Option<Proxy>,
    data: PathBuf,
    log: PathBuf,
}

impl Relay {
    /// Enrols and starts one.
    pub async fn start(ground: &Ground, control: &Control, behind_proxy: bool) -> Self {
        let data = ground.path().join("relay");
        let token = ground.path().join("relay-token");
        write_private(&token, control.admin(&["relay-token"]).await.ok().trim());
        // The advertised address must be known before the relay has its own.
        let target = free_address().await;
        let proxy = if behind_proxy {
            Some(Proxy::start(target).await)
        } else {
            None
        };
        let log = ground.log("relay");
        let mut command = ground.command("cmdop-relay");
        command
            .args(["serve", "--control", &control.url()])
            .arg("--enroll-token-file")
            .arg(&token);
        command.arg("--data-dir").arg(&data);
        match &proxy {
            Some(proxy) => command
                .args(["--advertise", &format!("https://{}", proxy.address())])
                .args(["--listen", &target.to_string()]),
            None => command.args(["--listen", "127.0.0.1:0"]),
        };
        let mut program = Program::start("cmdop-relay", command, &log);
        let address = address(&program.line().await);
        Self {
            program,
            address,
            proxy,
            data,
            log,
        }
    }

    /// The address that agents and clients are told: `https://host:port`.
    pub fn url(&self) -> String {
        let address = self.proxy.as_ref().map_or(self.address, Proxy::address);
        format!("https://{address}")
    }

    /// Where it listens itself.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The way to it, in a world that was built with [`super::Builder::relay_behind_proxy`].
    pub fn proxy(&self) -> &Proxy {
        self.proxy
            .as_ref()
            .expect("this world's relay has no proxy")
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.program.kill().await;
    }

    /// Starts it again from what is in its data directory, at the address that it had.
    pub async fn restart(&mut self, ground: &Ground, control: &Control) {
        let mut command = ground.command("cmdop-relay");
        command.args([
            "serve",
            "--control",
            &control.url(),
            "--advertise",
            &self.url(),
        ]);
        command
            .args(["--listen", &self.address.to_string()])
            .arg("--data-dir")
            .arg(&self.data);
        self.program = Program::start("cmdop-relay", command, &self.log);
        assert_eq!(address(&self.program.line().await), self.address);
    }
}

/// A server's ready line.
fn address(line: &str) -> SocketAddr {
    line.trim()
        .parse()
        .unwrap_or_else(|_| panic!("`{line}` is not host:port"))
}

/// An address where nobody listens now.
pub async fn free_address() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    listener.local_addr().expect("a listener has an address")
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).expect("a file of the test");
    file.write_all(text.as_bytes()).expect("a file of the test");
}
