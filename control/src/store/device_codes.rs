//! Device codes (RFC 8628): asked for by a program, approved by a person, exchanged once.

use cmdop_proto::{AccountId, WorkspaceId};

use super::audit::{Event, Outcome};
use super::query::query;
use super::{Error, Store, Workspace, id};
use crate::lifetimes::DEVICE_INTERVAL;

/// Device codes that wait at the same time: what a stranger who asks for them can make us store.
const MAX_PENDING: i64 = 10_000;

/// Added to the interval of a client that polls too fast (RFC 8628, section 3.5).
const SLOWER_MS: i64 = 5_000;

/// A poll that comes this much early is on time: networks are not clocks.
const EARLY_MS: i64 = 500;

/// A code that is asked for.
#[derive(Clone, Debug)]
pub struct NewDeviceCode<'a> {
    /// The hash of what the program keeps.
    pub hash: &'a str,
    /// The hash of what the person types.
    pub user_code_hash: &'a str,
    /// Which program.
    pub client: &'a str,
    /// From which address.
    pub peer: &'a str,
    /// Void from then on.
    pub expires_at_ms: u64,
}

/// How far a code has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has decided.
    Pending,
    /// A person said yes.
    Approved,
    /// A person said no.
    Denied,
    /// It was exchanged for tokens.
    Used,
}

impl DeviceState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Used]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(Error::Unreadable {
                what: "device code's state",
            })
    }
}

/// What the person who approves gets to see.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// Which program asks.
    pub client: String,
    /// From which address.
    pub peer: String,
    /// When it asked.
    pub created_at_ms: u64,
}

/// What a program that polls is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// There is no such code, or it was used.
    Unknown,
    /// Too late.
    Expired,
    /// Too early; the interval is longer from now on.
    TooFast,
    /// Not yet.
    Pending,
    /// No.
    Denied,
    /// Yes, by this account.
    Approved {
        /// Its workspace.
        workspace: WorkspaceId,
        /// The account.
        account: AccountId,
    },
}

type Row = (
    String,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
);

