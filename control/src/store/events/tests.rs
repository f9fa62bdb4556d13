//! Streams on both databases: numbers without a gap, each event once, and what is kept.

use std::collections::BTreeMap;

use cmdop_proto::v1::report::What;
use cmdop_proto::v1::{Presence, ReportedEvent, ReportedPresence, SessionStatus};
use cmdop_proto::{MachineId, RelayId, v1};
use serde_json::Value as Json;

use super::*;
use crate::store::scratch::{NOW, Scratch};
use crate::store::{Event, NewMachine};

fn report(key: &str, at_ms: u64, what: What) -> v1::Report {
    v1::Report {
        key: key.into(),
        at_ms,
        what: Some(what),
        ..v1::Report::default()
    }
}

fn session(id: SessionId, machine: MachineId, status: SessionStatus) -> What {
    What::Session(v1::Session {
        id: id.to_string(),
        machine_id: machine.to_string(),
        status: status.into(),
        created_at_ms: NOW,
        ended_at_ms: if status == SessionStatus::Disconnected {
            NOW
        } else {
            0
        },
        ..v1::Session::default()
    })
}

/// The numbers and what they tell: a type, and what changed.
async fn told(workspace: &Workspace<'_>, stream: Stream, after: u64) -> Vec<(u64, String)> {
    let (_, events) = workspace
        .events(stream, Part::After(after), 5000)
        .await
        .unwrap();
    let events = events.into_iter();
    events
        .map(|(number, event)| {
            let told: Json = serde_json::from_str(&event.told).unwrap();
            let change = ["change", "presence", "action"]
                .iter()
                .find_map(|key| told[key].as_str());
            let kind = told["type"].as_str().unwrap();
            (number, format!("{kind} {}", change.unwrap_or_default()))
        })
        .collect()
}

fn numbered(events: &[&str]) -> Vec<(u64, String)> {
    (1..)
        .zip(events.iter().map(|event| (*event).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_reported_is_told_once_in_order_and_to_its_session() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        let (one, two) = (SessionId::new(), SessionId::new());
        let machine = MachineId::new();
        let reports = || {
            vec![
                report("1", NOW, session(one, machine, SessionStatus::Pending)),
                report(
                    "2",
                    NOW + 1,
                    session(two, machine, SessionStatus::Connected),
                ),
                report(
                    "3",
                    NOW + 2,
                    session(one, machine, SessionStatus::Connected),
                ),
                // Late: a newer state is known.
                report("4", NOW + 1, session(one, machine, SessionStatus::Pending)),
                report(
                    "5",
                    NOW + 3,
                    session(one, machine, SessionStatus::Disconnected),
                ),
                // Another machine's agent says that it is its own.
                report(
                    "6",
                    NOW + 4,
                    session(two, MachineId::new(), SessionStatus::Pending),
                ),
            ]
        };
        for _ in 0..2 {
            here.keep_reports(relay, reports()).await.unwrap();
        }
        let all = [
            "session created",
            "session created",
            "session status",
            "session ended",
        ];
        assert_eq!(told(&here, Stream::Workspace, 0).await, numbered(&all));
        let of_one = ["session created", "session status", "session ended"];
        assert_eq!(
            told(&here, Stream::Session(one), 0).await,
            numbered(&of_one)
        );
        assert_eq!(told(&here, Stream::Session(two), 0).await.len(), 1);
        let late = told(&here, Stream::Session(one), 2).await;
        assert_eq!(late, [(3, "session ended".to_owned())]);
        let elsewhere = scratch.elsewhere().await;
        assert_eq!(told(&elsewhere, Stream::Session(one), 0).await, []);
        assert!(
            !elsewhere
                .has_session(one, &cmdop_proto::Reach::All)
                .await
                .unwrap()
        );
        assert!(
            here.has_session(one, &cmdop_proto::Reach::All)
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn a_machine_that_comes_and_goes_is_told_each_time_and_not_more_often() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        here.add_machine_token("hash", &BTreeMap::new(), NOW + 1000, NOW)
            .await
            .unwrap();
        let new = NewMachine {
            name: "web-1".into(),
            public_key: "key".into(),
            labels: BTreeMap::new(),
            os: "linux".into(),
            arch: "x86_64".into(),
            agent_version: "1".into(),
        };
        let machine = here.enroll_machine("hash", new, NOW).await.unwrap();
        let presence = |key: &str, epoch, presence: Presence| {
            report(
                key,
                NOW + epoch,
                What::Presence(ReportedPresence {
                    machine_id: machine.id.to_string(),
                    presence: presence.into(),
                    link_epoch: epoch,
                    reason: "it was\u{1b} closed".into(),
                }),
            )
        };
        let reports = vec![
            presence("1", 1, Presence::Online),
            presence("2", 1, Presence::Offline),
            presence("2", 1, Presence::Offline),
            presence("3", 2, Presence::Online),
            presence("4", 3, Presence::Online),
            presence("5", 2, Presence::Offline),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        let all = [
            "machine enrolled",
            "presence online",
            "presence offline",
            "presence online",
        ];
        assert_eq!(told(&here, Stream::Workspace, 0).await, numbered(&all));
        let (_, events) = here
            .events(Stream::Workspace, Part::Before(4), 1)
            .await
            .unwrap();
        assert!(events[0].1.told.contains("it was closed"));
    }
}

#[tokio::test]
async fn the_audit_log_is_a_stream_with_numbers_of_its_own() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        here.note(Event::new("login", "x"), NOW).await.unwrap();
        let (position, records) = here
            .events(Stream::Audit, Part::After(0), 100)
            .await
            .unwrap();
        let numbers: Vec<_> = records.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=position.newest).collect::<Vec<_>>());
        let (_, last) = records.last().unwrap();
        let last: Json = serde_json::from_str(&last.told).unwrap();
        assert_eq!(last["action"], "login");
        // Nothing of it is told to everybody.
        assert_eq!(told(&here, Stream::Workspace, 0).await, []);
        let heads = scratch.store.event_heads(&[here.id()]).await.unwrap();
        let expected = Heads {
            events: 0,
            audit: position.newest,
        };
        assert_eq!(heads[&here.id()], expected);
    }
}

