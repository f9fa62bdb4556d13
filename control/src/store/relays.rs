//! Relays, and the tokens with which they join. They serve all workspaces and belong to none.

use cmdop_proto::RelayId;

use super::audit::{Actor, Event};
use super::enroll::EnrollError;
use super::query::query;
use super::revocations::{Claim, revoke_for_good};
use super::{Error, Store, id};

/// One enrolled relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Which.
    pub id: RelayId,
    /// How agents and clients reach it.
    pub url: String,
    /// Its Ed25519 key, PEM.
    pub public_key: String,
}

/// What a relay says of itself when it joins; checked at the edge.
#[derive(Clone, Debug)]
pub struct NewRelay {
    /// How agents and clients reach it.
    pub url: String,
    /// Its Ed25519 key, PEM.
    pub public_key: String,
}

impl Store {
    /// Keeps a token, by its hash.
    pub async fn add_relay_token(&self, hash: &str, expires_at_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("INSERT INTO relay_tokens (hash, expires_at_ms) VALUES ($1, $2)")
            .bind(hash)
            .bind(expires_at_ms as i64)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// A relay joins. One that had this address before is replaced: its tokens are void.
    pub async fn enroll_relay(
        &self,
        hash: &str,
        relay: NewRelay,
        now_ms: u64,
    ) -> Result<Relay, EnrollError> {
        let mut tx = self.write().await?;
        let row: Option<(i64, Option<i64>)> =
            query("SELECT expires_at_ms, used_at_ms FROM relay_tokens WHERE hash = $1")
                .bind(hash)
                .fetch_optional(&mut tx)
                .await?;
        let (expires_at_ms, used) = row.ok_or(EnrollError::Invalid)?;
        if used.is_some() {
            return Err(EnrollError::Used);
        }
        if now_ms >= expires_at_ms as u64 {
            let ago_s = (now_ms - expires_at_ms as u64) / 1000;
            return Err(EnrollError::Expired { ago_s });
        }
        let before: Option<String> = query("DELETE FROM relays WHERE url = $1 RETURNING id")
            .bind(&relay.url)
            .fetch_optional(&mut tx)
            .await?;
        if let Some(before) = before {
            revoke_for_good(&mut tx, Claim::Subject, &before, now_ms).await?;
        }
        let joined = Relay {
            id: RelayId::new(),
            url: relay.url,
            public_key: relay.public_key,
        };
        query("INSERT INTO relays (id, url, public_key, enrolled_at_ms) VALUES ($1, $2, $3, $4)")
            .bind(joined.id.to_string())
            .bind(&joined.url)
            .bind(&joined.public_key)
            .bind(now_ms as i64)
            .execute(&mut tx)
            .await?;
        query("UPDATE relay_tokens SET used_at_ms = $2 WHERE hash = $1")
            .bind(hash)
            .bind(now_ms as i64)
            .execute(&mut tx)
            .await?;
        let itself = Actor::new("relay", joined.id, &joined.url);
        let event = Event::new("relay-enrolled", &joined.url);
        let nobody = self.nobody();
        nobody.record_as(&mut tx, &itself, event, now_ms).await?;
        self.commit(tx).await?;
        Ok(joined)
    }

    /// The relay with this id.
    pub async fn relay(&self, relay: RelayId) -> Result<Option<Relay>, Error> {
        let row: Option<(String, String, String)> =
            query("SELECT id, url, public_key FROM relays WHERE id = $1")
                .bind(relay.to_string())
                .fetch_optional(&mut self.read().await?)
                .await?;
        row.map(|(text, url, public_key)| {
            Ok(Relay {
                id: id(&text)?,
                url,
                public_key,
            })
        })
        .transpose()
    }

    /// Where relays listen, the newest first.
    pub async fn relay_urls(&self) -> Result<Vec<String>, Error> {
        Ok(
            query("SELECT url FROM relays ORDER BY enrolled_at_ms DESC, id")
                .fetch_all(&mut self.read().await?)
                .await?,
        )
    }
}
