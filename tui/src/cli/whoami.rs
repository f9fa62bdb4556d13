//! `cmdop whoami`: the account, workspace and role behind the profile.

use cmdop_client::account;
use cmdop_client::clock::{Skew, now_ms};
use cmdop_proto::text::shown;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;

/// Show who you are, where, and in which role
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop whoami --json")]
pub(super) struct Args {}

#[derive(Serialize)]
struct Record {
    account: String,
    account_id: String,
    workspace: String,
    workspace_id: String,
    role: String,
    profile: String,
    control_url: String,
    relay_urls: Vec<String>,
}

pub(super) async fn run(context: &Context, _args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let me = account::whoami(&connection).await?;
    if let Some(skew) = Skew::between(now_ms(), me.now_ms) {
        context.warn(&skew.to_string());
    }
    let profile = connection.profile();
    let record = Record {
        account: shown(&me.account_name, 64),
        account_id: shown(&me.account_id, 64),
        workspace: shown(&me.workspace_name, 64),
        workspace_id: shown(&me.workspace_id, 64),
        role: shown(&me.role, 64),
        profile: profile.name.clone(),
        control_url: profile.control_url.clone(),
        relay_urls: me.relay_urls.iter().map(|url| shown(url, 512)).collect(),
    };
    let mut fields = Table::new(&["FIELD", "VALUE"]);
    fields.row(["account".into(), record.account.clone()]);
    fields.row(["workspace".into(), record.workspace.clone()]);
    fields.row(["role".into(), record.role.clone()]);
    fields.row(["profile".into(), record.profile.clone()]);
    fields.row(["control plane".into(), record.control_url.clone()]);
    fields.row(["relays".into(), record.relay_urls.join(" ")]);
    output::record(context.format(), &record, &fields)?;
    Ok(0)
}
