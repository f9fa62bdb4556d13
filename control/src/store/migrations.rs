//! The tables, in SQL that both databases read: one file for each step, in their order.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A file's name, and what is in it.
struct File {
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        File {
            name: $name,
            sql: include_str!(concat!("../../migrations/", $name)),
        }
    };
}

/// Every file of `control/migrations`: a test looks whether one is missing. (sqlx's own macro would find them by
/// itself, and build both databases a second time for the compiler.)
const FILES: [File; 16] = [
    migration!("0001_accounts_machines_relays.sql"),
    migration!("0002_audit.sql"),
    migration!("0003_members_fleets.sql"),
    migration!("0004_api_keys.sql"),
    migration!("0005_sessions.sql"),
    migration!("0006_inviters.sql"),
    migration!("0007_logins.sql"),
    migration!("0008_schedules.sql"),
    migration!("0009_events.sql"),
    migration!("0010_operation.sql"),
    migration!("0011_fleet_members.sql"),
    migration!("0012_certificate_authority.sql"),
    migration!("0013_transfer_progress.sql"),
    migration!("0014_removed_authorities.sql"),
    migration!("0015_indices.sql"),
    migration!("0016_login_epochs.sql"),
];

/// What brings a database up to date.
pub(super) static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| Migrator::with_migrations(FILES.iter().map(File::migration).collect()));

impl File {
    /// By its name, `NUMBER_WHAT_IT_IS_ABOUT.sql`.
    fn migration(&self) -> Migration {
        let (number, rest) = self.name.split_once('_').unwrap_or_default();
        let version = number.parse().expect("a test reads every name");
        let about = rest.trim_end_matches(".sql").replace('_', " ");
        let kind = MigrationType::Simple;
        Migration::new(version, about.into(), kind, self.sql.into_sql_str(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_in_its_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut on_disk: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        on_disk.sort();
        assert_eq!(FILES.map(|file| file.name).to_vec(), on_disk);
        let versions = MIGRATIONS.iter().map(|step| step.version);
        assert!(versions.eq(1..=FILES.len() as i64));
    }
}