impl Store {
    /// Keeps a code, unless too many wait already.
    pub async fn add_device_code(
        &self,
        code: NewDeviceCode<'_>,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let waiting: i64 = query("SELECT COUNT(*) FROM device_codes WHERE expires_at_ms > $1")
            .bind(now_ms as i64)
            .fetch_one(&mut tx)
            .await?;
        if waiting >= MAX_PENDING {
            return Ok(false);
        }
        query(
            "INSERT INTO device_codes (hash, user_code_hash, client, peer, state, created_at_ms, \
             expires_at_ms, interval_ms) VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7)",
        )
        .bind(code.hash)
        .bind(code.user_code_hash)
        .bind(code.client)
        .bind(code.peer)
        .bind(now_ms as i64)
        .bind(code.expires_at_ms as i64)
        .bind(DEVICE_INTERVAL.as_millis() as i64)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The code that a person typed, if it waits for a decision.
    pub async fn pending_device_code(
        &self,
        user_code_hash: &str,
        now_ms: u64,
    ) -> Result<Option<DeviceCode>, Error> {
        let row: Option<(String, String, i64)> = query(
            "SELECT client, peer, created_at_ms FROM device_codes \
             WHERE user_code_hash = $1 AND state = 'pending' AND expires_at_ms > $2",
        )
        .bind(user_code_hash)
        .bind(now_ms as i64)
        .fetch_optional(&mut self.read().await?)
        .await?;
        Ok(row.map(|(client, peer, created_at_ms)| DeviceCode {
            client,
            peer,
            created_at_ms: created_at_ms as u64,
        }))
    }

    /// The program asks whether its code was approved.
    pub async fn poll_device_code(&self, hash: &str, now_ms: u64) -> Result<Polled, Error> {
        let mut tx = self.write().await?;
        let row: Option<Row> = query(
            "SELECT state, expires_at_ms, interval_ms, polled_at_ms, workspace_id, account_id \
             FROM device_codes WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(&mut tx)
        .await?;
        let Some((state, expires_at_ms, interval_ms, polled_at_ms, workspace, account)) = row
        else {
            return Ok(Polled::Unknown);
        };
        let now = now_ms as i64;
        let state = DeviceState::parse(&state)?;
        if state == DeviceState::Used {
            return Ok(Polled::Unknown);
        }
        if now >= expires_at_ms {
            return Ok(Polled::Expired);
        }
        let too_fast = polled_at_ms.is_some_and(|last| now + EARLY_MS < last + interval_ms);
        query("UPDATE device_codes SET polled_at_ms = $2, interval_ms = $3 WHERE hash = $1")
            .bind(hash)
            .bind(now)
            .bind(if too_fast {
                interval_ms + SLOWER_MS
            } else {
                interval_ms
            })
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        if too_fast {
            return Ok(Polled::TooFast);
        }
        match (state, workspace, account) {
            (DeviceState::Denied, ..) => Ok(Polled::Denied),
            (DeviceState::Approved, Some(workspace), Some(account)) => Ok(Polled::Approved {
                workspace: id(&workspace)?,
                account: id(&account)?,
            }),
            _ => Ok(Polled::Pending),
        }
    }
}

impl Workspace<'_> {
    /// An account of this workspace decides. False if there is nothing to decide any more.
    pub async fn decide_device_code(
        &self,
        user_code_hash: &str,
        account: AccountId,
        decision: DeviceState,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE device_codes SET state = $3, workspace_id = $4, account_id = $5 \
             WHERE user_code_hash = $1 AND state = 'pending' AND expires_at_ms > $2",
        )
        .bind(user_code_hash)
        .bind(now_ms as i64)
        .bind(decision.as_str())
        .bind(self.id.to_string())
        .bind(account.to_string())
        .execute(&mut tx)
        .await?;
        if done == 1 {
            let outcome = if decision == DeviceState::Approved {
                Outcome::Allowed
            } else {
                Outcome::Denied
            };
            let event = Event::new("device-login-decided", account.to_string()).outcome(outcome);
            self.record(&mut tx, event, now_ms).await?;
        }
        tx.commit().await?;
        Ok(done == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};
    use crate::store::{LoginError, Method};

    const STEP: u64 = DEVICE_INTERVAL.as_millis() as u64;
    const END: u64 = NOW + 600_000;

    async fn asked() -> [Scratch; 2] {
        let each = Scratch::each().await;
        for scratch in &each {
            let code = NewDeviceCode {
                hash: "d",
                user_code_hash: "u",
                client: "cmdop-cli",
                peer: "127.0.0.1",
                expires_at_ms: END,
            };
            assert!(scratch.store.add_device_code(code, NOW).await.unwrap());
        }
        each
    }

    async fn poll(scratch: &Scratch, at: u64) -> Polled {
        scratch.store.poll_device_code("d", at).await.unwrap()
    }

    async fn decide(scratch: &Scratch, decision: DeviceState, at: u64) -> bool {
        let here = scratch.here();
        here.decide_device_code("u", scratch.account, decision, at)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn pending_approved_used() {
        for scratch in asked().await {
            assert_eq!(poll(&scratch, NOW).await, Polled::Pending);
            assert!(decide(&scratch, DeviceState::Approved, NOW).await);
            assert!(
                !decide(&scratch, DeviceState::Denied, NOW).await,
                "a decision stands"
            );
            let approved = Polled::Approved {
                workspace: scratch.workspace,
                account: scratch.account,
            };
            assert_eq!(poll(&scratch, NOW + STEP).await, approved);
            let here = scratch.here();
            here.log_in(Method::Device("d"), "r1", NOW).await.unwrap();
            assert_eq!(poll(&scratch, NOW + 2 * STEP).await, Polled::Unknown);
            let again = here.log_in(Method::Device("d"), "r2", NOW).await;
            assert!(matches!(again, Err(LoginError::Used)));
        }
    }

    #[tokio::test]
    async fn nothing_is_approved_or_exchanged_after_its_end() {
        for scratch in asked().await {
            assert!(!decide(&scratch, DeviceState::Approved, END).await);
            assert_eq!(poll(&scratch, END).await, Polled::Expired);
            assert!(
                scratch
                    .store
                    .pending_device_code("u", END)
                    .await
                    .unwrap()
                    .is_none()
            );
            let pending = scratch.here().log_in(Method::Device("d"), "r1", NOW).await;
            assert!(
                matches!(pending, Err(LoginError::Used)),
                "what is pending logs nobody in"
            );
        }
    }

    #[tokio::test]
    async fn each_poll_that_comes_too_early_makes_the_interval_longer() {
        for scratch in asked().await {
            let slower = SLOWER_MS as u64;
            assert_eq!(poll(&scratch, NOW).await, Polled::Pending);
            assert_eq!(poll(&scratch, NOW + 1).await, Polled::TooFast);
            assert_eq!(poll(&scratch, NOW + 1 + STEP).await, Polled::TooFast);
            let longest = STEP + 2 * slower;
            assert_eq!(
                poll(&scratch, NOW + 1 + STEP + longest).await,
                Polled::Pending
            );
        }
    }
}
