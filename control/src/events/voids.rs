//! Whether a connection's token was revoked since it came: heard from the hub, and looked up where something
//! may have been missed.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::hub::Void;
use super::ticket::Ticket;
use crate::store::Store;

/// What one connection hears of revocations. It listens before its token is looked at, so that none passes
/// between the two.
#[derive(Debug)]
pub(super) struct Voids {
    told: Receiver<Void>,
    must_look: bool,
}

impl Voids {
    pub(super) fn new(told: Receiver<Void>) -> Self {
        Self {
            told,
            must_look: false,
        }
    }

    /// Returns when `ticket` is void; never for nobody. Cancel-safe: what was heard and not looked up yet is
    /// remembered.
    pub(super) async fn hit(&mut self, store: &Store, ticket: Option<&Ticket>) {
        let Some(ticket) = ticket else {
            return std::future::pending().await;
        };
        loop {
            if self.must_look {
                // While the database does not answer, the next revocation is another chance.
                match store.is_revoked(ticket.claims()).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "a revocation could not be looked up"),
                }
                self.must_look = false;
            }
            match self.told.recv().await {
                Ok(Void::Revoked(revocation)) if ticket.is_hit_by(&revocation) => return,
                Ok(Void::Revoked(_)) => {}
                Ok(Void::Unknown) | Err(RecvError::Lagged(_)) => self.must_look = true,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}
