//! `cmdop sessions`: which sessions there are and were, and their records.

mod history;

use clap::Subcommand;
use cmdop_client::sessions::{self, Filter};
use cmdop_proto::text::shown;
use cmdop_proto::v1::{self, SessionStatus};
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::keyboard;
use super::output;
use super::table::Table;
use super::values::{ago, rfc3339, signal_name, size_policy};

/// List sessions, and manage them
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  cmdop sessions --machine web-1"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(ListArgs),
    Show(ShowArgs),
    Rename(RenameArgs),
    Close(CloseArgs),
    History(history::Args),
}

/// List sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop sessions ls --all --json")]
struct ListArgs {
    /// Only those on this machine
    #[arg(long)]
    machine: Option<String>,
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
}

/// Show all that is known of one session
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop sessions show build")]
struct ShowArgs {
    /// Its id, a unique prefix of it, or its name
    session: String,
}

/// Give a session a name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop sessions rename 0190a3 build")]
struct RenameArgs {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Its new name, unique among the live sessions; empty takes it away
    name: String,
}

/// End sessions: HUP to their processes, KILL after 5 s
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop sessions close build")]
struct CloseArgs {
    /// Ids, unique prefixes, or names
    #[arg(required = true)]
    sessions: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.action {
        None => list(context, args.list).await,
        Some(Action::Ls(args)) => list(context, args).await,
        Some(Action::Show(args)) => {
            let session = sessions::get(&context.connection()?, &args.session).await?;
            print(context, &session)
        }
        Some(Action::Rename(args)) => {
            let session =
                sessions::rename(&context.connection()?, &args.session, &args.name).await?;
            print(context, &session)
        }
        Some(Action::Close(args)) => close(context, args).await,
        Some(Action::History(args)) => history::run(context, args).await,
    }
}

async fn list(context: &Context, args: ListArgs) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let filter = Filter {
        machine: args.machine.unwrap_or_default(),
        include_ended: args.all,
    };
    let mut sessions = sessions::list(&connection, &filter).await?;
    context.warn_of_clock(&connection);
    sessions.sort_by(|a, b| (a.created_at_ms, &a.id).cmp(&(b.created_at_ms, &b.id)));
    let records: Vec<_> = sessions.iter().map(Record::of).collect();
    output::listing(context.format(), &records, &table(&sessions))?;
    Ok(0)
}

async fn close(context: &Context, args: CloseArgs) -> Result<u8, Failure> {
    let connection = context.connection()?;
    for session in &args.sessions {
        let closed = sessions::close(&connection, session).await?;
        context.progress(&format!("closed {}", title(&closed)));
    }
    Ok(0)
}

fn print(context: &Context, session: &v1::Session) -> Result<u8, Failure> {
    output::record(context.format(), &Record::of(session), &fields(session))?;
    Ok(0)
}

/// What people call a session: its name, else the start of its id; stripped.
pub(super) fn title(session: &v1::Session) -> String {
    if session.name.is_empty() {
        shown(session.id.get(..8).unwrap_or(&session.id), 8)
    } else {
        shown(&session.name, 64)
    }
}

/// A session as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    id: String,
    name: String,
    status: &'static str,
    machine_id: String,
    machine_name: String,
    command: Vec<String>,
    rows: Option<u32>,
    cols: Option<u32>,
    size_policy: &'static str,
    keyboard_mode: &'static str,
    keyboard_holder: Option<String>,
    created_at: Option<String>,
    connected_at: Option<String>,
    last_heartbeat_at: Option<String>,
    grace_period_started_at: Option<String>,
    ended_at: Option<String>,
    exit_code: Option<u32>,
    exit_signal: Option<u32>,
    reason: String,
    operator_count: u32,
    observer_count: u32,
    end_offset: u64,
    grace_ms: Option<u64>,
    created_by: String,
}

