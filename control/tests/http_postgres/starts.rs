//! The binary on a PostgreSQL database: where it is named, who may serve from it, and two at once.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::server::Database;

/// What all control planes on one database have.
const SECRETS_KEY: &str = "a2V5IG9mIDMyIGJ5dGVzLCBmb3IgYWxsIHRlc3RzICA=";

fn control(dir: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cmdop-control"));
    command.env_clear().env("USER", "ada");
    command.env("CMDOP_CONTROL_DATA_DIR", dir);
    command.env("CMDOP_CONTROL_DATABASE", url);
    command.env("CMDOP_CONTROL_SECRETS_KEY", SECRETS_KEY);
    command
}

/// A server that is killed when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(dir: &Path, url: &str) -> Server {
    let child = control(dir, url)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Server(child.unwrap())
}

fn is_ready(server: &mut Server) {
    let mut line = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim_end().parse::<std::net::SocketAddr>();
    assert!(address.is_ok(), "{line:?}");
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_servers_that_start_at_once_share_a_database_with_one_owner_and_one_ca() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::new());
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let mut servers = [serve(&one, &database.url()), serve(&two, &database.url())];
    servers.iter_mut().for_each(is_ready);
    for dir in [&one, &two] {
        let listed = control(dir, &database.url())
            .args(["admin", "accounts", "--json"])
            .output()
            .unwrap();
        let accounts: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(accounts.as_array().unwrap().len(), 1, "{accounts}");
        assert!(!dir.join("control.db").exists());
    }
    let ca = |dir: &Path| std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    assert_eq!(ca(&one), ca(&two));
    assert!(!one.join("ca.key").exists() && !one.join("secrets.key").exists());
    // The secret of the one that was quicker is the only one that lets anybody in.
    let left = [&one, &two].map(|dir| dir.join("owner-login").exists());
    assert!(left[0] != left[1], "{left:?}");
}

#[test]
fn a_server_without_the_key_of_the_others_says_which_file_it_lacks() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::new());
    is_ready(&mut serve(&dir.path().join("one"), &database.url()));
    let mut other = control(&dir.path().join("two"), &database.url());
    other.env_remove("CMDOP_CONTROL_SECRETS_KEY");
    let said = complaint(
        &other
            .args(["serve", "--listen", "127.0.0.1:0"])
            .output()
            .unwrap(),
    );
    assert!(
        said.contains("secrets.key") && said.contains("backup"),
        "{said}"
    );
}

#[test]
fn a_database_that_cannot_be_served_from_is_named_without_its_password() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::new());
    let refused = |url: &str| {
        let mut command = control(dir.path(), url);
        let said = complaint(&command.args(["admin", "accounts"]).output().unwrap());
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    let said = refused("postgres://cmdop:hunter2@127.0.0.1:1/cmdop");
    assert!(
        said.contains("PostgreSQL database cmdop at 127.0.0.1:1"),
        "{said}"
    );
    let said = refused("mysql://cmdop:hunter2@127.0.0.1/cmdop");
    assert!(
        said.contains("postgres://user:password@host:port/database"),
        "{said}"
    );
    let said = refused(&database.url());
    assert!(
        said.contains("no control plane in") && said.contains("serve"),
        "{said}"
    );
    let said = refused(&database.url_as("postgres"));
    assert!(
        said.contains("the role postgres") && said.contains("NOBYPASSRLS"),
        "{said}"
    );
}
