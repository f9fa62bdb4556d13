//! Which machines are linked, as relays say. Reports may come late, twice, or in another order than things
//! happened: each says which link it is about.

use cmdop_proto::v1::{Presence, ReportedPresence};
use cmdop_proto::{MachineId, text};

use super::query::query;
use super::{Error, Transaction, Workspace};
use crate::publication;

/// What a reason may take.
const MAX_REASON: usize = 256;

/// What was said last of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    is_online: bool,
    relay: String,
    epoch: u64,
    at_ms: u64,
}

/// What is kept, if `now` says something new. Of one relay the younger link counts, and an end of a link
/// counts once; another relay is believed that a machine came to it later, not that it went.
fn next(last: Option<&Last>, now: Last) -> Option<Last> {
    let is_news = match last {
        None => true,
        Some(last) if last.relay == now.relay && now.is_online => now.epoch > last.epoch,
        Some(last) if last.relay == now.relay => {
            now.epoch > last.epoch || (now.epoch == last.epoch && last.is_online)
        }
        Some(last) => now.is_online && now.at_ms >= last.at_ms,
    };
    is_news.then_some(now)
}

impl Workspace<'_> {
    /// Keeps what a relay reported of a machine, and tells it if the machine came or went.
    pub(super) async fn keep_presence(
        &self,
        tx: &mut Transaction,
        reported: ReportedPresence,
        (relay, at_ms): (&str, u64),
    ) -> Result<(), Error> {
        let Ok(machine) = reported.machine_id.parse::<MachineId>() else {
            tracing::warn!(%relay, "a report of a machine without a usable id");
            return Ok(());
        };
        let Some(name) = self.machine_name(tx, machine).await? else {
            // It left the workspace meanwhile.
            return Ok(());
        };
        let presence = reported.presence();
        let now = Last {
            is_online: presence == Presence::Online,
            relay: relay.to_owned(),
            epoch: reported.link_epoch,
            at_ms,
        };
        let last = self.last_presence(tx, machine).await?;
        let was_online = last.as_ref().is_some_and(|last| last.is_online);
        let Some(now) = next(last.as_ref(), now) else {
            return Ok(());
        };
        self.set_presence(tx, machine, &now).await?;
        if now.is_online == was_online {
            return Ok(());
        }
        let reason = text::shown(&reported.reason, MAX_REASON);
        let told = publication::presence((machine, &name), presence, &reason, at_ms);
        self.tell(tx, told, at_ms, None).await
    }

    async fn machine_name(
        &self,
        tx: &mut Transaction,
        machine: MachineId,
    ) -> Result<Option<String>, Error> {
        Ok(
            query("SELECT name FROM machines WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(machine.to_string())
                .fetch_optional(tx)
                .await?,
        )
    }

    async fn last_presence(
        &self,
        tx: &mut Transaction,
        machine: MachineId,
    ) -> Result<Option<Last>, Error> {
        let row: Option<(i64, String, i64, i64)> = query(
            "SELECT is_online, relay_id, link_epoch, changed_at_ms FROM presence \
             WHERE workspace_id = $1 AND machine_id = $2",
        )
        .bind(self.id.to_string())
        .bind(machine.to_string())
        .fetch_optional(tx)
        .await?;
        Ok(row.map(|(is_online, relay, epoch, at_ms)| Last {
            is_online: is_online != 0,
            relay,
            epoch: epoch.max(0) as u64,
            at_ms: at_ms.max(0) as u64,
        }))
    }

    async fn set_presence(
        &self,
        tx: &mut Transaction,
        machine: MachineId,
        now: &Last,
    ) -> Result<(), Error> {
        query(
            "INSERT INTO presence (workspace_id, machine_id, is_online, relay_id, link_epoch, \
             changed_at_ms) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (workspace_id, machine_id) DO UPDATE SET is_online = excluded.is_online, \
             relay_id = excluded.relay_id, link_epoch = excluded.link_epoch, \
             changed_at_ms = excluded.changed_at_ms",
        )
        .bind(self.id.to_string())
        .bind(machine.to_string())
        .bind(i64::from(now.is_online))
        .bind(&now.relay)
        .bind(now.epoch.min(i64::MAX as u64) as i64)
        .bind(now.at_ms as i64)
        .execute(tx)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(is_online: bool, relay: &str, epoch: u64, at_ms: u64) -> Last {
        Last {
            is_online,
            relay: relay.into(),
            epoch,
            at_ms,
        }
    }

    /// What is left of the reports in that order.
    fn after(reports: &[Last]) -> Option<Last> {
        reports
            .iter()
            .fold(None, |last, now| next(last.as_ref(), now.clone()).or(last))
    }

    #[test]
    fn the_order_in_which_one_relay_is_heard_does_not_matter() {
        let happened = [
            said(true, "a", 1, 10),
            said(false, "a", 1, 20),
            said(true, "a", 2, 30),
        ];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let heard: Vec<_> = order.iter().map(|n| happened[*n].clone()).collect();
            assert!(after(&heard).unwrap().is_online, "{order:?}");
        }
        let gone = [said(true, "a", 3, 1), said(false, "a", 3, 1)];
        for heard in [
            &gone[..],
            &[gone[1].clone(), gone[0].clone()],
            &[
                gone[0].clone(),
                gone[1].clone(),
                gone[1].clone(),
                gone[0].clone(),
            ],
        ] {
            assert!(!after(heard).unwrap().is_online, "{heard:?}");
        }
    }

    #[test]
    fn a_relay_that_a_machine_left_for_another_says_nothing_of_it_any_more() {
        let moved = [
            said(true, "a", 5, 10),
            said(true, "b", 1, 20),
            said(false, "a", 5, 80),
        ];
        assert_eq!(after(&moved).unwrap(), moved[1]);
        let gone = said(false, "b", 1, 90);
        assert!(!next(Some(&moved[1]), gone).unwrap().is_online);
        // What was spooled before the move is old.
        assert_eq!(next(Some(&moved[1]), said(true, "a", 4, 15)), None);
    }
}
