//! `cmdop events`: what happens in the workspace, as it happens.

use cmdop_client::events::{Event, Follow, MOST};
use cmdop_proto::text::shown;
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::pair;

/// Show what happens: machines, sessions, files, copies, and the audit log for those who may read it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop events --follow\n  cmdop events -n 200 --json")]
pub(super) struct Args {
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    /// The newest this many of what happened, at most 2048 [default: 20]
    #[arg(short = 'n', long, default_value_t = 20, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST)))]
    lines: u32,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let mut events = Follow::start(&connection, args.lines).await?;
    context.warn_of_clock(&connection);
    if !events.hears_audit() && context.globals.verbose > 0 {
        context.progress("without the audit log: an admin may read it");
    }
    let past: Vec<_> = std::iter::from_fn(|| events.ready()).collect();
    if !args.follow {
        let told: Vec<_> = past
            .iter()
            .filter_map(|event| match event {
                Event::Told(told) => Some(told),
                Event::Missed(_) => None,
            })
            .collect();
        output::listing(context.format(), &told, &table(&told))?;
        return Ok(0);
    }
    for event in past {
        line(context, &event)?;
    }
    loop {
        line(context, &events.next().await?)?;
    }
}

/// One event as it comes: JSON on one line, or cells between tabs.
fn line(context: &Context, event: &Event) -> Result<(), Failure> {
    let told = match event {
        Event::Told(told) => told,
        Event::Missed(channel) => {
            context.warn(&format!("more happened on {channel} than is kept"));
            return Ok(());
        }
    };
    if context.globals.json {
        return output::print(&format!("{}\n", output::escaped(&told.to_string())));
    }
    output::print(&table(&[told]).tsv(false))
}

fn table(events: &[&Value]) -> Table {
    let mut table = Table::new(&["TIME", "TYPE", "EVENT", "SUBJECT", "WHO", "DETAIL"]);
    for told in events {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        table.row([
            text(&told["at"]),
            text(&told["type"]),
            event(told),
            subject(told),
            who(told),
            detail(told),
        ]);
    }
    table
}

/// What happened, in a word.
fn event(told: &Value) -> String {
    let session = &told["session"];
    match told["change"].as_str() {
        // The new state says more than that there is one.
        Some("status") => words(&[&session["status"]]),
        Some(change) => shown(change, 64),
        None => words(&[&told["presence"], &told["action"]]),
    }
}

/// What it happened to.
fn subject(told: &Value) -> String {
    let session = &told["session"];
    if session.is_object() {
        return words(&[&session["id"], &session["name"], &session["machine_name"]]);
    }
    words(&[&told["machine_name"], &told["target"]])
}

fn who(told: &Value) -> String {
    if told["session"].is_object() {
        return words(&[&told["session"]["created_by"]]);
    }
    words(&[&told["actor_kind"], &told["actor_name"]])
}

fn detail(told: &Value) -> String {
    let session = &told["session"];
    let mut parts = vec![words(&[
        &told["outcome"],
        &told["reason"],
        &session["reason"],
    ])];
    for (name, value) in [
        ("exit", &session["exit_code"]),
        ("signal", &session["exit_signal"]),
        ("from", &told["from"]),
    ] {
        if !value.is_null() {
            parts.push(pair(name, &plain(value)));
        }
    }
    let details = told["detail"].as_object().into_iter().flatten();
    parts.extend(details.map(|(key, value)| pair(key, &plain(value))));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// Those of the texts that there are.
fn words(values: &[&Value]) -> String {
    let texts = values.iter().filter_map(|value| value.as_str());
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    texts.join(" ")
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_event_is_one_line_that_says_what_happened_to_what() {
        let events = [
            json!({"type": "session", "change": "created", "at": "T", "session":
                {"id": "0190", "name": "build", "machine_name": "web-1", "created_by": "ada",
                 "status": "pending", "exit_code": null}}),
            json!({"type": "session", "change": "status", "at": "T", "session":
                {"id": "0190", "machine_name": "web-1", "status": "connected"}}),
            json!({"type": "session", "change": "ended", "at": "T", "session":
                {"id": "0190", "machine_name": "web-1", "status": "disconnected", "exit_code": 3,
                 "reason": "the program\tended"}}),
            json!({"type": "presence", "presence": "offline", "at": "T", "machine_name": "web-1",
                "reason": "it was closed"}),
            json!({"type": "machine", "change": "renamed", "at": "T", "machine_name": "b", "from": "a"}),
            json!({"type": "audit", "action": "login", "at": "T", "actor_kind": "account",
                "actor_name": "ada", "target": "x", "outcome": "allowed", "detail": {"method": "device"}}),
            json!({"type": "file", "action": "file-written", "at": "T", "actor_kind": "account",
                "actor_name": "ada", "outcome": "allowed", "detail": {"bytes": "7"}}),
            json!({"type": "transfer", "action": "transfer-progress", "at": "T", "machine_name": "web-1",
                "actor_kind": "account", "actor_name": "ada", "outcome": "allowed",
                "detail": {"bytes": "7", "direction": "to"}}),
        ];
        let lines = table(&events.iter().collect::<Vec<_>>()).tsv(false);
        let expected = "\
T\tsession\tcreated\t0190 build web-1\tada\t
T\tsession\tconnected\t0190 web-1\t\t
T\tsession\tended\t0190 web-1\t\tthe programended exit=3
T\tpresence\toffline\tweb-1\t\tit was closed
T\tmachine\trenamed\tb\t\tfrom=a
T\taudit\tlogin\tx\taccount ada\tallowed method=device
T\tfile\tfile-written\t\taccount ada\tallowed bytes=7
T\ttransfer\ttransfer-progress\tweb-1\taccount ada\tallowed bytes=7 direction=to
";
        assert_eq!(lines, expected);
    }
}
