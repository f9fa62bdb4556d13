//! `cmdop sessions history`: the sessions that there were, and what became of one.

use std::time::Duration;

use clap::ValueEnum;
use cmdop_client::Connection;
use cmdop_client::catalogue::{self, Filter};
use cmdop_client::clock::now_ms;
use cmdop_proto::text::shown;
use cmdop_proto::v1::{self, SessionStatus, SessionStep};
use cmdop_proto::{Refusal, SessionId};
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output;
use super::super::table::Table;
use super::super::values::{ago, rfc3339, rough};
use super::{Record, command, exit, fields, status, status_word};

/// Where a session is looked for that is not named by its whole id.
const NEWEST: usize = 500;

/// A shorter beginning of an id could be a name.
const SHORTEST_PREFIX: usize = 4;

/// List the sessions that there were, the newest first, or show what became of one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop sessions history --machine web-1 --since 7d\n  \
                  cmdop sessions history --status disconnected --limit 1000 --json\n  \
                  cmdop sessions history 0190a3f2"
)]
pub(super) struct Args {
    /// Show the steps of this one: its id, or the beginning of it or the name among the newest 500
    session: Option<String>,
    /// Only those on this machine, by its name or id
    #[arg(long)]
    machine: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those that this account made
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
    /// Only those that were made in this time, for example 7d
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only those that were made before this time
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    until: Option<Duration>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// A state, as people type it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Pending,
    Connected,
    Background,
    #[value(name = "grace_period", alias = "grace-period")]
    GracePeriod,
    /// It has ended
    #[value(alias = "ended")]
    Disconnected,
}

impl From<Status> for SessionStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Connected => Self::Connected,
            Status::Background => Self::Background,
            Status::GracePeriod => Self::GracePeriod,
            Status::Disconnected => Self::Disconnected,
        }
    }
}

impl Args {
    fn filter(&self) -> Filter {
        let ago = |age: Option<Duration>| {
            age.map_or(0, |age| now_ms().saturating_sub(age.as_millis() as u64))
        };
        Filter {
            machine: self.machine.clone().unwrap_or_default(),
            status: self.status.map(SessionStatus::from).unwrap_or_default(),
            created_by: self.created_by.clone().unwrap_or_default(),
            since_ms: ago(self.since),
            until_ms: ago(self.until),
        }
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let filter = args.filter();
    if let Some(session) = &args.session {
        return show(context, &connection, session, &filter).await;
    }
    let found = catalogue::list(&connection, &filter, args.limit as usize).await?;
    let records: Vec<_> = found.sessions.iter().map(Record::of).collect();
    output::listing(context.format(), &records, &table(&found.sessions))?;
    if found.has_more {
        context.progress("there are more: see --limit, --since and --until");
    }
    Ok(0)
}

async fn show(
    context: &Context,
    connection: &Connection,
    session: &str,
    filter: &Filter,
) -> Result<u8, Failure> {
    let id = match session.parse::<SessionId>() {
        Ok(id) => id.to_string(),
        Err(_) => find(connection, session, filter).await?,
    };
    let told = catalogue::get(connection, &id).await?;
    let session = told.session.unwrap_or_default();
    let record = Told {
        session: Record::of(&session),
        steps: told.history.iter().map(Step::of).collect(),
    };
    output::record(context.format(), &record, &life(&session, &told.history))?;
    Ok(0)
}

/// The id of the one session that is called so.
async fn find(connection: &Connection, session: &str, filter: &Filter) -> Result<String, Failure> {
    let found = catalogue::list(connection, filter, NEWEST).await?;
    let name = shown(session, 64);
    match called(&found.sessions, session)[..] {
        [one] => Ok(one.id.clone()),
        [] => Err(Refusal::not_found(
            "session-unknown",
            format!("none of the newest {NEWEST} sessions is called {name}"),
        )
        .hint("narrow with --machine, --since and --until, or give its whole id")
        .into()),
        _ => Err(Refusal::invalid(
            "session-ambiguous",
            format!("several sessions are called {name}"),
        )
        .hint("`cmdop sessions history` lists their ids: give more of one")
        .into()),
    }
}

/// Those with this name, or whose id begins so.
fn called<'a>(sessions: &'a [v1::Session], word: &str) -> Vec<&'a v1::Session> {
    let is_prefix = word.len() >= SHORTEST_PREFIX;
    let matches = |session: &&v1::Session| {
        (!word.is_empty() && session.name == word)
            || (is_prefix && session.id.starts_with(&word.to_lowercase()))
    };
    sessions.iter().filter(matches).collect()
}

