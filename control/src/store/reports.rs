//! What relays report, kept once: events in the audit log, sessions in the catalogue, machines' presence;
//! and told to those who follow.

use cmdop_proto::{MachineId, RelayId, SessionId, v1};
use v1::report::What;

use super::audit::{Actor, Event, Outcome, Reported};
use super::query::query;
use super::{Error, Transaction, Workspace};

/// What a report's key may be.
const MAX_KEY: usize = 64;

/// The end of what the database can count, in milliseconds.
const FAR: u64 = i64::MAX as u64;

impl Workspace<'_> {
    /// Keeps what `relay` saw in this workspace, in the order in which it is told. What was kept before,
    /// and what nobody could have seen, changes nothing: the relay is to forget it either way.
    pub async fn keep_reports(
        &self,
        relay: RelayId,
        reports: Vec<v1::Report>,
    ) -> Result<(), Error> {
        let relay = relay.to_string();
        let mut tx = self.write().await?;
        let is_tenant = self.is_there(&mut tx).await?;
        if !is_tenant && self.id != self.store.nobody().id {
            tracing::warn!(workspace = %self.id, "reports of a workspace that is not here");
            return Ok(());
        }
        self.store.meters.reported(reports.len());
        for report in reports {
            let key_fits = (1..=MAX_KEY).contains(&report.key.len());
            let at_ms = report.at_ms.min(FAR);
            match report.what {
                Some(What::Event(event)) if key_fits => {
                    let reported = Reported {
                        source: &relay,
                        key: &report.key,
                    };
                    let (actor, event) = told(event);
                    self.append(&mut tx, &actor, event, at_ms, Some(reported))
                        .await?;
                }
                Some(What::Session(session)) if key_fits && is_tenant => {
                    let Some(session) = identified(session) else {
                        tracing::warn!(%relay, "a report of a session without a usable id");
                        continue;
                    };
                    let by = (report.key.as_str(), relay.as_str(), at_ms);
                    self.keep_session(&mut tx, session, by).await?;
                }
                Some(What::Presence(presence)) if key_fits && is_tenant => {
                    self.keep_presence(&mut tx, presence, (&relay, at_ms))
                        .await?;
                }
                _ => tracing::warn!(%relay, "a report that cannot be kept"),
            }
        }
        self.store.commit(tx).await
    }

    pub(super) async fn is_there(&self, tx: &mut Transaction) -> Result<bool, Error> {
        let found: i64 = query("SELECT COUNT(*) FROM workspaces WHERE id = $1")
            .bind(self.id.to_string())
            .fetch_one(tx)
            .await?;
        Ok(found == 1)
    }
}

/// The session with its ids as we write them; nothing if they are no ids.
fn identified(mut session: v1::Session) -> Option<v1::Session> {
    session.id = session.id.parse::<SessionId>().ok()?.to_string();
    let machine = session.machine_id.parse::<MachineId>().ok()?;
    session.machine_id = machine.to_string();
    Some(session)
}

/// A reported event in our words: a relay can speak of those that call it, not of us.
pub(super) fn told(event: v1::ReportedEvent) -> (Actor, Event) {
    let actor = event.actor.unwrap_or_default();
    let kind = ["account", "key", "machine"]
        .into_iter()
        .find(|kind| *kind == actor.kind)
        .unwrap_or("relay");
    let outcome = [Outcome::Denied, Outcome::Failed]
        .into_iter()
        .find(|outcome| outcome.as_str() == event.outcome)
        .unwrap_or(Outcome::Allowed);
    // In an order that does not depend on a hash map: what is too much is cut the same way each time.
    let detail: std::collections::BTreeMap<_, _> = event.detail.into_iter().collect();
    let told = Event::new(&event.action, &event.target).outcome(outcome);
    let told = detail
        .into_iter()
        .fold(told, |told, (key, value)| told.detail(&key, value));
    let id = cmdop_proto::text::shown(&actor.id, MAX_KEY);
    (Actor::new(kind, id, &actor.name), told)
}

#[cfg(test)]
mod tests;
