//! Everything in the database that is sealed, whatever it is: how much each key for secrets has sealed, and sealing
//! anew, a bounded number of rows in each transaction. Nothing here opens or seals.

use super::audit::{Actor, Event};
use super::query::{FromRow, Query, Row, assembled};
use super::{Error, Store};

/// How much of a sealed text says which key sealed it: `s1.`, sixteen digits, and a point.
const BEGINNING: usize = 20;

/// Keys that are told apart. There are 16 in one file at most.
const MAX_KEYS: usize = 64;

/// Rows that are read, or changed in one transaction: nobody waits long for those.
pub const SEALED_PAGE: usize = 256;

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedKind {
    /// The private certificate authority's key.
    CertificateAuthority,
    /// A key that signs tokens.
    SigningKey,
    /// The secret of somebody's second factor.
    SecondFactor,
}

/// Where it stands.
struct Columns {
    table: &'static str,
    sealed: &'static str,
    /// The row that it was sealed for.
    row: &'static str,
}

impl SealedKind {
    /// All that there are.
    pub const ALL: [Self; 3] = [
        Self::CertificateAuthority,
        Self::SigningKey,
        Self::SecondFactor,
    ];

    /// The table, as it is sealed for.
    pub fn table(self) -> &'static str {
        self.columns().table
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CertificateAuthority => "certificate authority",
            Self::SigningKey => "signing keys",
            Self::SecondFactor => "second factors",
        }
    }

    fn columns(self) -> Columns {
        match self {
            Self::CertificateAuthority => Columns {
                table: "certificate_authority",
                sealed: "sealed_key",
                row: "fingerprint",
            },
            Self::SigningKey => Columns {
                table: "signing_keys",
                sealed: "sealed",
                row: "id",
            },
            // An index says that an account's id is of one account in all workspaces.
            Self::SecondFactor => Columns {
                table: "second_factors",
                sealed: "sealed",
                row: "account_id",
            },
        }
    }
}

/// Something sealed, in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// The row that it is sealed for.
    pub row: String,
    /// The sealed text.
    pub sealed: String,
}

impl FromRow for SealedRow {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            row: row.get("row_name")?,
            sealed: row.get("sealed_text")?,
        })
    }
}

impl Store {
    /// How sealed texts of a kind begin, and how many begin so: as many lines as keys have sealed them.
    pub async fn sealed_by(&self, kind: SealedKind) -> Result<Vec<(String, u64)>, Error> {
        let Columns { table, sealed, .. } = kind.columns();
        let counted: Vec<(String, i64)> = assembled(format!(
            "SELECT beginning, COUNT(*) FROM (SELECT SUBSTR({sealed}, 1, {BEGINNING}) AS beginning FROM {table}) AS sealed_texts \
             GROUP BY beginning ORDER BY beginning LIMIT {MAX_KEYS}"
        ))
        .fetch_all(&mut self.read().await?)
        .await?;
        Ok(counted
            .into_iter()
            .map(|(beginning, count)| (beginning, count.max(0) as u64))
            .collect())
    }

    /// The next rows of a kind after `after`, in their order, whose text does not begin with `beginning`.
    pub async fn sealed_otherwise(
        &self,
        kind: SealedKind,
        beginning: &str,
        after: &str,
    ) -> Result<Vec<SealedRow>, Error> {
        let Columns { table, sealed, row } = kind.columns();
        let length = beginning.len();
        let query: Query = assembled(format!(
            "SELECT {row} AS row_name, {sealed} AS sealed_text FROM {table} \
             WHERE {row} > $1 AND SUBSTR({sealed}, 1, {length}) <> $2 ORDER BY {row} LIMIT {SEALED_PAGE}"
        ));
        let found = query.bind(after).bind(beginning);
        Ok(found.fetch_all(&mut self.read().await?).await?)
    }

    /// Puts texts in the place of others that say the same, where those are still there. `key` is who sealed the new ones.
    /// How many were.
    pub async fn reseal(
        &self,
        kind: SealedKind,
        rows: &[(SealedRow, String)],
        key: &str,
        now_ms: u64,
    ) -> Result<u64, Error> {
        let Columns { table, sealed, row } = kind.columns();
        let mut tx = self.write().await?;
        let mut done = 0;
        for (old, new) in rows {
            let statement =
                format!("UPDATE {table} SET {sealed} = $3 WHERE {row} = $1 AND {sealed} = $2");
            let query = assembled(statement).bind(&old.row).bind(&old.sealed);
            done += query.bind(new).execute(&mut tx).await?;
        }
        if done > 0 {
            let event = Event::new("secrets-resealed", kind.as_str())
                .detail("key", key)
                .detail("count", done.to_string());
            let admin = self.nobody().by(Actor::admin());
            admin.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::token::Role;

    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    const OLD: &str = "s1.0123456789abcdef.";
    const NEW: &str = "s1.fedcba9876543210.";

    /// What the store does about a page, as somebody does who can open and seal.
    async fn reseal_page(store: &Store, page: Vec<SealedRow>) -> u64 {
        let anew: Vec<(SealedRow, String)> = page
            .into_iter()
            .map(|old| {
                let new = old.sealed.replace(OLD, NEW);
                (old, new)
            })
            .collect();
        let done = store.reseal(SealedKind::SecondFactor, &anew, "new", NOW);
        done.await.unwrap()
    }

    #[tokio::test]
    async fn many_secrets_are_sealed_anew_page_by_page_each_once() {
        let count = SEALED_PAGE + 3;
        for scratch in Scratch::each().await {
            let here = scratch.here();
            for n in 0..count {
                let name = format!("person-{n}");
                let account = here.add_account(&name, Role::Guest, NOW).await.unwrap();
                let sealed = format!("{OLD}{n}");
                let proposed = here.propose_second_factor(account, &sealed, NOW).await;
                assert!(proposed.unwrap());
            }
            let (store, kind) = (&scratch.store, SealedKind::SecondFactor);
            let (mut after, mut pages) = (String::new(), Vec::new());
            loop {
                let page = store.sealed_otherwise(kind, NEW, &after).await.unwrap();
                let Some(last) = page.last() else { break };
                after.clone_from(&last.row);
                pages.push(reseal_page(store, page).await);
            }
            assert_eq!(pages, [SEALED_PAGE as u64, 3]);
            let by = store.sealed_by(kind).await.unwrap();
            assert_eq!(by, [(NEW.to_owned(), count as u64)]);
        }
    }

    #[tokio::test]
    async fn a_secret_that_was_changed_meanwhile_keeps_the_change() {
        for scratch in Scratch::each().await {
            let (store, here) = (&scratch.store, scratch.here());
            let propose = async |sealed: &str| {
                let proposed = here.propose_second_factor(scratch.account, sealed, NOW);
                assert!(proposed.await.unwrap());
            };
            propose(&format!("{OLD}first")).await;
            let page = store.sealed_otherwise(SealedKind::SecondFactor, NEW, "");
            let page = page.await.unwrap();
            propose(&format!("{OLD}second")).await;
            assert_eq!(reseal_page(store, page).await, 0);
            let kept = here.second_factor(scratch.account).await.unwrap().unwrap();
            assert_eq!(kept.sealed, format!("{OLD}second"));
        }
    }
}
