//! Programs that stay when we leave: started with `--detach`, and come to with `--attach` and `--stop`.

use std::time::Duration;

use cmdop_client::exec::{self, Command, Event, Finished, Output};
use cmdop_client::{Connection, Error};
use cmdop_proto::Refusal;
use cmdop_proto::text::shown;
use serde::Serialize;
use tokio::time::Instant;

use super::one;
use super::result::{Kept, Report, outcome};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::stdout::Stdout;

/// An agent that has not started the program by then will not.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What `--detach --json` prints.
#[derive(Debug, Serialize)]
struct Started<'a> {
    run_id: &'a str,
    target: &'a str,
    pid: u32,
}

/// Starts a program and prints its run's id.
pub(super) async fn start(
    context: &Context,
    connection: &Connection,
    command: Command,
) -> Result<u8, Failure> {
    let machine = shown(&command.machine, 253);
    let started = async {
        let (_, mut output) = exec::run(connection, command).await?;
        // What cannot be run says so on stderr and ends, as in a shell.
        let mut stderr = Vec::new();
        loop {
            match output.next().await? {
                Some(Event::Started { pid }) => return Ok((output, Ok(pid))),
                Some(Event::Finished(finished)) => return Ok((output, Err((finished, stderr)))),
                Some(Event::Stderr(data)) => stderr.extend_from_slice(&data),
                Some(Event::Stdout(_)) => {}
                None => return Err(Error::Lost("the run ended without a result".into())),
            }
        }
    };
    let (run, started) = tokio::time::timeout(START_TIMEOUT, started)
        .await
        .map_err(|_| Failure::timeout(format!("{machine} did not start the program in time")))??;
    context.warn_of_clock(connection);
    match started {
        Ok(pid) if context.globals.json => output::json(&Started {
            run_id: run.run_id(),
            target: &machine,
            pid,
        })?,
        Ok(_) => output::print(&format!("{}\n", shown(run.run_id(), 64)))?,
        Err((finished, stderr)) => {
            write(&Stdout::open_stderr()?, &stderr).await?;
            return Ok(finished.exit_code);
        }
    }
    Ok(0)
}

async fn write(stream: &Stdout, mut data: &[u8]) -> std::io::Result<()> {
    while !data.is_empty() {
        let written = stream.write(data).await?;
        data = &data[written..];
    }
    Ok(())
}

/// Prints all that a run has written and will write; its exit code is ours.
pub(super) async fn attach(
    context: &Context,
    connection: &Connection,
    run: &str,
) -> Result<u8, Failure> {
    let output = exec::attach(connection, run).await?;
    context.warn_of_clock(connection);
    if context.globals.json {
        return report(context, run, output).await;
    }
    one::follow(context, output).await
}

/// Ends a run; returns when it has ended.
pub(super) async fn stop(
    context: &Context,
    connection: &Connection,
    run: &str,
) -> Result<u8, Failure> {
    let mut output = exec::end(connection, run).await?;
    context.warn_of_clock(connection);
    while let Some(event) = output.next().await? {
        if let Event::Finished(_) = event {
            break;
        }
    }
    Ok(0)
}

/// One line of JSON when the run has ended, as of a target of a run on many.
async fn report(context: &Context, run: &str, mut output: Output) -> Result<u8, Failure> {
    let begun = Instant::now();
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let end = async {
        loop {
            match output.next().await? {
                Some(Event::Stdout(data)) => stdout.push(&data),
                Some(Event::Stderr(data)) => stderr.push(&data),
                Some(Event::Finished(finished)) => return Ok(finished),
                Some(Event::Started { .. }) => {}
                None => return Err(Error::Lost("the run ended without a result".into())),
            }
        }
    };
    let end = match context.globals.timeout {
        None => end.await,
        Some(after) => tokio::time::timeout(after, end).await.unwrap_or_else(|_| {
            let what = "waiting for the end of the run".to_owned();
            Err(Error::Timeout { what, after })
        }),
    };
    let code = match &end {
        Ok(finished) => {
            check(context, finished)?;
            finished.exit_code
        }
        Err(error) => error.exit_code(),
    };
    let report = Report {
        target: run.to_owned(),
        outcome: outcome(&end),
        end: end.map_err(|error| error.refusal()),
        took: begun.elapsed(),
        stdout,
        stderr,
    };
    output::print(&report.json())?;
    Ok(code)
}

/// What of a detached run's end is not its program's doing.
pub(super) fn check(context: &Context, finished: &Finished) -> Result<(), Failure> {
    for (stream, lost) in [
        ("stdout", finished.stdout_lost),
        ("stderr", finished.stderr_lost),
    ] {
        if lost > 0 {
            context.warn(&format!(
                "the program wrote more to {stream} than is kept of a run: the last {lost} bytes are missing"
            ));
        }
    }
    if finished.lost {
        let why = "the agent was restarted while the program ran, and ended it";
        return Err(Refusal::unavailable("run-lost", why)
            .hint("what it had written until then was printed; start it again")
            .into());
    }
    if finished.timed_out {
        return Err(Failure::timeout(
            "the program took longer than its --timeout and was ended",
        ));
    }
    Ok(())
}
