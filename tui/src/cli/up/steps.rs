//! The steps of `up`, in order; each does nothing where its result is there already.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_client::attach::{self, Event, Options};
use cmdop_client::follow::Change;
use cmdop_client::{Connection, machines, sessions};
use cmdop_proto::v1::{self, Presence};
use cmdop_proto::{RunId, Size};
use cmdop_service::private_file;

use super::local;
use super::place::{Place, Program, Running, State};
use super::process::{self, Background};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// An agent that is linked is seen by the relay at once; longer than this something is wrong.
const ONLINE_TIMEOUT: Duration = Duration::from_secs(20);

/// A session that only says that it works.
const SESSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Starts what does not run, logs in, and proves that a session can be opened.
pub(super) async fn up(context: &Context, place: &Place) -> Result<Connection, Failure> {
    let _lock = place.lock_patiently().await?;
    let mut state = State::load(place)?;
    let mut fresh = control(context, place, &mut state).await?;
    let (connection, _) = local::log_in(context, place, &mut state).await?;
    fresh |= relay(context, place, &mut state).await?;
    let connection = local::refresh_relays(context, &connection).await?;
    fresh |= agent(context, place, &mut state, &connection).await?;
    supervisor(context, place, &mut state).await?;
    if fresh {
        context.progress("checking that a session can be opened");
        let machine = online(place, &connection).await?;
        prove(&connection, &machine).await?;
    }
    Ok(connection)
}

async fn control(context: &Context, place: &Place, state: &mut State) -> Result<bool, Failure> {
    if is_up(state, Program::Control) {
        return Ok(false);
    }
    start(context, place, state, Program::Control, &[]).await
}

async fn relay(context: &Context, place: &Place, state: &mut State) -> Result<bool, Failure> {
    if is_up(state, Program::Relay) {
        return Ok(false);
    }
    let mut enrolment = Vec::new();
    let token_file = place.relay_token();
    let enrolled = place
        .data_dir(Program::Relay)
        .join("identity.json")
        .exists();
    if !enrolled {
        let token = admin(place, &["relay-token", "--lifetime", "1h"]).await?;
        private_file::write(&token_file, token.as_bytes())
            .map_err(|error| Failure::usage(error.to_string()))?;
        enrolment.push("--enroll-token-file".to_owned());
        enrolment.push(token_file.to_string_lossy().into_owned());
    }
    let started = start(context, place, state, Program::Relay, &enrolment).await;
    // Used or not, it must not lie about.
    let _ = std::fs::remove_file(&token_file);
    started
}

async fn agent(
    context: &Context,
    place: &Place,
    state: &mut State,
    connection: &Connection,
) -> Result<bool, Failure> {
    if is_up(state, Program::Agent) {
        return Ok(false);
    }
    let data_dir = place.data_dir(Program::Agent);
    if !data_dir.join("identity.toml").exists() {
        context.progress("enrolling this machine");
        let token = machines::create_enroll_token(
            connection,
            Duration::from_secs(600),
            std::collections::HashMap::new(),
        )
        .await?;
        let url = local::control_url(state);
        let directory = data_dir.to_string_lossy();
        let args = ["enroll", "--control", &url, "--data-dir", &directory];
        // In the environment, where other users of this machine do not see it.
        let secret = ("CMDOP_ENROLL_TOKEN", token.token.as_str());
        process::run(&sibling(Program::Agent)?, &args, Some(secret)).await?;
    }
    start(context, place, state, Program::Agent, &[]).await
}

/// What a program is started with, once it is enrolled.
fn arguments(place: &Place, state: &State, program: Program) -> Vec<String> {
    let mut args = Vec::new();
    match program {
        Program::Control => {
            args.push("serve".to_owned());
            args.extend(listen(state, program));
        }
        Program::Relay => {
            args.push("serve".to_owned());
            args.extend(listen(state, program));
            args.extend(["--control".to_owned(), local::control_url(state)]);
        }
        Program::Agent => args.push("run".to_owned()),
    }
    args.push("--data-dir".to_owned());
    args.push(place.data_dir(program).to_string_lossy().into_owned());
    args
}

async fn start(
    context: &Context,
    place: &Place,
    state: &mut State,
    program: Program,
    more: &[String],
) -> Result<bool, Failure> {
    context.progress(&format!("starting {}", program.name()));
    let running = launch(place, state, program, more).await?;
    state.put(program, running);
    state.save(place)?;
    Ok(true)
}

/// Starts a program on the address that it had, and waits until it says that it is ready.
pub(super) async fn launch(
    place: &Place,
    state: &State,
    program: Program,
    more: &[String],
) -> Result<Running, Failure> {
    let mut args = arguments(place, state, program);
    args.extend_from_slice(more);
    let log = place.log(program);
    let background = Background {
        binary: &sibling(program)?,
        args,
        log: &log,
        directory: place.base(),
    };
    let (mut running, line) = background.start().await?;
    match program {
        Program::Agent => {
            if !line.starts_with("linked ") {
                return Err(background.failed(&format!("cmdopd said `{line}` instead of `linked`")));
            }
        }
        Program::Control | Program::Relay => {
            if line.parse::<std::net::SocketAddr>().is_err() {
                let name = program.name();
                return Err(
                    background.failed(&format!("{name} said `{line}` instead of its address"))
                );
            }
            running.address = line;
        }
    }
    Ok(running)
}