/// What `--json` prints of one.
#[derive(Debug, Serialize)]
struct Told {
    session: Record,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    at: Option<String>,
    status: &'static str,
    name: String,
    reason: String,
    relay_id: String,
}

impl Step {
    fn of(step: &SessionStep) -> Self {
        Self {
            at: rfc3339(step.at_ms),
            status: status_word(step.status()),
            name: step.name.clone(),
            reason: step.reason.clone(),
            relay_id: step.relay_id.clone(),
        }
    }
}

fn table(sessions: &[v1::Session]) -> Table {
    let mut table = Table::new(&[
        "ID", "NAME", "MACHINE", "STATUS", "BY", "AGE", "LASTED", "EXIT", "COMMAND",
    ]);
    for session in sessions {
        table.row([
            session.id.clone(),
            session.name.clone(),
            session.machine_name.clone(),
            status(session).into(),
            session.created_by.clone(),
            ago(session.created_at_ms),
            lasted(session),
            exit(session),
            shown(&command(session), 60),
        ]);
    }
    table
}

/// From its making to its end; empty while it lives.
fn lasted(session: &v1::Session) -> String {
    if session.ended_at_ms == 0 {
        return String::new();
    }
    let ms = session.ended_at_ms.saturating_sub(session.created_at_ms);
    rough(Duration::from_millis(ms))
}

/// The record, and its steps below it.
fn life(session: &v1::Session, steps: &[SessionStep]) -> Table {
    let mut table = fields(session);
    for step in steps {
        let mut line = status_word(step.status()).to_owned();
        for more in [&step.name, &step.reason] {
            if !more.is_empty() {
                line = format!("{line}  {more}");
            }
        }
        table.row([rfc3339(step.at_ms).unwrap_or_default(), line]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, name: &str) -> v1::Session {
        v1::Session {
            id: id.into(),
            name: name.into(),
            created_at_ms: 1_763_800_000_000,
            ..v1::Session::default()
        }
    }

    #[test]
    fn a_session_is_found_by_its_name_or_the_beginning_of_its_id() {
        let sessions = [
            session("01900000-0000-7000-8000-000000000001", "build"),
            session("01900000-0000-7000-8000-000000000002", "build"),
            session("0191aaaa-0000-7000-8000-000000000003", "0190"),
        ];
        let count = |word| called(&sessions, word).len();
        assert_eq!(count("build"), 2);
        assert_eq!(count("0191AAAA"), 1);
        assert_eq!(count("019"), 0, "too short to be an id's beginning");
        assert_eq!(count("0190"), 3, "a name, and the beginning of two ids");
        assert_eq!(count(""), 0);
    }

    #[test]
    fn the_json_of_a_life_keeps_its_shape() {
        let steps = [SessionStep {
            at_ms: 1_763_800_001_000,
            status: SessionStatus::Disconnected.into(),
            name: "build".into(),
            reason: "the program ended".into(),
            relay_id: "01900000-0000-7000-8000-00000000000a".into(),
        }];
        let steps: Vec<_> = steps.iter().map(Step::of).collect();
        insta::assert_snapshot!(serde_json::to_string_pretty(&steps).unwrap());
    }

    #[test]
    fn how_long_a_session_lasted_is_told_when_it_is_over() {
        let mut session = session("0190", "");
        assert_eq!(lasted(&session), "");
        session.ended_at_ms = session.created_at_ms + 90_000;
        assert_eq!(lasted(&session), "90s");
    }
}
