//! The keys that sign tokens, sealed: shared by all control planes on one database. Which of them signs when is
//! decided above; here is what there is, and when a key can be forgotten.

use super::audit::Event;
use super::query::{FromRow, Row, query};
use super::{Error, Store, Transaction};
use crate::lifetimes::LONGEST_TOKEN;
use cmdop_proto::limits::CLOCK_LEEWAY;

/// Keys at the same time: more rotations than this in two hours are a mistake.
const MAX_KEYS: usize = 16;

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Its name: the JWK thumbprint of its public half.
    pub id: String,
    /// The private half, PEM, sealed for the row of that name.
    pub sealed: String,
    /// When it was made.
    pub created_at_ms: u64,
    /// It signs from then on, until another does.
    pub signs_from_ms: u64,
}

/// Why a key was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveKeyError {
    /// There is none of that name.
    #[error("there is no signing key of that name")]
    Unknown,
    /// Nothing could be signed without it.
    #[error("it is the only signing key")]
    Last,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl FromRow for SealedKey {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.get("id")?,
            sealed: row.get("sealed")?,
            created_at_ms: row.count("created_at_ms")?,
            signs_from_ms: row.count("signs_from_ms")?,
        })
    }
}

impl Store {
    /// All keys, in the order in which they sign.
    pub async fn signing_keys(&self) -> Result<Vec<SealedKey>, Error> {
        keys(&mut self.read().await?).await
    }

    /// Whether there is anything that no control plane can do without and that only a key for secrets opens.
    pub async fn holds_sealed_keys(&self) -> Result<bool, Error> {
        let count: i64 = query(
            "SELECT (SELECT COUNT(*) FROM signing_keys) + (SELECT COUNT(*) FROM certificate_authority)",
        )
        .fetch_one(&mut self.read().await?)
        .await?;
        Ok(count > 0)
    }

    /// Keeps the first key. False if there is one already.
    pub async fn add_first_signing_key(&self, key: &SealedKey) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        if !keys(&mut tx).await?.is_empty() {
            return Ok(false);
        }
        self.insert(&mut tx, key).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps another key. False if there are as many as there may be.
    pub async fn add_signing_key(&self, key: &SealedKey) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        if keys(&mut tx).await?.len() >= MAX_KEYS {
            return Ok(false);
        }
        self.insert(&mut tx, key).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn insert(&self, tx: &mut Transaction, key: &SealedKey) -> Result<(), Error> {
        query(
            "INSERT INTO signing_keys (id, sealed, created_at_ms, signs_from_ms) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(&key.id)
        .bind(&key.sealed)
        .bind(key.created_at_ms as i64)
        .bind(key.signs_from_ms as i64)
        .execute(&mut *tx)
        .await?;
        let event = Event::new("signing-key-added", &key.id);
        self.nobody().record(tx, event, key.created_at_ms).await
    }

    /// Removes a key: what it signed is void everywhere as soon as everybody has heard.
    pub async fn remove_signing_key(&self, id: &str, now_ms: u64) -> Result<(), RemoveKeyError> {
        let mut tx = self.write().await?;
        let kept = keys(&mut tx).await?;
        if !kept.iter().any(|key| key.id == id) {
            return Err(RemoveKeyError::Unknown);
        }
        if kept.len() == 1 {
            return Err(RemoveKeyError::Last);
        }
        delete(&mut tx, id).await?;
        let event = Event::new("signing-key-removed", id);
        self.nobody().record(&mut tx, event, now_ms).await?;
        Ok(tx.commit().await?)
    }

    /// Drops the keys of which no token can be alive.
    pub async fn forget_signing_keys(&self, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let over = retired(&keys(&mut tx).await?, now_ms);
        if over.is_empty() {
            return Ok(());
        }
        for id in over {
            delete(&mut tx, &id).await?;
            let event = Event::new("signing-key-retired", &id);
            self.nobody().record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await
    }
}

async fn keys(tx: &mut Transaction) -> Result<Vec<SealedKey>, Error> {
    Ok(query(
        "SELECT id, sealed, created_at_ms, signs_from_ms FROM signing_keys \
         ORDER BY signs_from_ms, created_at_ms, id",
    )
    .fetch_all(tx)
    .await?)
}

async fn delete(tx: &mut Transaction, id: &str) -> Result<(), Error> {
    query("DELETE FROM signing_keys WHERE id = $1")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Those whose successor has signed for longer than a token lives. Tokens may be dated a little later than they
/// are made, and clocks differ.
fn retired(keys: &[SealedKey], now_ms: u64) -> Vec<String> {
    let outlived = (LONGEST_TOKEN + 4 * CLOCK_LEEWAY).as_millis() as u64;
    let pairs = keys.iter().zip(keys.iter().skip(1));
    pairs
        .filter(|(_, next)| next.signs_from_ms + outlived <= now_ms)
        .map(|(key, _)| key.id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    fn key(id: &str, signs_from_ms: u64) -> SealedKey {
        SealedKey {
            id: id.into(),
            sealed: "sealed".into(),
            created_at_ms: NOW,
            signs_from_ms,
        }
    }

    #[tokio::test]
    async fn the_first_key_is_made_once_and_the_last_one_stays() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let (one, two) = (key("a", NOW), key("b", NOW));
            let (one, two) = tokio::join!(
                store.add_first_signing_key(&one),
                store.add_first_signing_key(&two)
            );
            assert_eq!(usize::from(one.unwrap()) + usize::from(two.unwrap()), 1);
            let only = store.signing_keys().await.unwrap().remove(0).id;
            let last = store.remove_signing_key(&only, NOW).await;
            assert!(matches!(last, Err(RemoveKeyError::Last)));
            let unknown = store.remove_signing_key("c", NOW).await;
            assert!(matches!(unknown, Err(RemoveKeyError::Unknown)));
            assert!(store.add_signing_key(&key("c", NOW + 1)).await.unwrap());
            store.remove_signing_key(&only, NOW).await.unwrap();
            assert_eq!(store.signing_keys().await.unwrap()[0].id, "c");
        }
    }

    #[tokio::test]
    async fn a_key_is_kept_until_the_last_token_that_it_signed_has_expired() {
        let hour = LONGEST_TOKEN.as_millis() as u64;
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            store.add_first_signing_key(&key("old", 0)).await.unwrap();
            store.add_signing_key(&key("new", NOW)).await.unwrap();
            let ids = async || {
                let keys = store.signing_keys().await.unwrap();
                keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
            };
            store.forget_signing_keys(NOW + hour).await.unwrap();
            assert_eq!(ids().await, ["old", "new"]);
            store.forget_signing_keys(NOW + 2 * hour).await.unwrap();
            assert_eq!(ids().await, ["new"]);
            store.forget_signing_keys(NOW + 99 * hour).await.unwrap();
            assert_eq!(ids().await, ["new"], "the one that signs stays");
        }
    }

    #[tokio::test]
    async fn there_are_only_so_many_keys() {
        for scratch in Scratch::each().await {
            for n in 0..MAX_KEYS {
                let key = key(&n.to_string(), NOW);
                assert!(scratch.store.add_signing_key(&key).await.unwrap());
            }
            let more = scratch.store.add_signing_key(&key("more", NOW)).await;
            assert!(!more.unwrap());
        }
    }
}
