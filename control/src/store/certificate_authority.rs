//! The private certificate authority, as a row: shared by all control planes on one database. There is one or none,
//! and who comes second gets the first one's. Its key comes sealed; whether it opens is decided above.

use super::audit::{Actor, Event};
use super::query::{FromRow, Row, query};
use super::{Error, Store, Transaction};

/// The certificate authority as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCa {
    /// The SHA-256 of its certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM, sealed for the row of that fingerprint.
    pub sealed_key: String,
}

impl FromRow for SealedCa {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            certificate: row.get("certificate")?,
            sealed_key: row.get("sealed_key")?,
        })
    }
}

impl Store {
    /// The certificate authority, if there is one yet.
    pub async fn certificate_authority(&self) -> Result<Option<SealedCa>, Error> {
        kept(&mut self.read().await?).await
    }

    /// Keeps the certificate authority, unless there is one: the one that is kept now. Nothing, if there is none and this
    /// one was removed.
    pub async fn keep_certificate_authority(
        &self,
        ca: SealedCa,
        now_ms: u64,
    ) -> Result<Option<SealedCa>, Error> {
        let mut tx = self.write().await?;
        if let Some(kept) = kept(&mut tx).await? {
            return Ok(Some(kept));
        }
        let removed: i64 = query("SELECT COUNT(*) FROM removed_authorities WHERE fingerprint = $1")
            .bind(&ca.fingerprint)
            .fetch_one(&mut tx)
            .await?;
        if removed > 0 {
            return Ok(None);
        }
        // The file that it may come from is removed next.
        tx.must_last().await?;
        query(
            "INSERT INTO certificate_authority \
             (only_one, fingerprint, certificate, sealed_key, kept_at_ms) VALUES (1, $1, $2, $3, $4)",
        )
        .bind(&ca.fingerprint)
        .bind(&ca.certificate)
        .bind(&ca.sealed_key)
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        let event = Event::new("ca-added", &ca.fingerprint);
        self.nobody().record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(Some(ca))
    }

    /// Forgets the certificate authority of that fingerprint, and never keeps it again. False if it is not the one that is kept.
    pub async fn remove_certificate_authority(
        &self,
        fingerprint: &str,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let removed = query("DELETE FROM certificate_authority WHERE fingerprint = $1")
            .bind(fingerprint)
            .execute(&mut tx)
            .await?;
        if removed == 0 {
            return Ok(false);
        }
        query(
            "INSERT INTO removed_authorities (fingerprint, removed_at_ms) VALUES ($1, $2) \
             ON CONFLICT (fingerprint) DO NOTHING",
        )
        .bind(fingerprint)
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        let event = Event::new("ca-removed", fingerprint);
        let admin = self.nobody().by(Actor::admin());
        admin.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn kept(tx: &mut Transaction) -> Result<Option<SealedCa>, Error> {
    Ok(
        query("SELECT fingerprint, certificate, sealed_key FROM certificate_authority")
            .fetch_optional(tx)
            .await?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    fn ca(fingerprint: &str) -> SealedCa {
        SealedCa {
            fingerprint: fingerprint.into(),
            certificate: "certificate".into(),
            sealed_key: "sealed".into(),
        }
    }

    #[tokio::test]
    async fn who_comes_second_gets_the_ca_of_who_came_first() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            assert_eq!(store.certificate_authority().await.unwrap(), None);
            let (one, two) = tokio::join!(
                store.keep_certificate_authority(ca("one"), NOW),
                store.keep_certificate_authority(ca("two"), NOW)
            );
            let (one, two) = (one.unwrap(), two.unwrap());
            assert_eq!(one, two);
            assert_eq!(store.certificate_authority().await.unwrap(), one);
        }
    }

    #[tokio::test]
    async fn only_the_ca_that_was_named_is_removed() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let kept = store.keep_certificate_authority(ca("one"), NOW).await;
            let removed = async |name| store.remove_certificate_authority(name, NOW).await.unwrap();
            assert!(!removed("two").await);
            assert_eq!(store.certificate_authority().await.unwrap(), kept.unwrap());
            assert!(removed("one").await);
            let again = store.keep_certificate_authority(ca("one"), NOW).await;
            assert_eq!(again.unwrap(), None, "it does not come back");
            assert_eq!(store.certificate_authority().await.unwrap(), None);
            let next = store.keep_certificate_authority(ca("two"), NOW).await;
            assert_eq!(next.unwrap().unwrap().fingerprint, "two");
        }
    }
}
