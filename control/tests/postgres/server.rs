//! A real PostgreSQL for tests: Debian's binaries, a directory of its own, no network, databases of their own.
//!
//! `initdb` takes longer than most tests, so the test processes of a run share one server. Each holds
//! a lock while it lives; a keeper, which the first of them starts, ends the server by its process id
//! and removes the directory when nobody has held that lock for a few seconds. No process of a test
//! is the server's parent, so none can die over it.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The role that the control plane logs in as: it owns its databases and nothing else.
const ROLE: &str = "cmdop";

/// Starts the server, tells its parent so, and stays until nobody wants it any more.
///
/// Arguments: the directory, the binaries' directory, and a program to become another user with.
const KEEPER: &str = r#"
base=$1 bin=$2; shift 2
exec 9>>"$base/users.lock" 8>>"$base/start.lock"
"$@" "$bin/postgres" -D "$base/data" -k "$base/socket" -c listen_addresses= -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 \
    -c shared_buffers=64MB 8>&- 9>&- >"$base/log" 2>&1 &
while :; do
    flock -x 9; flock -u 9
    sleep 5
    flock -x 8
    if flock -n -x 9; then
        pid=$(head -n 1 "$base/data/postmaster.pid")
        kill -INT "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        rm -rf "$base/data" "$base/socket" "$base/log"
        exit
    fi
    flock -u 8
done
"#;

/// The server as this process uses it.
struct Server {
    bin: PathBuf,
    socket: PathBuf,
    /// Held, shared, for as long as the process lives.
    _in_use: File,
}

/// A database of its own, gone when this is dropped.
pub(crate) struct Database {
    name: String,
}

impl Database {
    /// A new, empty one, on the server of this run.
    pub(crate) fn new() -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        run(server().client("createdb").args(["--owner", ROLE, &name]));
        Self { name }
    }

    /// How the control plane reaches it.
    pub(crate) fn url(&self) -> String {
        self.url_as(ROLE)
    }

    /// How `role` reaches it.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let socket = server().socket.display();
        format!("postgres:///{}?host={socket}&user={role}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut drop = server().client("dropdb");
        // A test that fails already has said what matters.
        let _ = drop.args(["--force", "--if-exists", &self.name]).output();
    }
}

impl Server {
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.arg("--host").arg(&self.socket);
        command.args(["--username", "postgres"]);
        command
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let bin = binaries();
        let own = std::fs::metadata("/proc/self").expect("/proc is there");
        let base = std::env::temp_dir().join(format!("cmdop-test-postgres-{}", own.uid()));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&base)
            .expect("a directory for the server");
        let starting = lock_file(&base, "start.lock");
        starting.lock().expect("the lock of those who start");
        let in_use = lock_file(&base, "users.lock");
        in_use.lock_shared().expect("the lock of those who use");
        let socket = base.join("socket");
        if UnixStream::connect(socket.join(".s.PGSQL.5432")).is_err() {
            start(&base, &bin);
        }
        Server {
            bin,
            socket,
            _in_use: in_use,
        }
    })
}

fn lock_file(base: &Path, name: &str) -> File {
    let mut options = File::options();
    let options = options.create(true).append(true);
    options.open(base.join(name)).expect("a lock file")
}

/// The newest version's directory.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect(
        "PostgreSQL is not installed, and these tests need a real one; run: \
         sudo apt-get install postgresql",
    )
}

/// PostgreSQL refuses to run as root.
fn becoming() -> &'static [&'static str] {
    let own = std::fs::metadata("/proc/self").expect("/proc is there");
    if own.uid() == 0 {
        &["runuser", "-u", "postgres", "--"]
    } else {
        &["env"]
    }
}

#[allow(clippy::zombie_processes, reason = "the keeper outlives this process")]
fn start(base: &Path, bin: &Path) {
    let become_user = becoming();
    for directory in ["data", "socket"] {
        let directory = base.join(directory);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).expect("a directory for the server");
        if become_user[0] == "runuser" {
            run(Command::new("chown").arg("postgres:").arg(&directory));
        }
    }
    let mut initdb = Command::new(become_user[0]);
    initdb.args(&become_user[1..]).arg(bin.join("initdb"));
    initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8"]);
    initdb.args(["--locale=C.UTF-8", "--no-sync", "--pgdata"]);
    run(initdb.arg(base.join("data")).current_dir("/"));
    Command::new("bash")
        .args(["-c", KEEPER, "keeper"])
        .args([base, bin])
        .args(become_user)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()
        .expect("a keeper");
    let mut ready = Command::new(bin.join("pg_isready"));
    ready.args(["--quiet", "--username=postgres", "--host"]);
    ready.arg(base.join("socket"));
    // Each try takes as long as a process does to start: nothing here spins.
    let is_ready = (0..3000).any(|_| ready.status().is_ok_and(|status| status.success()));
    let log = std::fs::read_to_string(base.join("log")).unwrap_or_default();
    assert!(is_ready, "the server did not start: {log}");
    let role = format!("CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOBYPASSRLS");
    let mut psql = Command::new(bin.join("psql"));
    psql.arg("--host").arg(base.join("socket"));
    run(psql.args(["--username=postgres", "--quiet", "--command", &role]));
}

fn run(command: &mut Command) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
}
