//! The router as its operator meets it: the real binary, a real port, a real signal.

#![allow(clippy::unwrap_used, reason = "a test's own helpers fail the test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::ServerName;

/// No answer of a healthy router takes this long, not even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

struct Router {
    child: Child,
    address: String,
}

impl Router {
    fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut child = command(data_dir, "serve")
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            child,
            address: address.trim_end().to_owned(),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data_dir: &Path, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cmdop-router"));
    command
        .env_clear()
        .arg(verb)
        .arg("--data-dir")
        .arg(data_dir);
    command
}

fn get(mut stream: impl std::io::Read + std::io::Write, path: &str) -> String {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    // A TLS peer that closes without a farewell is an error here, but the answer is complete.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_is_healthy_and_leaves_on_sigterm_with_a_request_still_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::start(dir.path(), &[]);
    assert!(get(router.connect(), "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(router.connect(), "/v1/chat/completions").starts_with("HTTP/1.1 404"));
    let mut half_asked = router.connect();
    half_asked.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    kill_process(Pid::from_child(&router.child), Signal::TERM).unwrap();
    // The end of the connection is the end of the drain; without it the read times out.
    let _ = half_asked.set_read_timeout(Some(Duration::from_secs(10)));
    let end = half_asked.read(&mut [0; 1]);
    assert!(
        !matches!(&end, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
        "{end:?}"
    );
    assert!(router.child.wait().unwrap().success());
}

#[test]
fn with_a_certificate_it_speaks_tls() {
    let dir = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = tls_config_file(dir.path(), &identity, 0o600);
    let router = Router::start(dir.path(), &["--config", &config]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let stream = rustls::StreamOwned::new(tls, router.connect());
    assert!(get(stream, "/healthz").starts_with("HTTP/1.1 200"));
}

fn tls_config_file(
    dir: &Path,
    identity: &rcgen::CertifiedKey<rcgen::KeyPair>,
    key_mode: u32,
) -> String {
    let (certificate, key, config) = (
        dir.join("cert.pem"),
        dir.join("key.pem"),
        dir.join("router.toml"),
    );
    std::fs::write(&certificate, identity.cert.pem()).unwrap();
    std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(key_mode)).unwrap();
    let text = format!(
        "tls-cert = '{}'\ntls-key = '{}'\n",
        certificate.display(),
        key.display()
    );
    std::fs::write(&config, text).unwrap();
    config.to_str().unwrap().to_owned()
}

#[test]
fn check_says_what_serve_would_do_and_does_not_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let output = command(&state, "check").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("would serve http://127.0.0.1:7445"), "{said}");
    assert!(!state.exists(), "checking must not make the data directory");
}

#[test]
fn check_refuses_a_key_that_others_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = tls_config_file(dir.path(), &identity, 0o644);
    let output = command(dir.path(), "check")
        .args(["--config", &config])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        stderr_of(&output).contains("chmod 600"),
        "{}",
        stderr_of(&output)
    );
}

#[test]
fn a_second_router_in_the_same_place_is_told_what_is_in_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let first = Router::start(dir.path(), &[]);
    let serve = |state: &Path, listen: &str| {
        command(state, "serve")
            .args(["--listen", listen])
            .output()
            .unwrap()
    };
    let same_state = serve(dir.path(), "127.0.0.1:0");
    assert!(stderr_of(&same_state).contains("is in use by another cmdop-router"));
    let same_port = serve(&dir.path().join("other"), &first.address);
    assert!(
        stderr_of(&same_port).contains("the port is in use"),
        "{}",
        stderr_of(&same_port)
    );
}