#[tokio::test]
async fn what_is_done_to_files_is_told_with_names_and_without() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let event = What::Event(ReportedEvent {
            action: "file-written".into(),
            target: "web-1".into(),
            detail: [("path".to_owned(), "/etc/motd".to_owned())].into(),
            ..ReportedEvent::default()
        });
        let reports = || vec![report("k", NOW, event.clone())];
        for _ in 0..2 {
            here.keep_reports(RelayId::new(), reports()).await.unwrap();
        }
        let (position, events) = here
            .events(Stream::Workspace, Part::After(0), 10)
            .await
            .unwrap();
        assert_eq!((position.newest, events.len()), (1, 1));
        let (_, told) = &events[0];
        assert!(!told.told.contains("motd"));
        assert!(told.told_with_paths.as_ref().unwrap().contains("/etc/motd"));
    }
}

#[tokio::test]
async fn an_epoch_stays_and_only_the_newest_events_are_kept() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let (before, _) = here
            .events(Stream::Workspace, Part::After(0), 1)
            .await
            .unwrap();
        assert_eq!((before.newest, before.epoch.len()), (0, 16));
        let many = KEPT + 3 * SWEEP;
        let mut tx = here.write().await.unwrap();
        for n in 0..many {
            let publication = Publication {
                session: None,
                told: format!("{{\"type\":\"{n}\"}}"),
                told_with_paths: None,
            };
            here.tell(&mut tx, publication, NOW + n, None)
                .await
                .unwrap();
        }
        scratch.store.commit(tx).await.unwrap();
        let (position, events) = here
            .events(Stream::Workspace, Part::After(0), 10_000)
            .await
            .unwrap();
        assert_eq!(position.epoch, before.epoch);
        assert_eq!(position.newest, many);
        let numbers: Vec<_> = events.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (many - KEPT + 1..=many).collect::<Vec<_>>());
        // What is old goes too, and no number comes twice.
        scratch.store.forget_events(NOW + many - 2).await.unwrap();
        assert_eq!(told(&here, Stream::Workspace, 0).await.len(), 2);
        // An epoch that was taken away is made anew.
        let mut tx = here.write().await.unwrap();
        query("UPDATE event_heads SET epoch = ''")
            .execute(&mut tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let again = here.events(Stream::Workspace, Part::After(0), 1).await;
        let (again, _) = again.unwrap();
        assert!(again.epoch.len() == 16 && again.epoch != position.epoch);
        assert_eq!(again.newest, many);
        let elsewhere = scratch.elsewhere().await;
        let (other, _) = elsewhere
            .events(Stream::Workspace, Part::After(0), 1)
            .await
            .unwrap();
        assert_ne!(other.epoch, position.epoch);
    }
}
