//! Second factors and recovery codes, as rows: what is proposed, what is in force, which step was the last.
//!
//! Nothing here knows a secret or a code: the one comes sealed, the others as hashes, and whether a code is
//! right is decided before.

use cmdop_proto::AccountId;

use super::audit::Event;
use super::query::{FromRow, Row, query};
use super::{Error, Transaction, Workspace};

/// The second factor of an account.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    /// The secret, sealed for this account.
    pub sealed: String,
    /// In force since; none: it is proposed.
    pub confirmed_at_ms: Option<u64>,
    /// Recovery codes that were not used.
    pub codes_left: u64,
}

/// What a workspace asks of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactorRule {
    /// Who wants to has one.
    Optional,
    /// Nobody logs in on the pages without.
    Required,
}

impl SecondFactorRule {
    fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl FromRow for SecondFactor {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sealed: row.get("sealed")?,
            confirmed_at_ms: row
                .get::<Option<i64>>("confirmed_at_ms")?
                .map(|ms| ms as u64),
            codes_left: row.count("codes_left")?,
        })
    }
}

impl Workspace<'_> {
    /// The account's second factor, proposed or in force.
    pub async fn second_factor(&self, account: AccountId) -> Result<Option<SecondFactor>, Error> {
        Ok(query(
            "SELECT sealed, confirmed_at_ms, (SELECT COUNT(*) FROM recovery_codes c \
             WHERE c.workspace_id = f.workspace_id AND c.account_id = f.account_id) AS codes_left \
             FROM second_factors f WHERE f.workspace_id = $1 AND f.account_id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .fetch_optional(&mut self.read().await?)
        .await?)
    }

    /// Proposes one, in the place of another that was only proposed. False if one is in force.
    pub async fn propose_second_factor(
        &self,
        account: AccountId,
        sealed: &str,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "INSERT INTO second_factors (workspace_id, account_id, sealed, proposed_at_ms, last_step) \
             VALUES ($1, $2, $3, $4, 0) ON CONFLICT (workspace_id, account_id) DO UPDATE SET \
             sealed = excluded.sealed, proposed_at_ms = excluded.proposed_at_ms, last_step = 0 \
             WHERE second_factors.confirmed_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(sealed)
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// The code of `step` proved that the secret of `sealed` arrived: it is in force, with these hashes of
    /// recovery codes. False if another was proposed since, or one is in force.
    pub async fn confirm_second_factor(
        &self,
        account: AccountId,
        sealed: &str,
        step: u64,
        recovery: &[String],
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE second_factors SET confirmed_at_ms = $4, last_step = $5 WHERE workspace_id = $1 \
             AND account_id = $2 AND sealed = $3 AND confirmed_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(sealed)
        .bind(now_ms as i64)
        .bind(step as i64)
        .execute(&mut tx)
        .await?;
        if done == 0 {
            return Ok(false);
        }
        self.keep_recovery_codes(&mut tx, account, recovery).await?;
        let event = Event::new("second-factor-enabled", account.to_string());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes the code of `step`. False if one of that step or of a later one was taken before.
    pub async fn use_second_factor(&self, account: AccountId, step: u64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE second_factors SET last_step = $3 WHERE workspace_id = $1 AND account_id = $2 \
             AND confirmed_at_ms IS NOT NULL AND last_step < $3",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(step as i64)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Takes a recovery code, by its hash. False if there is none such.
    pub async fn use_recovery_code(
        &self,
        account: AccountId,
        hash: &str,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "DELETE FROM recovery_codes WHERE workspace_id = $1 AND account_id = $2 AND hash = $3",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(hash)
        .execute(&mut tx)
        .await?;
        if done == 1 {
            let event = Event::new("recovery-code-used", account.to_string());
            self.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done == 1)
    }

    /// New recovery codes in the place of all old ones.
    pub async fn replace_recovery_codes(
        &self,
        account: AccountId,
        recovery: &[String],
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.keep_recovery_codes(&mut tx, account, recovery).await?;
        let event = Event::new("recovery-codes-made", account.to_string());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }

    async fn keep_recovery_codes(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        recovery: &[String],
    ) -> Result<(), Error> {
        self.drop_recovery_codes(tx, account).await?;
        for hash in recovery {
            query(
                "INSERT INTO recovery_codes (workspace_id, account_id, hash) VALUES ($1, $2, $3)",
            )
            .bind(self.id.to_string())
            .bind(account.to_string())
            .bind(hash)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }

    async fn drop_recovery_codes(
        &self,
        tx: &mut Transaction,
        account: AccountId,
    ) -> Result<(), Error> {
        query("DELETE FROM recovery_codes WHERE workspace_id = $1 AND account_id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .execute(tx)
            .await?;
        Ok(())
    }

    /// The account has no second factor any more. False if it had none.
    pub async fn drop_second_factor(&self, account: AccountId, now_ms: u64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query("DELETE FROM second_factors WHERE workspace_id = $1 AND account_id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .execute(&mut tx)
            .await?;
        self.drop_recovery_codes(&mut tx, account).await?;
        if done == 1 {
            let event = Event::new("second-factor-disabled", account.to_string());
            self.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Whether the workspace requires one of everybody.
    pub async fn second_factor_rule(&self) -> Result<SecondFactorRule, Error> {
        let rule: Option<String> = query("SELECT second_factor FROM workspaces WHERE id = $1")
            .bind(self.id.to_string())
            .fetch_optional(&mut self.read().await?)
            .await?;
        Ok(match rule.as_deref() {
            Some("optional") | None => SecondFactorRule::Optional,
            Some(_) => SecondFactorRule::Required,
        })
    }

    /// Decides whether it does. Logins that stand go on.
    pub async fn set_second_factor_rule(
        &self,
        rule: SecondFactorRule,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("UPDATE workspaces SET second_factor = $2 WHERE id = $1")
            .bind(self.id.to_string())
            .bind(rule.as_str())
            .execute(&mut tx)
            .await?;
        let event = Event::new("second-factor-rule-set", rule.as_str());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    fn hashes(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    async fn enabled() -> [Scratch; 2] {
        let each = Scratch::each().await;
        for scratch in &each {
            let (here, account) = (scratch.here(), scratch.account);
            assert!(
                here.propose_second_factor(account, "s1", NOW)
                    .await
                    .unwrap()
            );
            assert!(
                here.propose_second_factor(account, "s2", NOW)
                    .await
                    .unwrap()
            );
            let late = here.confirm_second_factor(account, "s1", 10, &[], NOW);
            assert!(!late.await.unwrap(), "another was proposed since");
            let codes = hashes(&["a", "b"]);
            let confirmed = here.confirm_second_factor(account, "s2", 10, &codes, NOW);
            assert!(confirmed.await.unwrap());
        }
        each
    }

    #[tokio::test]
    async fn what_is_only_proposed_is_not_in_force() {
        for scratch in Scratch::each().await {
            let (here, account) = (scratch.here(), scratch.account);
            here.propose_second_factor(account, "s", NOW).await.unwrap();
            let found = here.second_factor(account).await.unwrap().unwrap();
            assert_eq!(found.confirmed_at_ms, None);
            assert!(!here.use_second_factor(account, 11).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_step_is_taken_once_and_no_older_one_after_it() {
        for scratch in enabled().await {
            let (here, account) = (scratch.here(), scratch.account);
            assert!(!here.use_second_factor(account, 10).await.unwrap());
            let (one, two) = tokio::join!(
                here.use_second_factor(account, 12),
                here.use_second_factor(account, 12),
            );
            assert_eq!(usize::from(one.unwrap()) + usize::from(two.unwrap()), 1);
            assert!(!here.use_second_factor(account, 11).await.unwrap());
            assert!(here.use_second_factor(account, 13).await.unwrap());
            let replaced = here.propose_second_factor(account, "s3", NOW).await;
            assert!(!replaced.unwrap(), "what is in force is not replaced");
        }
    }

    #[tokio::test]
    async fn a_recovery_code_is_taken_once() {
        for scratch in enabled().await {
            let (here, account) = (scratch.here(), scratch.account);
            assert!(here.use_recovery_code(account, "a", NOW).await.unwrap());
            assert!(!here.use_recovery_code(account, "a", NOW).await.unwrap());
            let left = here.second_factor(account).await.unwrap().unwrap();
            assert_eq!(left.codes_left, 1);
            let new = hashes(&["c"]);
            here.replace_recovery_codes(account, &new, NOW)
                .await
                .unwrap();
            assert!(!here.use_recovery_code(account, "b", NOW).await.unwrap());
            assert!(here.use_recovery_code(account, "c", NOW).await.unwrap());
        }
    }

    #[tokio::test]
    async fn another_workspace_reaches_nothing_of_it() {
        for scratch in enabled().await {
            let (elsewhere, account) = (scratch.elsewhere().await, scratch.account);
            assert!(elsewhere.second_factor(account).await.unwrap().is_none());
            assert!(!elsewhere.use_second_factor(account, 99).await.unwrap());
            assert!(
                !elsewhere
                    .use_recovery_code(account, "a", NOW)
                    .await
                    .unwrap()
            );
            assert!(!elsewhere.drop_second_factor(account, NOW).await.unwrap());
            let here = scratch.here();
            assert!(here.second_factor(account).await.unwrap().is_some());
            assert!(here.drop_second_factor(account, NOW).await.unwrap());
            assert!(here.second_factor(account).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_workspace_decides_for_itself() {
        for scratch in Scratch::each().await {
            let (here, elsewhere) = (scratch.here(), scratch.elsewhere().await);
            let rule = SecondFactorRule::Required;
            here.set_second_factor_rule(rule, NOW).await.unwrap();
            assert_eq!(here.second_factor_rule().await.unwrap(), rule);
            let other = elsewhere.second_factor_rule().await.unwrap();
            assert_eq!(other, SecondFactorRule::Optional);
        }
    }
}
