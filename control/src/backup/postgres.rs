//! The facts of a PostgreSQL database, by PostgreSQL's own programs: nobody knows better what belongs to
//! a database of theirs.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::Error;
use crate::store::DatabaseUrl;

/// Row-level security holds for who dumps too: without this it would dump nothing, or refuse.
const ALL_WORKSPACES: &str = "-c cmdop.workspace=*";

/// What is shown of a program's complaint.
const MAX_COMPLAINT: usize = 1024;

/// Everything in the database, as of one moment, into the file `to`.
pub(super) async fn dump(url: &DatabaseUrl, to: &Path) -> Result<(), Error> {
    let mut command = program("pg_dump", url);
    command.args(["--format=custom", "--enable-row-security", "--file"]);
    run("pg_dump", command.arg(to)).await
}

/// Everything in the file `from` into an empty database, or nothing at all.
pub(super) async fn load(url: &DatabaseUrl, from: &Path) -> Result<(), Error> {
    let mut command = program("pg_restore", url);
    command.args(["--single-transaction", "--exit-on-error"]);
    command.args(["--dbname", url.name()]).arg(from);
    run("pg_restore", &mut command).await
}

fn program(name: &str, url: &DatabaseUrl) -> Command {
    let mut command = Command::new(name);
    command
        .args(["--no-owner", "--no-privileges", "--no-password"])
        .envs(url.environment(ALL_WORKSPACES))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(program: &'static str, command: &mut Command) -> Result<(), Error> {
    let failed = |said: &str| Error::Program {
        program,
        said: cmdop_proto::text::shown(said.trim(), MAX_COMPLAINT),
    };
    let output = match command.output().await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NoProgram { program });
        }
        ran => ran.map_err(|error| failed(&error.to_string()))?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr)))
}