impl Record {
    pub(super) fn of(session: &v1::Session) -> Self {
        let outcome = session.exit.and_then(|exit| exit.outcome);
        let grace = session.grace.and_then(|grace| grace.limit);
        let keyboard = session.keyboard.as_ref();
        Self {
            id: session.id.clone(),
            name: session.name.clone(),
            status: status(session),
            machine_id: session.machine_id.clone(),
            machine_name: session.machine_name.clone(),
            command: session.command.clone(),
            rows: session.size.map(|size| size.rows),
            cols: session.size.map(|size| size.cols),
            size_policy: size_policy(session.size_policy()),
            keyboard_mode: keyboard.map_or("free", keyboard::mode),
            keyboard_holder: keyboard
                .and_then(|keyboard| keyboard.holder.as_ref())
                .map(|holder| holder.account_name.clone()),
            created_at: rfc3339(session.created_at_ms),
            connected_at: rfc3339(session.connected_at_ms),
            last_heartbeat_at: rfc3339(session.last_heartbeat_at_ms),
            grace_period_started_at: rfc3339(session.grace_period_started_at_ms),
            ended_at: rfc3339(session.ended_at_ms),
            exit_code: match outcome {
                Some(v1::exit::Outcome::Code(code)) => Some(code),
                _ => None,
            },
            exit_signal: match outcome {
                Some(v1::exit::Outcome::Signal(signal)) => Some(signal),
                _ => None,
            },
            reason: session.reason.clone(),
            operator_count: session.operator_count,
            observer_count: session.observer_count,
            end_offset: session.end_offset,
            grace_ms: match grace {
                Some(v1::grace::Limit::DurationMs(ms)) => Some(ms),
                _ => None,
            },
            created_by: session.created_by.clone(),
        }
    }
}

fn status(session: &v1::Session) -> &'static str {
    status_word(session.status())
}

fn status_word(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Pending => "pending",
        SessionStatus::Connected => "connected",
        SessionStatus::Background => "background",
        SessionStatus::GracePeriod => "grace_period",
        SessionStatus::Disconnected => "disconnected",
        SessionStatus::Unspecified => "unknown",
    }
}

/// How a session ended, in a word; empty while it lives.
pub(super) fn exit(session: &v1::Session) -> String {
    match session.exit.and_then(|exit| exit.outcome) {
        Some(v1::exit::Outcome::Code(code)) => format!("exit {code}"),
        Some(v1::exit::Outcome::Signal(signal)) => signal_name(signal),
        None => String::new(),
    }
}

fn command(session: &v1::Session) -> String {
    if session.command.is_empty() {
        "(shell)".into()
    } else {
        session.command.join(" ")
    }
}

fn table(sessions: &[v1::Session]) -> Table {
    let mut table = Table::new(&[
        "ID", "NAME", "MACHINE", "STATUS", "SIZE", "CLIENTS", "AGE", "EXIT", "COMMAND",
    ]);
    for session in sessions {
        table.row([
            session.id.clone(),
            session.name.clone(),
            session.machine_name.clone(),
            status(session).into(),
            session
                .size
                .map(|s| format!("{}x{}", s.cols, s.rows))
                .unwrap_or_default(),
            (session.operator_count + session.observer_count).to_string(),
            ago(session.created_at_ms),
            exit(session),
            shown(&command(session), 60),
        ]);
    }
    table
}

fn fields(session: &v1::Session) -> Table {
    let mut table = Table::new(&["FIELD", "VALUE"]);
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("id", session.id.clone());
    field("name", session.name.clone());
    field("machine", session.machine_name.clone());
    field("status", status(session).into());
    field("command", command(session));
    field(
        "size",
        session
            .size
            .map(|s| format!("{}x{}", s.cols, s.rows))
            .unwrap_or_default(),
    );
    field("size policy", size_policy(session.size_policy()).into());
    let keyboard = session.keyboard.as_ref();
    field(
        "keyboard",
        keyboard.map_or_else(|| "free".into(), keyboard::summary),
    );
    field("operators", session.operator_count.to_string());
    field("observers", session.observer_count.to_string());
    field(
        "created",
        rfc3339(session.created_at_ms).unwrap_or_default(),
    );
    field("created by", session.created_by.clone());
    field("ended", rfc3339(session.ended_at_ms).unwrap_or_default());
    field("exit", exit(session));
    field("reason", session.reason.clone());
    field("output", format!("{} bytes", session.end_offset));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_session_keeps_its_shape() {
        let session = v1::Session {
            id: "01900000-0000-7000-8000-000000000000".into(),
            name: "build".into(),
            machine_name: "web-1".into(),
            status: SessionStatus::Disconnected.into(),
            command: vec!["make".into(), "all".into()],
            size: Some(cmdop_proto::Size::DEFAULT.into()),
            created_at_ms: 1_763_800_000_000,
            ended_at_ms: 1_763_800_001_000,
            exit: Some(v1::Exit {
                outcome: Some(v1::exit::Outcome::Code(2)),
            }),
            ..v1::Session::default()
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&Record::of(&session)).unwrap());
        assert_eq!(title(&session), "build");
        assert_eq!(exit(&session), "exit 2");
    }
}
