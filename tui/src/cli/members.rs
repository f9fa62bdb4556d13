//! `cmdop members`: who belongs to the workspace, and as what.

use std::time::Duration;

use clap::Subcommand;
use cmdop_client::members;
use cmdop_proto::text::shown;
use cmdop_proto::token::Role;
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{ago, rfc3339};

/// List the workspace's members, and manage their roles and invitations
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop members invite --role member --note \"grace, on call\"")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List members
    #[command(after_help = "Example:\n  cmdop members ls --json")]
    Ls,
    Role(RoleArgs),
    Reach(ReachArgs),
    Remove(RemoveArgs),
    Invite(InviteArgs),
    /// List invitations that can still be used
    #[command(after_help = "Example:\n  cmdop members invitations")]
    Invitations,
    RevokeInvitation(RevokeArgs),
}

/// Give a member another role; nobody reaches above their own
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop members role ada admin")]
struct RoleArgs {
    /// The member's name or id
    member: String,
    /// owner, admin, member or guest (who only watches)
    #[arg(value_parser = role)]
    role: Role,
}

/// Let a member or guest reach all machines, or those of its fleets only
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop members reach ada all")]
struct ReachArgs {
    /// The member's name or id
    member: String,
    /// all, or fleets (see `cmdop fleets add-members`)
    #[arg(value_parser = ["all", "fleets"])]
    reach: String,
}

/// Remove a member, with their logins and keys
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop members remove ada")]
struct RemoveArgs {
    /// The member's name or id
    member: String,
}

/// Print a link with which one person can join
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop members invite --role guest --lifetime 1d")]
struct InviteArgs {
    /// owner, admin, member or guest (who only watches)
    #[arg(long, default_value = "member", value_parser = role)]
    role: Role,
    /// How long the link works, at most 30 days
    #[arg(long, default_value = "3d", value_parser = humantime::parse_duration)]
    lifetime: Duration,
    /// For whom, for those who list invitations
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    /// Who joins reaches the machines of this fleet only; may be given several times
    #[arg(long = "fleet", value_name = "FLEET")]
    fleets: Vec<String>,
}

/// Take an invitation back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop members revoke-invitation 0192f0c1-7cc0-7000-8000-000000000000"
)]
struct RevokeArgs {
    /// Its id
    id: String,
}

/// Reads a role.
fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is one of owner, admin, member, guest".to_owned())
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    match args.action {
        None | Some(Action::Ls) => {
            let all = members::list(&connection).await?;
            let records: Vec<_> = all.iter().map(Record::of).collect();
            output::listing(context.format(), &records, &table(&all))?;
        }
        Some(Action::Role(args)) => {
            let member = members::set_role(&connection, &args.member, args.role).await?;
            changed(context, &member)?;
        }
        Some(Action::Reach(args)) => {
            let member = members::set_reach(&connection, &args.member, &args.reach).await?;
            changed(context, &member)?;
        }
        Some(Action::Remove(args)) => {
            members::remove(&connection, &args.member).await?;
            context.progress(&format!("removed {}", shown(&args.member, 64)));
        }
        Some(Action::Invite(args)) => {
            let (note, fleets) = (&args.note, &args.fleets);
            let made = members::invite(&connection, args.role, args.lifetime, note, fleets).await?;
            invited(context, &made)?;
        }
        Some(Action::Invitations) => {
            let waiting = members::invitations(&connection).await?;
            let records: Vec<_> = waiting.iter().map(Invited::of).collect();
            output::listing(context.format(), &records, &waiting_table(&waiting))?;
        }
        Some(Action::RevokeInvitation(args)) => {
            members::revoke_invitation(&connection, &args.id).await?;
            context.progress("the invitation is void");
        }
    }
    Ok(0)
}

/// A member as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    id: String,
    name: String,
    role: String,
    disabled: bool,
    created_at: Option<String>,
    reach: String,
    fleets: Vec<String>,
}

impl Record {
    fn of(member: &v1::Member) -> Self {
        Self {
            id: member.id.clone(),
            name: member.name.clone(),
            role: member.role.clone(),
            disabled: member.disabled,
            created_at: rfc3339(member.created_at_ms),
            reach: member.reach.clone(),
            fleets: member.fleets.clone(),
        }
    }
}

fn changed(context: &Context, member: &v1::Member) -> Result<(), Failure> {
    let mut fields = Table::new(&["FIELD", "VALUE"]);
    fields.row(["name".into(), member.name.clone()]);
    fields.row(["role".into(), member.role.clone()]);
    fields.row(["machines".into(), reached(member)]);
    output::record(context.format(), &Record::of(member), &fields)
}

/// Which machines a member reaches, in words.
fn reached(member: &v1::Member) -> String {
    match (member.reach.as_str(), member.fleets.as_slice()) {
        ("fleets", []) => "none".into(),
        ("fleets", fleets) => format!("of {}", fleets.join(", ")),
        ("all", _) => "all".into(),
        // Who is kept to fleets is not told of the others'.
        _ => "?".into(),
    }
}

fn table(members: &[v1::Member]) -> Table {
    let mut table = Table::new(&["MEMBER", "ROLE", "MACHINES", "STATE", "SINCE"]);
    for member in members {
        let state = if member.disabled {
            "disabled"
        } else {
            "enabled"
        };
        table.row([
            member.name.clone(),
            member.role.clone(),
            reached(member),
            state.into(),
            ago(member.created_at_ms),
        ]);
    }
    table
}

/// An invitation as `--json` prints it.
#[derive(Debug, Serialize)]
struct Invited {
    id: String,
    role: String,
    note: String,
    invited_by: String,
    created_at: Option<String>,
    expires_at: Option<String>,
    fleets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Invited {
    fn of(invitation: &v1::Invitation) -> Self {
        Self {
            id: invitation.id.clone(),
            role: invitation.role.clone(),
            note: invitation.note.clone(),
            invited_by: invitation.invited_by.clone(),
            created_at: rfc3339(invitation.created_at_ms),
            expires_at: rfc3339(invitation.expires_at_ms),
            fleets: invitation.fleets.clone(),
            url: None,
        }
    }
}

/// The link alone, so that it can be copied or piped.
fn invited(context: &Context, made: &v1::InviteResponse) -> Result<(), Failure> {
    let url = shown(&made.url, 1024);
    if context.globals.json {
        let invitation = made.invitation.clone().unwrap_or_default();
        let mut record = Invited::of(&invitation);
        record.url = Some(url);
        return output::json(&record);
    }
    output::print(&format!("{url}\n"))
}

fn waiting_table(waiting: &[v1::Invitation]) -> Table {
    let mut table = Table::new(&["INVITATION", "ROLE", "FLEETS", "NOTE", "BY", "UNTIL"]);
    for invitation in waiting {
        table.row([
            invitation.id.clone(),
            invitation.role.clone(),
            invitation.fleets.join(", "),
            invitation.note.clone(),
            invitation.invited_by.clone(),
            rfc3339(invitation.expires_at_ms).unwrap_or_default(),
        ]);
    }
    table
}
