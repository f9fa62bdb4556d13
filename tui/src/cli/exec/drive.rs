//! One program on one machine, driven to its end. What a run on many machines does at each of them, wherever
//! its output goes.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::exec::{self, Command, Event, Finished, Input};
use cmdop_client::{Connection, Error};

use super::replay::Reader;

/// A target that has not started its program by then is given up.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the agent's own clock for `--timeout` may take to reach us.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// Where the output goes. It may wait: a reader that stands still stops the program.
pub(crate) trait Sink: Send {
    /// The program runs.
    fn started(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// It wrote to stdout.
    fn stdout(&mut self, data: Bytes) -> impl Future<Output = ()> + Send;

    /// It wrote to stderr.
    fn stderr(&mut self, data: Bytes) -> impl Future<Output = ()> + Send;
}

/// Runs it to its end, or until it has taken longer than its agent should have let it. Dropping the future
/// ends the program.
pub(crate) async fn run(
    connection: &Connection,
    command: Command,
    stdin: Option<Reader>,
    sink: &mut impl Sink,
) -> Result<Finished, Error> {
    let limit = command.timeout.map(|limit| limit + TIMEOUT_GRACE);
    let drive = drive(connection, command, stdin, sink);
    match limit {
        None => drive.await,
        Some(limit) => tokio::time::timeout(limit, drive)
            .await
            .unwrap_or_else(|_| Err(too_long("the program", limit))),
    }
}

async fn drive(
    connection: &Connection,
    command: Command,
    stdin: Option<Reader>,
    sink: &mut impl Sink,
) -> Result<Finished, Error> {
    let started = exec::run(connection, command);
    let (input, mut output) = tokio::time::timeout(START_TIMEOUT, started)
        .await
        .unwrap_or_else(|_| Err(too_long("starting the program", START_TIMEOUT)))?;
    let feed = feed(input, stdin);
    tokio::pin!(feed);
    let mut feeding = true;
    loop {
        // Cancel-safe: `feed` is kept, and reading one event loses nothing.
        let event = tokio::select! {
            () = &mut feed, if feeding => { feeding = false; continue }
            event = output.next() => event?,
        };
        match event {
            Some(Event::Stdout(data)) => sink.stdout(data).await,
            Some(Event::Stderr(data)) => sink.stderr(data).await,
            Some(Event::Finished(finished)) => return Ok(finished),
            Some(Event::Started { .. }) => sink.started().await,
            None => return Err(Error::Lost("the run ended without a result".into())),
        }
    }
}

pub(super) fn too_long(what: &str, after: Duration) -> Error {
    Error::Timeout {
        what: what.to_owned(),
        after,
    }
}

/// The input is kept until the end: dropping it would tell the agent that its caller is gone.
async fn feed(input: Input, stdin: Option<Reader>) {
    if let Some(mut stdin) = stdin {
        while let Some(piece) = stdin.next().await {
            if !input.stdin(piece).await {
                break;
            }
        }
        input.close_stdin().await;
    }
    std::future::pending::<()>().await;
}
