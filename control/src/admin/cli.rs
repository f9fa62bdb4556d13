//! `cmdop-control admin` on a terminal: each task prints just its result.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Admin, Error, PlacedAccount, PlacedMachine};
use crate::args::{AdminArgs, Task};
use crate::secret::Secret;
use crate::store::{Named, SealedKey};

/// More than any password that is taken.
const MAX_STDIN: u64 = 8 << 10;

/// Does one task, and prints its result.
pub async fn run(args: AdminArgs) -> Result<(), Error> {
    let admin = Admin::open(&args.place).await?;
    let done = perform(&admin, args.task, args.secrets_key.as_ref()).await;
    admin.close().await;
    let text = done?;
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(io::stdout().lock(), "{text}") {
        // `… | head -1` has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|reason| Error::Io {
            verb: "print the result",
            reason,
        }),
    }
}

async fn perform(admin: &Admin, task: Task, secrets_key: Option<&Secret>) -> Result<String, Error> {
    match task {
        Task::CreateWorkspace { name } => Ok(admin.create_workspace(&name).await?.to_string()),
        Task::Workspaces { json } => {
            let rows = admin
                .workspaces()
                .await?
                .into_iter()
                .map(|workspace| WorkspaceRow {
                    name: workspace.name,
                    id: workspace.id.to_string(),
                });
            Ok(listing(&["NAME", "ID"], rows, json))
        }
        Task::CreateAccount {
            name,
            workspace,
            role,
            password_stdin,
        } => {
            let password = if password_stdin {
                Some(password()?)
            } else {
                None
            };
            let workspace = &workspace.workspace;
            let made = admin.create_account(&name, workspace, role, password.as_deref());
            Ok(made.await?.to_string())
        }
        Task::Accounts { workspace, json } => {
            let accounts = admin.accounts(workspace.as_deref()).await?;
            let columns = [
                "NAME",
                "ROLE",
                "WORKSPACE",
                "STATE",
                "PASSWORD",
                "CREATED",
                "ID",
            ];
            Ok(listing(
                &columns,
                accounts.into_iter().map(AccountRow::from),
                json,
            ))
        }
        Task::SetPassword { name, .. } => {
            admin.set_password(&name, &password()?).await?;
            Ok(String::new())
        }
        Task::DisableAccount { name } => {
            admin.disable_account(&name).await?;
            Ok(String::new())
        }
        Task::EnableAccount { name } => {
            admin.enable_account(&name).await?;
            Ok(String::new())
        }
        Task::SetRole { name, role } => {
            admin.set_role(&name, role).await?;
            Ok(String::new())
        }
        Task::LoginSecret { name, lifetime } => {
            let secret = admin.login_secret(&name, lifetime).await?;
            Ok(secret.expose().to_owned())
        }
        Task::RequireSecondFactor { workspace, rule } => {
            admin.set_second_factor_rule(&workspace, rule).await?;
            Ok(String::new())
        }
        Task::ResetSecondFactor { name } => {
            admin.reset_second_factor(&name).await?;
            Ok(String::new())
        }
        Task::Unlock { name } => {
            admin.unlock(&name).await?;
            Ok(String::new())
        }
        Task::NameIdentity {
            name,
            issuer,
            email,
            subject,
        } => {
            let named = match (&email, &subject) {
                (Some(email), _) => Named::Email(email),
                (None, subject) => Named::Subject(subject.as_deref().unwrap_or_default()),
            };
            admin.name_identity(&name, &issuer, named).await?;
            Ok(String::new())
        }
        Task::ForgetIdentities { name } => {
            admin.forget_identities(&name).await?;
            Ok(String::new())
        }
        Task::RotateKey { lead } => admin.rotate_key(lead, secrets_key).await,
        Task::SigningKeys { json } => {
            let keys = admin.signing_keys().await?.into_iter().map(KeyRow::from);
            Ok(listing(&["NAME", "MADE", "SIGNS FROM"], keys, json))
        }
        Task::RemoveKey { key } => {
            admin.remove_key(&key).await?;
            Ok(String::new())
        }
        Task::EnrollToken {
            workspace,
            lifetime,
            labels,
        } => {
            let token = admin
                .enroll_token(&workspace.workspace, lifetime, labels)
                .await?;
            Ok(token.expose().to_owned())
        }
        Task::RelayToken { lifetime } => {
            let token = admin.relay_token(lifetime).await?;
            Ok(token.expose().to_owned())
        }
        Task::Machines { workspace, json } => {
            let machines = admin.machines(workspace.as_deref()).await?;
            let columns = [
                "NAME",
                "WORKSPACE",
                "OS",
                "ARCH",
                "LABELS",
                "ENROLLED",
                "ID",
            ];
            Ok(listing(
                &columns,
                machines.into_iter().map(MachineRow::from),
                json,
            ))
        }
        Task::RemoveMachine { name, workspace } => {
            admin.remove_machine(&workspace.workspace, &name).await?;
            Ok(String::new())
        }
    }
}

