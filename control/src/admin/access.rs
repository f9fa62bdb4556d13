//! What helps a locked-out owner, and what an administrator does with the keys that sign tokens and certificates.

use std::time::Duration;

use cmdop_proto::Refusal;

use super::{Admin, Error};
use crate::secret::Secret;
use crate::signer;
use crate::store::{Named, RemoveKeyError, SealedCa, SealedKey, SecondFactorRule};
use crate::{ca, guesses};

/// The longest that a new key may wait: after that it was forgotten.
const LONGEST_LEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Admin {
    /// Requires a second factor of everybody in a workspace, or leaves it to them. Logins that stand go on.
    pub async fn set_second_factor_rule(
        &self,
        workspace: &str,
        rule: SecondFactorRule,
    ) -> Result<(), Error> {
        let workspace = self.in_hand(self.workspace(workspace).await?);
        let now_ms = self.clock.now_ms();
        Ok(workspace.set_second_factor_rule(rule, now_ms).await?)
    }

    /// Takes an account's second factor away, with its recovery codes.
    pub async fn reset_second_factor(&self, name: &str) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let now_ms = self.clock.now_ms();
        if workspace.drop_second_factor(known.account, now_ms).await? {
            return Ok(());
        }
        let none = format!("the account {name} has no second factor");
        Err(Refusal::invalid("second-factor-missing", none).into())
    }

    /// Lets an account be logged in to again at once, after too many wrong guesses.
    pub async fn unlock(&self, name: &str) -> Result<(), Error> {
        let known = self.account(name).await?;
        for subject in guesses::subjects_of(name, known.account) {
            self.store.unlock(&subject).await?;
        }
        let event = crate::store::Event::new("account-unlocked", known.account.to_string());
        let workspace = self.in_hand(known.workspace);
        Ok(workspace.note(event, self.clock.now_ms()).await?)
    }

    /// Lets somebody who is named at another provider of identity come as an account.
    pub async fn name_identity(
        &self,
        name: &str,
        issuer: &str,
        named: Named<'_>,
    ) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let now_ms = self.clock.now_ms();
        let done = workspace.name_identity(known.account, issuer, named, now_ms);
        if done.await? {
            return Ok(());
        }
        let taken = "that identity belongs to an account already";
        let hint = "`cmdop-control admin forget-identities NAME` frees those of an account";
        Err(Refusal::invalid("identity-taken", taken).hint(hint).into())
    }

    /// Nobody comes from another provider of identity as that account any more.
    pub async fn forget_identities(&self, name: &str) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let now_ms = self.clock.now_ms();
        workspace.forget_identities(known.account, now_ms).await?;
        Ok(())
    }

    /// Makes a new signing key: published at once, it signs after `lead`. Gives its name. `secrets_key` is
    /// what the environment has, if it has one.
    pub async fn rotate_key(
        &self,
        lead: Duration,
        secrets_key: Option<&Secret>,
    ) -> Result<String, Error> {
        if lead > LONGEST_LEAD {
            let long = "a new key signs within 30 days";
            return Err(Refusal::invalid("bad-request", long).into());
        }
        let sealer = self.sealer(secrets_key)?;
        // A key that the servers cannot open would keep them from starting.
        signer::must_open(self.store.signing_keys().await?, &sealer)?;
        let now_ms = self.clock.now_ms();
        let signs_from_ms = now_ms + lead.as_millis() as u64;
        let key = signer::new_key(&sealer, now_ms, signs_from_ms)?;
        if self.store.add_signing_key(&key).await? {
            return Ok(key.id);
        }
        let many = "there are as many signing keys as there may be";
        let hint = "old ones go by themselves, an hour after the next one signs";
        Err(Refusal::exhausted("too-many-keys", many).hint(hint).into())
    }

    /// The CA that machines, relays and people trust.
    pub async fn ca(&self) -> Result<SealedCa, Error> {
        let kept = self.store.certificate_authority().await?;
        kept.ok_or(Error::NoCa)
    }

    /// Forgets the CA of that fingerprint, whose key has leaked or cannot be opened any more: the next start makes another,
    /// and everything has to enrol again. Control planes that run go on with the old one until then.
    pub async fn remove_ca(&self, fingerprint: &str) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let removed = self.store.remove_certificate_authority(fingerprint, now_ms);
        if removed.await? {
            return Ok(ca::remove_copy(&self.directory, fingerprint)?);
        }
        let there = self.ca().await?.fingerprint;
        let other = format!("the CA has another fingerprint, {there}");
        let hint = "`cmdop-control admin ca --fingerprint` prints it";
        Err(Refusal::not_found("ca-unknown", other).hint(hint).into())
    }

    /// The signing keys, in the order in which they sign.
    pub async fn signing_keys(&self) -> Result<Vec<SealedKey>, Error> {
        Ok(self.store.signing_keys().await?)
    }

    /// Removes a signing key: what it signed is void.
    pub async fn remove_key(&self, id: &str) -> Result<(), Error> {
        let removed = self.store.remove_signing_key(id, self.clock.now_ms());
        removed.await.map_err(|error| match error {
            RemoveKeyError::Unknown => Refusal::not_found("key-unknown", error.to_string())
                .hint("`cmdop-control admin signing-keys` lists them")
                .into(),
            RemoveKeyError::Last => Refusal::invalid("last-key", error.to_string())
                .hint("make another first: `cmdop-control admin rotate-key --lead 0s`")
                .into(),
            RemoveKeyError::Store(error) => Error::from(error),
        })
    }
}