/// Starts what starts the others again when they die.
async fn supervisor(context: &Context, place: &Place, state: &mut State) -> Result<(), Failure> {
    if state.supervisor.as_ref().is_some_and(process::is_running) {
        return Ok(());
    }
    context.progress("starting the supervisor");
    let own = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot tell where cmdop is: {error}")))?;
    let log = place.supervisor_log();
    let background = Background {
        binary: &own,
        args: vec![
            "__supervise".to_owned(),
            "--data-dir".to_owned(),
            place.base().to_string_lossy().into_owned(),
        ],
        log: &log,
        directory: place.base(),
    };
    let (running, _) = background.start().await?;
    state.supervisor = Some(running);
    state.save(place)
}

fn is_up(state: &State, program: Program) -> bool {
    state.get(program).is_some_and(process::is_running)
}

/// A free port the first time, and the same one from then on: profiles and agents remember it.
fn listen(state: &State, program: Program) -> [String; 2] {
    let address = state
        .get(program)
        .map(|running: &Running| running.address.clone());
    let address = address.filter(|address| !address.is_empty());
    [
        "--listen".to_owned(),
        address.unwrap_or_else(|| "127.0.0.1:0".to_owned()),
    ]
}

/// A program that was installed beside this one.
pub(super) fn sibling(program: Program) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot tell where cmdop is: {error}")))?;
    let path = own.with_file_name(program.name());
    if path.exists() {
        return Ok(path);
    }
    let name = program.name();
    Err(Failure::unavailable(
        "unreachable",
        format!("{name} is not installed beside cmdop ({})", path.display()),
    )
    .hint("put all programs into one directory; `cargo build` makes them all"))
}

/// Runs `cmdop-control admin` on the control plane's database.
pub(super) async fn admin(place: &Place, args: &[&str]) -> Result<String, Failure> {
    let data_dir = place.data_dir(Program::Control);
    let data_dir = data_dir.to_string_lossy();
    let mut all = vec!["admin", "--data-dir", &data_dir];
    all.extend_from_slice(args);
    process::run(&sibling(Program::Control)?, &all, None).await
}

/// Waits until the relay has this machine online, and returns its id.
async fn online(place: &Place, connection: &Connection) -> Result<String, Failure> {
    #[derive(serde::Deserialize)]
    struct Status {
        machine_id: String,
    }
    let data_dir = place.data_dir(Program::Agent);
    let args = ["status", "--data-dir", &data_dir.to_string_lossy()];
    let status = process::run(&sibling(Program::Agent)?, &args, None).await?;
    let status: Status = serde_json::from_str(&status)
        .map_err(|error| Failure::internal(format!("cmdopd's status is not readable: {error}")))?;
    let mut changes = machines::watch(connection);
    let seen = async {
        while let Some(change) = changes.next().await {
            match change {
                Change::Changed(machine)
                    if machine.id == status.machine_id
                        && machine.presence() == Presence::Online =>
                {
                    return Ok(());
                }
                Change::Failed(error) => return Err(Failure::from(error)),
                _ => {}
            }
        }
        Err(Failure::unavailable(
            "unreachable",
            "the relay does not tell of its machines",
        ))
    };
    tokio::time::timeout(ONLINE_TIMEOUT, seen)
        .await
        .map_err(|_| {
            Failure::unavailable(
                "machine-offline",
                "this machine's agent runs, but the relay does not see it",
            )
            .hint(format!("look into {}", place.log(Program::Agent).display()))
        })??;
    Ok(status.machine_id)
}

/// Opens a session that waits for a line, types one, sees its end, and so has used every part once.
async fn prove(connection: &Connection, machine: &str) -> Result<(), Failure> {
    let request = v1::CreateSessionRequest {
        request_id: RunId::new().to_string(),
        machine: machine.to_owned(),
        command: vec!["/bin/sh".into(), "-c".into(), "read line".into()],
        size: Some(Size::DEFAULT.into()),
        ..v1::CreateSessionRequest::default()
    };
    let proof = async {
        let session = sessions::create(connection, request).await?;
        let options = Options::operator(&session.id, None);
        let mut attachment = attach::open(connection, options).await?;
        attachment
            .keys()
            .input(bytes::Bytes::from_static(b"\n"))
            .await;
        while let Some(event) = attachment.next().await {
            match event {
                Event::Ended(session) => return Ok(Some(session)),
                Event::Failed(error) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    };
    let ended = tokio::time::timeout(SESSION_TIMEOUT, proof)
        .await
        .map_err(|_| {
            Failure::timeout("a first session was opened, but did not end by itself in 20 s")
                .hint("look into the logs; `cmdop status` says where they are")
        })??;
    let outcome = ended
        .and_then(|session| session.exit)
        .and_then(|exit| exit.outcome);
    match outcome {
        Some(v1::exit::Outcome::Code(0)) => Ok(()),
        other => Err(Failure::unavailable(
            "unreachable",
            format!("a first session ended in another way than it should: {other:?}"),
        )
        .hint("look into the logs; `cmdop status` says where they are")),
    }
}
