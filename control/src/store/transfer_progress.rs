//! How far transfers are: what each relay said last, for the control planes to tell those who listen now.
//!
//! It has no number in the workspace's events and is never told again: what is missed of it is old.

use std::collections::HashMap;

use cmdop_proto::{RelayId, WorkspaceId, v1};
use serde::{Deserialize, Serialize};
use v1::report::What;

use super::audit::outside;
use super::events::AT_ONCE;
use super::query::{assembled, query};
use super::reports::told;
use super::{Error, Store, Workspace, id};
use crate::publication;

/// What is older is not told: whoever comes back after a pause hears what is now.
const FRESH_MS: u64 = 10_000;

/// How far one transfer is, in two forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// A JSON object.
    pub told: String,
    /// The same for those who may read files.
    pub told_with_paths: Option<String>,
}

/// What a relay said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which relay.
    pub relay: String,
    /// Rises with each time that it says something.
    pub number: i64,
    /// All that it said that time.
    pub progress: Vec<Progress>,
}

impl Workspace<'_> {
    /// Keeps what `relay` says now of this workspace's transfers, instead of what it said before.
    pub async fn keep_progress(
        &self,
        relay: RelayId,
        reports: Vec<v1::Report>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let relay = relay.to_string();
        let progress: Vec<_> = reports.into_iter().filter_map(progress).collect();
        // It cannot fail: they are strings.
        let progress = serde_json::to_string(&progress).unwrap_or_default();
        let mut tx = self.write().await?;
        if !self.is_there(&mut tx).await? {
            return Ok(());
        }
        query(
            "INSERT INTO transfer_progress (workspace_id, relay_id, number, at_ms, told) \
             VALUES ($1, $2, 1, $3, $4) ON CONFLICT (workspace_id, relay_id) DO UPDATE SET \
             number = transfer_progress.number + 1, at_ms = excluded.at_ms, told = excluded.told",
        )
        .bind(self.id.to_string())
        .bind(relay)
        .bind(now_ms.min(i64::MAX as u64) as i64)
        .bind(progress)
        .execute(&mut tx)
        .await?;
        self.store.commit(tx).await
    }
}

/// What is told of one report, if it is about a transfer.
fn progress(report: v1::Report) -> Option<Progress> {
    let Some(What::Event(event)) = report.what else {
        return None;
    };
    let (actor, event) = told(event);
    let record = outside(&actor, event, report.at_ms.min(i64::MAX as u64));
    let publication = publication::progress(&record)?;
    Some(Progress {
        told: publication.told,
        told_with_paths: publication.told_with_paths,
    })
}

impl Store {
    /// What relays said of the transfers of these workspaces a moment ago.
    pub async fn transfer_progress(
        &self,
        workspaces: &[WorkspaceId],
        now_ms: u64,
    ) -> Result<HashMap<WorkspaceId, Vec<Said>>, Error> {
        let since = now_ms.saturating_sub(FRESH_MS).min(i64::MAX as u64) as i64;
        let mut all: HashMap<WorkspaceId, Vec<Said>> = HashMap::new();
        let mut tx = self.read().await?;
        for some in workspaces.chunks(AT_ONCE) {
            let places: Vec<_> = (2..some.len() + 2)
                .map(|place| format!("${place}"))
                .collect();
            let statement = assembled(format!(
                "SELECT workspace_id, relay_id, number, told FROM transfer_progress \
                 WHERE at_ms > $1 AND workspace_id IN ({})",
                places.join(", ")
            ));
            let statement = some.iter().fold(statement.bind(since), |statement, one| {
                statement.bind(one.to_string())
            });
            let rows: Vec<(String, String, i64, String)> = statement.fetch_all(&mut tx).await?;
            for (workspace, relay, number, told) in rows {
                let progress = serde_json::from_str(&told).unwrap_or_default();
                all.entry(id(&workspace)?).or_default().push(Said {
                    relay,
                    number,
                    progress,
                });
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::v1::ReportedEvent;

    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    fn report(bytes: &str) -> v1::Report {
        let detail = [("bytes", bytes), ("path", "/etc/shadow")];
        v1::Report {
            at_ms: NOW,
            what: Some(What::Event(ReportedEvent {
                action: "transfer-progress".into(),
                target: "web-1".into(),
                detail: detail.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..ReportedEvent::default()
            })),
            ..v1::Report::default()
        }
    }

    #[tokio::test]
    async fn only_the_newest_word_of_a_relay_is_told_and_not_for_long() {
        for scratch in Scratch::each().await {
            let (here, relay) = (scratch.here(), RelayId::new());
            let login = v1::Report {
                what: Some(What::Event(ReportedEvent {
                    action: "login".into(),
                    ..ReportedEvent::default()
                })),
                ..v1::Report::default()
            };
            for bytes in ["1", "2"] {
                let reports = vec![report(bytes), login.clone()];
                here.keep_progress(relay, reports, NOW).await.unwrap();
            }
            let store = &here.store;
            let all = store.transfer_progress(&[here.id], NOW).await.unwrap();
            let [said] = &all[&here.id][..] else {
                panic!("one relay: {all:?}")
            };
            assert_eq!(said.number, 2);
            let [progress] = &said.progress[..] else {
                panic!("only what is about transfers: {said:?}")
            };
            assert!(progress.told.contains(r#""bytes":"2""#) && !progress.told.contains("shadow"));
            assert!(
                progress
                    .told_with_paths
                    .as_ref()
                    .unwrap()
                    .contains("shadow")
            );
            let later = NOW + FRESH_MS;
            let old = store.transfer_progress(&[here.id], later).await.unwrap();
            assert!(old.is_empty(), "{old:?}");
            let (_, events) = here
                .events(
                    crate::store::Stream::Workspace,
                    crate::store::Part::After(0),
                    10,
                )
                .await
                .unwrap();
            assert_eq!(events, [], "it is no history");
        }
    }
}