/// What stdin holds, without the line end that `echo` adds.
fn password() -> Result<String, Error> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_STDIN)
        .read_to_string(&mut text)
        .map_err(|reason| Error::Io {
            verb: "read the password from stdin",
            reason,
        })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[derive(Serialize)]
struct WorkspaceRow {
    name: String,
    id: String,
}

#[derive(Serialize)]
struct AccountRow {
    name: String,
    role: &'static str,
    workspace: String,
    state: &'static str,
    has_password: bool,
    created_at: String,
    id: String,
}

#[derive(Serialize)]
struct MachineRow {
    name: String,
    workspace: String,
    os: String,
    arch: String,
    labels: std::collections::BTreeMap<String, String>,
    enrolled_at: String,
    id: String,
}

#[derive(Serialize)]
struct KeyRow {
    name: String,
    made_at: String,
    signs_from: String,
}

impl From<SealedKey> for KeyRow {
    fn from(key: SealedKey) -> Self {
        Self {
            name: key.id,
            made_at: shown_time(key.created_at_ms),
            signs_from: shown_time(key.signs_from_ms),
        }
    }
}

impl Cells for KeyRow {
    fn cells(&self) -> Vec<String> {
        [&self.name, &self.made_at, &self.signs_from]
            .map(ToOwned::to_owned)
            .to_vec()
    }
}

impl From<PlacedAccount> for AccountRow {
    fn from(placed: PlacedAccount) -> Self {
        let account = placed.account;
        Self {
            name: account.name,
            role: account.role.as_str(),
            workspace: placed.workspace.name,
            state: if account.is_disabled {
                "disabled"
            } else {
                "enabled"
            },
            has_password: account.has_password,
            created_at: shown_time(account.created_at_ms),
            id: account.id.to_string(),
        }
    }
}

impl From<PlacedMachine> for MachineRow {
    fn from(placed: PlacedMachine) -> Self {
        let machine = placed.machine;
        Self {
            name: machine.name,
            workspace: placed.workspace.name,
            os: machine.os,
            arch: machine.arch,
            labels: machine.labels,
            enrolled_at: shown_time(machine.enrolled_at_ms),
            id: machine.id.to_string(),
        }
    }
}

/// A row of a table.
trait Cells {
    fn cells(&self) -> Vec<String>;
}

impl Cells for WorkspaceRow {
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.id.clone()]
    }
}

impl Cells for AccountRow {
    fn cells(&self) -> Vec<String> {
        let password = if self.has_password { "yes" } else { "no" };
        [
            &self.name,
            self.role,
            &self.workspace,
            self.state,
            password,
            &self.created_at,
            &self.id,
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }
}

impl Cells for MachineRow {
    fn cells(&self) -> Vec<String> {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let labels = labels.join(",");
        [
            &self.name,
            &self.workspace,
            &self.os,
            &self.arch,
            &labels,
            &self.enrolled_at,
            &self.id,
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }
}

/// JSON; or a table on a terminal, and lines of cells between tabs on a pipe.
fn listing<R: Cells + Serialize>(
    columns: &[&str],
    rows: impl Iterator<Item = R>,
    json: bool,
) -> String {
    let rows: Vec<R> = rows.collect();
    if json {
        return serde_json::to_string_pretty(&rows).expect("rows of text are always JSON");
    }
    let mut table: Vec<Vec<String>> = rows.iter().map(Cells::cells).collect();
    if !io::stdout().is_terminal() {
        let lines: Vec<String> = table.iter().map(|row| row.join("\t")).collect();
        return lines.join("\n");
    }
    table.insert(0, columns.iter().map(ToString::to_string).collect());
    aligned(&table)
}

fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |c| c.chars().count());
    let widths: Vec<usize> = (0..columns)
        .map(|column| table.iter().map(|row| cell(row, column)).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(text, width)| format!("{text:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shown_time(ms: u64) -> String {
    OffsetDateTime::from_unix_timestamp((ms / 1000) as i64)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(shown_time(1_800_000_000_123), "2027-01-15T08:00:00Z");
    }

    #[test]
    fn columns_line_up() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            aligned(&[row("NAME", "ID"), row("ada", "1")]),
            "NAME  ID\nada   1"
        );
    }
}
