//! Who may come from another provider of identity, as which account: what an administrator named, and what the first
//! login by an e-mail address made of it. An identity that nobody named belongs to nobody.

use cmdop_proto::AccountId;
use uuid::Uuid;

use super::audit::Event;
use super::query::query;
use super::{Error, Known, Store, Workspace, id};

/// What an administrator knows of somebody before they have come.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// An address that the provider has verified.
    Email(&'a str),
    /// The provider's own name for them.
    Subject(&'a str),
}

/// Who came.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// From which provider.
    pub issuer: &'a str,
    /// Its own name for them, which stays.
    pub subject: &'a str,
    /// An address that the provider has verified, if it has one.
    pub email: Option<&'a str>,
}

impl Store {
    /// The account of who came; the first time by address, the subject is kept, and the address alone opens
    /// nothing any more.
    pub async fn account_of(
        &self,
        arrived: Arrived<'_>,
        now_ms: u64,
    ) -> Result<Option<Known>, Error> {
        let by_subject = "SELECT workspace_id, account_id FROM external_identities \
                          WHERE issuer = $1 AND subject = $2";
        if let Some(known) = self
            .identity(by_subject, arrived.issuer, arrived.subject)
            .await?
        {
            return Ok(Some(known));
        }
        let Some(email) = arrived.email.map(str::to_ascii_lowercase) else {
            return Ok(None);
        };
        let by_email = "SELECT workspace_id, account_id FROM external_identities \
                        WHERE issuer = $1 AND email_key = $2 AND subject IS NULL";
        let Some(known) = self.identity(by_email, arrived.issuer, &email).await? else {
            return Ok(None);
        };
        let workspace = self.workspace(known.workspace);
        let is_joined = workspace
            .join_identity(arrived, &email, known.account, now_ms)
            .await?;
        Ok(is_joined.then_some(known))
    }

    async fn identity(
        &self,
        statement: &'static str,
        issuer: &str,
        name: &str,
    ) -> Result<Option<Known>, Error> {
        let row: Option<(String, String)> = query(statement)
            .bind(issuer)
            .bind(name)
            .fetch_optional(&mut self.read().await?)
            .await?;
        row.map(|(workspace, account)| {
            Ok(Known {
                workspace: id(&workspace)?,
                account: id(&account)?,
            })
        })
        .transpose()
    }
}

impl Workspace<'_> {
    /// Lets who is named at `issuer` come as `account`. False if they are somebody already.
    pub async fn name_identity(
        &self,
        account: AccountId,
        issuer: &str,
        named: Named<'_>,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let (email, subject) = match named {
            Named::Email(email) => (Some(email.to_ascii_lowercase()), None),
            Named::Subject(subject) => (None, Some(subject.to_owned())),
        };
        let mut tx = self.write().await?;
        let done = query(
            "INSERT INTO external_identities \
             (id, workspace_id, account_id, issuer, email_key, subject) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(issuer)
        .bind(email.clone())
        .bind(subject.clone())
        .execute(&mut tx)
        .await?;
        if done == 0 {
            return Ok(false);
        }
        let event = Event::new("identity-named", account.to_string())
            .detail("issuer", issuer)
            .detail("name", email.or(subject).unwrap_or_default());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn join_identity(
        &self,
        arrived: Arrived<'_>,
        email: &str,
        account: AccountId,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE external_identities SET subject = $5 WHERE workspace_id = $1 AND account_id = $2 \
             AND issuer = $3 AND email_key = $4 AND subject IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(arrived.issuer)
        .bind(email)
        .bind(arrived.subject)
        .execute(&mut tx)
        .await?;
        if done == 1 {
            let event = Event::new("identity-joined", account.to_string())
                .detail("issuer", arrived.issuer)
                .detail("subject", arrived.subject);
            self.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Nobody comes from elsewhere as `account` any more. Says how many could.
    pub async fn forget_identities(&self, account: AccountId, now_ms: u64) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let done =
            query("DELETE FROM external_identities WHERE workspace_id = $1 AND account_id = $2")
                .bind(self.id.to_string())
                .bind(account.to_string())
                .execute(&mut tx)
                .await?;
        if done > 0 {
            let event = Event::new("identities-forgotten", account.to_string());
            self.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    const ISSUER: &str = "https://idp.example";

    fn came(subject: &'static str, email: Option<&'static str>) -> Arrived<'static> {
        Arrived {
            issuer: ISSUER,
            subject,
            email,
        }
    }

    #[tokio::test]
    async fn an_address_opens_once_and_the_subject_from_then_on() {
        for scratch in Scratch::each().await {
            let (store, here, ada) = (&scratch.store, scratch.here(), scratch.account);
            let email = Named::Email("Ada@Example.org");
            assert!(here.name_identity(ada, ISSUER, email, NOW).await.unwrap());
            assert!(!here.name_identity(ada, ISSUER, email, NOW).await.unwrap());
            let find = |arrived| store.account_of(arrived, NOW);
            assert_eq!(find(came("s1", None)).await.unwrap(), None);
            let other = came("s1", Some("eve@example.org"));
            assert_eq!(find(other).await.unwrap(), None);
            let first = find(came("s1", Some("ada@example.ORG"))).await.unwrap();
            assert_eq!(first.unwrap().account, ada);
            let later = find(came("s1", None)).await.unwrap();
            assert_eq!(later.unwrap().account, ada);
            let heir = find(came("s2", Some("ada@example.org"))).await.unwrap();
            assert_eq!(heir, None, "the address is somebody else's now");
            let elsewhere = Arrived {
                issuer: "https://other.example",
                ..came("s1", Some("ada@example.org"))
            };
            assert_eq!(find(elsewhere).await.unwrap(), None);
            assert_eq!(here.forget_identities(ada, NOW).await.unwrap(), 1);
            assert_eq!(find(came("s1", None)).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_subject_that_was_named_needs_no_address() {
        for scratch in Scratch::each().await {
            let (here, ada) = (scratch.here(), scratch.account);
            let subject = Named::Subject("s1");
            assert!(here.name_identity(ada, ISSUER, subject, NOW).await.unwrap());
            let known = scratch.store.account_of(came("s1", None), NOW).await;
            assert_eq!(known.unwrap().unwrap().account, ada);
        }
    }
}
