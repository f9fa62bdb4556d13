//! The agent's local socket: answers whoever may open it (its own user) with the agent's state.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::state::Status;

/// The socket in the data directory.
const SOCKET: &str = "cmdopd.sock";

/// A local peer that takes longer is stuck.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer above this comes from something else.
const MAX_ANSWER: u64 = 64 << 10;

/// Why a running agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None listens.
    #[error("no agent is running on {path}")]
    NotRunning {
        /// Its data directory.
        path: PathBuf,
    },
    /// One listens but does not answer as it should.
    #[error("the agent on {path} does not answer: {reason}")]
    NoAnswer {
        /// Its data directory.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// The socket, open for this user only.
pub(crate) fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET);
    // We hold the directory's lock: what is there was left by an agent that is gone.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // The directory is 0700: nobody else reached it meanwhile.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until `stop`; removes the socket.
pub(crate) async fn serve(
    listener: UnixListener,
    data_dir: PathBuf,
    status: impl Fn() -> Status,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => answer(stream, &status()).await,
            Err(error) => {
                tracing::warn!(%error, "the local socket is broken");
                break;
            }
        }
    }
    let _ = std::fs::remove_file(data_dir.join(SOCKET));
}

async fn answer(mut stream: UnixStream, status: &Status) {
    let mut line = serde_json::to_vec(status).expect("text and numbers are JSON");
    line.push(b'\n');
    // A peer that does not read its one line is its own problem.
    let _ = tokio::time::timeout(TIMEOUT, stream.write_all(&line)).await;
}

/// Asks the agent that runs on `data_dir`.
pub async fn status(data_dir: &Path) -> Result<Status, Error> {
    let not_running = || Error::NotRunning {
        path: data_dir.to_owned(),
    };
    let no_answer = |reason: String| Error::NoAnswer {
        path: data_dir.to_owned(),
        reason,
    };
    let stream = match UnixStream::connect(data_dir.join(SOCKET)).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => not_running(),
                _ => no_answer(error.to_string()),
            });
        }
    };
    let mut line = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut line))
        .await
        .map_err(|_| no_answer("it takes too long".into()))?
        .map_err(|error| no_answer(error.to_string()))?;
    serde_json::from_slice(&line).map_err(|error| no_answer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::LinkState;

    #[tokio::test]
    async fn a_running_agent_says_how_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            status(dir.path()).await,
            Err(Error::NotRunning { .. })
        ));
        // Left behind by an agent that was killed.
        std::fs::write(dir.path().join(SOCKET), "").unwrap();
        let listener = listen(dir.path()).unwrap();
        let mode = dir
            .path()
            .join(SOCKET)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let wanted = Status {
            holder_pid: Some(1),
            version: "1".into(),
            pid: 7,
            machine_id: "m".into(),
            hostname: "web-1".into(),
            workspace: "default".into(),
            link: LinkState::Waiting { reason: "x".into() },
            sessions: 3,
            programs: 2,
        };
        let stop = CancellationToken::new();
        let told = wanted.clone();
        let serving = serve(
            listener,
            dir.path().into(),
            move || told.clone(),
            stop.clone(),
        );
        let asking = async {
            let status = status(dir.path()).await.unwrap();
            stop.cancel();
            status
        };
        let ((), status) = tokio::join!(serving, asking);
        assert_eq!(status, wanted);
        assert!(!dir.path().join(SOCKET).exists());
    }
}
