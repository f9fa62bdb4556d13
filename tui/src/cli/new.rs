//! `cmdop new`: a new session on a machine, and straight into it.

use std::io::IsTerminal as _;

use cmdop_client::{Connection, machines, sessions};
use cmdop_proto::text::{is_name, shown};
use cmdop_proto::{Refusal, Size, v1};

use super::attach::{self, Keystroke};
use super::context::Context;
use super::failure::Failure;
use super::output;
use super::values::{SizePolicy, grace, key_value, map};

/// Start a session on a machine, and attach to it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop new web-1 --name build -- make test")]
pub(super) struct Args {
    /// The machine's name or id [default: the only one, or this computer]
    machine: Option<String>,
    /// A name for the session, unique among the live ones
    #[arg(long)]
    name: Option<String>,
    /// The directory to start in [default: the home of the agent's user]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable to set; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// How long it outlives its agent's connection: a time or `forever` [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = grace)]
    grace: Option<v1::Grace>,
    /// Whose terminal decides the size of the session's
    #[arg(long, value_enum, default_value = "latest")]
    size_policy: SizePolicy,
    /// Do not attach; print the session's id
    #[arg(short, long)]
    detach: bool,
    /// What detaches, after which `d` follows
    #[arg(long, default_value = "^]", value_name = "KEY")]
    escape: Keystroke,
    /// The program and its arguments [default: the login shell]
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    if let Some(name) = args.name.as_deref().filter(|name| !is_name(name)) {
        let name = shown(name, 64);
        return Err(Failure::usage(format!("`{name}` cannot name a session"))
            .hint("use letters, digits, `-`, `_` and `.`, at most 64"));
    }
    let connection = context.connection()?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let attached = !args.detach && terminal && !context.globals.json;
    let size = attach::terminal_size();
    let request = v1::CreateSessionRequest {
        request_id: cmdop_proto::RunId::new().to_string(),
        machine: machine(&connection, args.machine).await?,
        name: args.name.unwrap_or_default(),
        command: args.command,
        beside: String::new(),
        cwd: args.cwd.unwrap_or_default(),
        env: map(&args.env),
        size: Some(size.unwrap_or(Size::DEFAULT).into()),
        grace: args.grace,
        wait_for_agent: false,
        size_policy: v1::SizePolicy::from(args.size_policy).into(),
    };
    let session = sessions::create(&connection, request).await?;
    context.warn_of_clock(&connection);
    if attached {
        let view = attach::View::of_new(&session.id, args.escape, attach::AtEnd::Detach);
        return attach::attach(context, &connection, view).await;
    }
    if context.globals.json {
        output::json(&super::sessions::Record::of(&session))?;
    } else {
        output::print(&format!("{}\n", shown(&session.id, 64)))?;
    }
    Ok(0)
}

/// The machine that was named, or the one that must be meant.
async fn machine(connection: &Connection, named: Option<String>) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name);
    }
    let all = machines::list(connection, &machines::Filter::default()).await?;
    let names: Vec<&str> = all.iter().map(|machine| machine.name.as_str()).collect();
    choose(&names, &own_hostname())
}

fn own_hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

fn choose(names: &[&str], own: &str) -> Result<String, Failure> {
    match names {
        [] => Err(
            Refusal::not_found("machine-unknown", "this workspace has no machine yet")
                .hint("`cmdop machines enroll-token` makes a token for `cmdopd enroll`")
                .into(),
        ),
        [only] => Ok((*only).to_owned()),
        _ if names.contains(&own) => Ok(own.to_owned()),
        many => {
            let mut listed: Vec<_> = many.iter().take(20).map(|name| shown(name, 64)).collect();
            listed.sort();
            Err(
                Failure::usage("there are several machines, and none was named")
                    .hint(format!("name one of: {}", listed.join(", "))),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_guessed_only_where_there_is_no_doubt() {
        assert_eq!(choose(&["web-1"], "laptop").unwrap(), "web-1");
        assert_eq!(choose(&["web-1", "laptop"], "laptop").unwrap(), "laptop");
        let failure = choose(&["web-2", "web-1"], "laptop").unwrap_err();
        assert_eq!(failure.refusal().hint, "name one of: web-1, web-2");
        assert_eq!(choose(&[], "laptop").unwrap_err().code(), 69);
    }
}
