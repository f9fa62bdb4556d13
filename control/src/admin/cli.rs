//! `cmdop-control admin` on a terminal: each task prints just its result.

use std::io::{self, Read as _, Write as _};

use super::listing::{
    AccountRow, KeyRow, MachineRow, ResealedRow, SecretsKeyRow, WorkspaceRow, listing,
};
use super::{Admin, Error};
use crate::args::{AdminArgs, Task};
use crate::secret::Secret;
use crate::store::{Logins, Named};

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
        Task::SetPassword {
            name, keep_logins, ..
        } => {
            let logins = if keep_logins {
                Logins::Keep
            } else {
                Logins::End
            };
            admin.set_password(&name, &password()?, logins).await?;
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
        Task::Ca { fingerprint } => {
            let ca = admin.ca().await?;
            if fingerprint {
                return Ok(ca.fingerprint);
            }
            Ok(ca.certificate.trim_end().to_owned())
        }
        Task::RemoveCa { fingerprint } => {
            admin.remove_ca(&fingerprint).await?;
            Ok(String::new())
        }
        Task::SecretsKeys { json } => {
            let keys = admin.secrets_keys(secrets_key).await?.into_iter();
            Ok(listing(
                &SecretsKeyRow::COLUMNS,
                keys.map(SecretsKeyRow::from),
                json,
            ))
        }
        Task::Reseal { json } => {
            let done = admin.reseal(secrets_key).await?.into_iter();
            Ok(listing(
                &["WHAT", "SEALED ANEW"],
                done.map(ResealedRow::from),
                json,
            ))
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
