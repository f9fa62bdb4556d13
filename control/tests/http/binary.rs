//! The binary: its ready line, `admin` beside `serve`, and what it says when it cannot start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn control(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cmdop-control"));
    command.env_clear().env("USER", "ada");
    command.env("CMDOP_CONTROL_DATA_DIR", dir);
    command
}

fn admin(dir: &Path, arguments: &str, stdin: &str) -> Output {
    let mut child = control(dir)
        .arg("admin")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A task that reads no stdin may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .trim_end()
        .to_owned()
}

/// A server that is killed when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(dir: &Path) -> (Server, String) {
    let mut child = control(dir)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    let server = Server(child);
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (server, line.trim_end().to_owned())
}

#[test]
fn admin_works_beside_a_running_server_and_prints_just_its_result() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("control");
    let (mut server, address) = serve(&dir);
    assert!(address.parse::<std::net::SocketAddr>().is_ok(), "{address}");
    let id = printed(&admin(
        &dir,
        "create-account grace --role admin --password-stdin",
        "a long password\n",
    ));
    assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    let accounts: serde_json::Value =
        serde_json::from_str(&printed(&admin(&dir, "accounts --json", ""))).unwrap();
    assert_eq!(accounts[0]["name"], "ada");
    assert_eq!(
        (&accounts[1]["role"], &accounts[1]["has_password"]),
        (&"admin".into(), &true.into())
    );
    let rows = printed(&admin(&dir, "accounts", ""));
    assert!(rows.starts_with("ada\towner\tdefault\tenabled\t"), "{rows}");
    assert!(printed(&admin(&dir, "enroll-token --label a=b", "")).starts_with("cmdop_enroll_"));
    assert!(printed(&admin(&dir, "relay-token", "")).starts_with("cmdop_relay_"));
    assert!(printed(&admin(&dir, "login-secret ada", "")).starts_with("cmdop_login_"));
    assert_eq!(printed(&admin(&dir, "machines", "")), "");
    let second = control(&dir)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && complaint.contains("in use"),
        "{complaint}"
    );
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn what_cannot_be_done_is_said_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("control");
    let complaint = |output: &Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let early = complaint(&admin(&dir, "accounts", ""));
    assert!(
        early.contains("no control plane in") && early.contains("serve"),
        "{early}"
    );
    drop(serve(&dir));
    let unknown = complaint(&admin(&dir, "disable-account nobody", ""));
    assert!(
        unknown.contains("no account nobody") && unknown.contains("accounts"),
        "{unknown}"
    );
    let taken = complaint(&admin(&dir, "create-account ADA --role guest", ""));
    assert!(taken.contains("already"), "{taken}");
    let short = complaint(&admin(&dir, "set-password ada --password-stdin", "short\n"));
    assert!(short.contains("at least 8"), "{short}");
    for file in ["control.db-wal", "control.db-shm"] {
        let _ = std::fs::remove_file(dir.join(file));
    }
    std::fs::write(
        dir.join("control.db"),
        "not a database, not even nearly".repeat(300),
    )
    .unwrap();
    let corrupt = control(&dir)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let corrupt = complaint(&corrupt);
    assert!(
        corrupt.contains("control.db") && corrupt.contains("backup"),
        "{corrupt}"
    );
}
