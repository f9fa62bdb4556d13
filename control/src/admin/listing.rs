//! What `cmdop-control admin` lists: a table on a terminal, lines of cells on a pipe, or JSON.

use std::io::{self, IsTerminal as _};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reseal::SecretsKey;
use super::{PlacedAccount, PlacedMachine};
use crate::store::{SealedKey, SealedKind};

#[derive(Serialize)]
pub(super) struct WorkspaceRow {
    pub(super) name: String,
    pub(super) id: String,
}

#[derive(Serialize)]
pub(super) struct AccountRow {
    name: String,
    role: &'static str,
    workspace: String,
    state: &'static str,
    has_password: bool,
    created_at: String,
    id: String,
}

#[derive(Serialize)]
pub(super) struct MachineRow {
    name: String,
    workspace: String,
    os: String,
    arch: String,
    labels: std::collections::BTreeMap<String, String>,
    enrolled_at: String,
    id: String,
}

#[derive(Serialize)]
pub(super) struct KeyRow {
    name: String,
    made_at: String,
    signs_from: String,
}

/// How much a key for secrets has sealed.
#[derive(Serialize)]
pub(super) struct SecretsKeyRow {
    key: String,
    state: &'static str,
    certificate_authority: u64,
    signing_keys: u64,
    second_factors: u64,
}

#[derive(Serialize)]
pub(super) struct ResealedRow {
    what: &'static str,
    count: u64,
}

impl SecretsKeyRow {
    pub(super) const COLUMNS: [&str; 5] = ["KEY", "STATE", "CA", "SIGNING KEYS", "SECOND FACTORS"];
}

impl From<SecretsKey> for SecretsKeyRow {
    fn from(key: SecretsKey) -> Self {
        let count = |kind| key.sealed.get(&kind).copied().unwrap_or(0);
        Self {
            state: key.state.as_str(),
            certificate_authority: count(SealedKind::CertificateAuthority),
            signing_keys: count(SealedKind::SigningKey),
            second_factors: count(SealedKind::SecondFactor),
            key: key.id,
        }
    }
}

impl Cells for SecretsKeyRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.state.to_owned(),
            self.certificate_authority.to_string(),
            self.signing_keys.to_string(),
            self.second_factors.to_string(),
        ]
    }
}

impl From<(SealedKind, u64)> for ResealedRow {
    fn from((kind, count): (SealedKind, u64)) -> Self {
        let what = kind.as_str();
        Self { what, count }
    }
}

impl Cells for ResealedRow {
    fn cells(&self) -> Vec<String> {
        vec![self.what.to_owned(), self.count.to_string()]
    }
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
pub(super) trait Cells {
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
pub(super) fn listing<R: Cells + Serialize>(
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
