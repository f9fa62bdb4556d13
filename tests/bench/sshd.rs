//! A private sshd on loopback with its own keys, configuration and home directory, where sshd is
//! installed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use cmdop_tests::process::Program;
use cmdop_tests::wait;
use cmdop_tests::world::free_address;
use tempfile::TempDir;
use tokio::net::TcpStream;

const SSHD: &str = "/usr/sbin/sshd";

/// The names under which ssh reaches it: `bench`, and `h1` to `h50` for the fan-out.
const HOSTS: &str = "bench h*";

/// A running sshd. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    _program: Program,
    address: SocketAddr,
    directory: TempDir,
}

impl Sshd {
    /// Starts one, or says why there is none.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(SSHD).is_file() {
            println!("no {SSHD}: ssh is left out (apt-get install openssh-server)");
            return None;
        }
        let directory = tempfile::Builder::new()
            .prefix("cmdop-bench-")
            .tempdir()
            .expect("a directory");
        let address = free_address().await;
        configure(directory.path(), address.port());
        // sshd wants this place when it runs as root; another user has no need of it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = Command::new(SSHD);
        command
            .args(["-D", "-e", "-f"])
            .arg(directory.path().join("sshd_config"));
        let program = Program::start("sshd", command, &directory.path().join("sshd.log"));
        wait::until("sshd listens", || async {
            TcpStream::connect(address).await.ok()
        })
        .await;
        Some(Self {
            _program: program,
            address,
            directory,
        })
    }

    /// `ssh` with the right configuration; a host and a command follow.
    pub(crate) fn command(&self) -> Vec<String> {
        vec![
            "ssh".into(),
            "-F".into(),
            self.config().display().to_string(),
        ]
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The client's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("ssh_config")
    }
}

fn configure(directory: &Path, port: u16) {
    for key in ["host_key", "user_key"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(directory.join(key))
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "ssh-keygen made no key"
        );
    }
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("a key");
    let here = directory.display();
    let write = |name: &str, text: String| {
        std::fs::write(directory.join(name), text).expect("a file of the benchmark");
    };
    write("authorized_keys", read("user_key.pub"));
    write(
        "known_hosts",
        format!("[127.0.0.1]:{port} {}", read("host_key.pub")),
    );
    // An empty home: nobody's slow login files enter the figures.
    let home = directory.join("home");
    std::fs::create_dir(&home).expect("a directory");
    write(
        "sshd_config",
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\n\
             AuthorizedKeysFile {here}/authorized_keys\nStrictModes no\nUsePAM no\nUseDNS no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nPrintMotd no\n\
             PrintLastLog no\nMaxStartups 400:30:500\nMaxSessions 400\nSubsystem sftp internal-sftp\nSetEnv HOME={}\n",
            home.display()
        ),
    );
    write(
        "ssh_config",
        format!(
            "Host {HOSTS}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {here}/user_key\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {here}/known_hosts\n  \
             StrictHostKeyChecking no\n  LogLevel ERROR\n  GSSAPIAuthentication no\n"
        ),
    );
}
