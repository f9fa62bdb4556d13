//! Reports are kept once, in their own workspace, whatever arrives twice or out of order.

use cmdop_proto::audit::Chain;

use super::*;
use crate::store::scratch::{NOW, Scratch};
use crate::store::{After, AuditFilter, SessionFilter};

fn session(id: SessionId, status: v1::SessionStatus, created: u64) -> v1::Session {
    v1::Session {
        id: id.to_string(),
        machine_id: MachineId::new().to_string(),
        machine_name: "web-1".into(),
        name: "build".into(),
        status: status.into(),
        created_at_ms: created,
        created_by: "ada".into(),
        ended_at_ms: if status == v1::SessionStatus::Disconnected {
            created + 1000
        } else {
            0
        },
        ..v1::Session::default()
    }
}

fn of_session(key: &str, at_ms: u64, session: v1::Session) -> v1::Report {
    v1::Report {
        key: key.into(),
        at_ms,
        what: Some(What::Session(session)),
        ..v1::Report::default()
    }
}

fn of_event(key: &str, action: &str) -> v1::Report {
    v1::Report {
        key: key.into(),
        at_ms: NOW,
        what: Some(What::Event(v1::ReportedEvent {
            action: action.into(),
            actor: Some(v1::AuditActor {
                kind: "account".into(),
                id: "a".into(),
                name: "ada".into(),
            }),
            target: "build".into(),
            outcome: "allowed".into(),
            detail: [("mode".to_owned(), "observer".to_owned())].into(),
        })),
        ..v1::Report::default()
    }
}

#[tokio::test]
async fn what_is_delivered_twice_is_kept_once_and_the_chain_holds() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        let id = SessionId::new();
        let batch = || {
            vec![
                of_event("k1", "session-attached"),
                of_session("k2", NOW, session(id, v1::SessionStatus::Connected, NOW)),
                of_event("k3", "session-detached"),
            ]
        };
        for _ in 0..3 {
            here.keep_reports(relay, batch()).await.unwrap();
        }
        let all = here
            .audit_after(&AuditFilter::default(), 2, 100)
            .await
            .unwrap();
        let told: Vec<_> = all.iter().map(|record| record.action.as_str()).collect();
        assert_eq!(told, ["session-attached", "session-detached"]);
        assert_eq!(all[0].source, relay.to_string());
        let mut chain = Chain::new(here.id().to_string());
        for record in here
            .audit_after(&AuditFilter::default(), 0, 100)
            .await
            .unwrap()
        {
            chain.take(&record).unwrap();
        }
        let (_, steps) = here
            .session(id, &cmdop_proto::Reach::All)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(steps.len(), 1);
    }
}

#[tokio::test]
async fn an_older_report_does_not_bring_an_ended_session_back() {
    for scratch in Scratch::each().await {
        let (here, relay, id) = (scratch.here(), RelayId::new(), SessionId::new());
        let ended = session(id, v1::SessionStatus::Disconnected, NOW);
        let mut live = session(id, v1::SessionStatus::Connected, NOW);
        live.machine_id = ended.machine_id.clone();
        let reports = vec![
            of_session("1", NOW + 5, ended),
            of_session("2", NOW + 1, live.clone()),
            // Nor does a relay whose clock is ahead.
            of_session("3", NOW + 900, live),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        let (kept, steps) = here
            .session(id, &cmdop_proto::Reach::All)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.status(), v1::SessionStatus::Disconnected);
        let at: Vec<_> = steps.iter().map(|step| step.at_ms).collect();
        assert_eq!(at, [NOW + 1, NOW + 5, NOW + 900]);
    }
}

#[tokio::test]
async fn a_report_stays_in_its_workspace_and_one_of_none_is_forgotten() {
    for scratch in Scratch::each().await {
        let (elsewhere, relay) = (scratch.elsewhere().await, RelayId::new());
        let id = SessionId::new();
        let live = session(id, v1::SessionStatus::Connected, NOW);
        let reports = vec![
            of_session("k", NOW, live),
            of_event("e", "session-attached"),
        ];
        elsewhere
            .keep_reports(relay, reports.clone())
            .await
            .unwrap();
        assert!(
            scratch
                .here()
                .session(id, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            elsewhere
                .session(id, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_some()
        );
        let nowhere = scratch.store.workspace(cmdop_proto::WorkspaceId::new());
        nowhere.keep_reports(relay, reports.clone()).await.unwrap();
        assert_eq!(nowhere.audit_head().await.unwrap().0, 0);
        // What concerns no workspace has a chain, and no sessions.
        let nobody = scratch.store.nobody();
        nobody.keep_reports(relay, reports).await.unwrap();
        assert_eq!(nobody.audit_head().await.unwrap().0, 1);
        assert!(
            nobody
                .session(id, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn hostile_reports_are_bounded_and_stop_nothing() {
    for scratch in Scratch::each().await {
        let (here, relay, id) = (scratch.here(), RelayId::new(), SessionId::new());
        let mut wild = session(id, v1::SessionStatus::Connected, u64::MAX);
        wild.created_at_ms = NOW;
        wild.name = "\x1b[2J".repeat(1000);
        wild.command = vec!["x".repeat(100_000); 10];
        wild.workspace_id = "w".repeat(100_000);
        wild.machine_id = wild.machine_id.to_uppercase();
        let machine = wild.machine_id.to_lowercase();
        let homeless_id = SessionId::new();
        let mut homeless = session(homeless_id, v1::SessionStatus::Connected, NOW);
        homeless.machine_id = "m".repeat(100_000);
        let mut nameless = session(id, v1::SessionStatus::Connected, NOW);
        nameless.id = "' OR 1=1".into();
        let reports = vec![
            of_session("1", u64::MAX, wild),
            of_session("2", NOW, nameless),
            of_session("3", NOW, homeless),
            of_event("", "x"),
            of_event(&"k".repeat(1000), "x"),
            v1::Report::default(),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        let (kept, _) = here
            .session(id, &cmdop_proto::Reach::All)
            .await
            .unwrap()
            .unwrap();
        assert!(!kept.name.contains('\x1b') && kept.name.len() <= 64);
        assert_eq!(kept.command.len(), 1);
        assert_eq!(kept.workspace_id, here.id().to_string());
        assert_eq!(kept.machine_id, machine);
        assert!(
            here.session(homeless_id, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn a_session_stays_its_machines_whatever_another_agent_says_of_it() {
    for scratch in Scratch::each().await {
        let (here, relay, id) = (scratch.here(), RelayId::new(), SessionId::new());
        let real = session(id, v1::SessionStatus::Connected, NOW);
        let mut forged = session(id, v1::SessionStatus::Disconnected, NOW - 1000);
        forged.name = "forged".into();
        let reports = vec![
            of_session("1", NOW, real.clone()),
            of_session("2", NOW + 1, forged),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        let (kept, steps) = here
            .session(id, &cmdop_proto::Reach::All)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((kept.name, kept.machine_id), (real.name, real.machine_id));
        assert_eq!(kept.status, real.status);
        assert_eq!(steps.len(), 1);
    }
}

#[tokio::test]
async fn no_agent_moves_its_sessions_about_or_into_the_future() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        let (moved, early, ended) = (SessionId::new(), SessionId::new(), SessionId::new());
        let first = session(moved, v1::SessionStatus::Connected, NOW);
        let mut again = first.clone();
        again.created_at_ms = 1;
        again.name = "renamed".into();
        let mut over = session(ended, v1::SessionStatus::Disconnected, NOW - 2);
        over.ended_at_ms = u64::MAX;
        let reports = vec![
            of_session("1", NOW, first),
            of_session("2", NOW + 1, again),
            of_session(
                "3",
                NOW - 1,
                session(early, v1::SessionStatus::Connected, u64::MAX - 5000),
            ),
            of_session("4", NOW, over),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        let (mut seen, mut after): (Vec<_>, Option<After>) = (Vec::new(), None);
        for _ in 0..3 {
            let all = SessionFilter::default();
            let (page, next) = here.sessions(&all, after.as_ref(), 1).await.unwrap();
            seen.extend(page.into_iter().map(|s| (s.id, s.created_at_ms, s.name)));
            after = next.and_then(|next| After::read(&next.text()));
        }
        let expected = [
            (moved.to_string(), NOW, "renamed".to_owned()),
            (early.to_string(), NOW - 1, "build".to_owned()),
            (ended.to_string(), NOW - 2, "build".to_owned()),
        ];
        assert_eq!(seen, expected);
        assert!(after.is_none());
        let (kept, _) = here
            .session(ended, &cmdop_proto::Reach::All)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.ended_at_ms, NOW);
    }
}

#[tokio::test]
async fn pages_hold_every_session_once_the_newest_first() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        let mut made: Vec<(u64, String)> = Vec::new();
        let reports = (0..25)
            .map(|n| {
                // Several of one moment: then the id decides.
                let (id, at) = (SessionId::new(), NOW + n / 3);
                made.push((at, id.to_string()));
                of_session(
                    &n.to_string(),
                    at,
                    session(id, v1::SessionStatus::Connected, at),
                )
            })
            .collect();
        here.keep_reports(relay, reports).await.unwrap();
        made.sort();
        made.reverse();
        let (mut seen, mut after): (Vec<_>, Option<After>) = (Vec::new(), None);
        loop {
            let all = SessionFilter::default();
            let (page, next) = here.sessions(&all, after.as_ref(), 4).await.unwrap();
            seen.extend(page.into_iter().map(|s| (s.created_at_ms, s.id)));
            match next {
                Some(next) => after = After::read(&next.text()),
                None => break,
            }
        }
        assert_eq!(seen, made);
        let found = async |filter: SessionFilter| {
            let (found, _) = here.sessions(&filter, None, 500).await.unwrap();
            found.len()
        };
        let by = |machine: &str, created_by: &str, status: v1::SessionStatus| SessionFilter {
            machine: machine.into(),
            created_by: created_by.into(),
            status: status.into(),
            ..SessionFilter::default()
        };
        let any = v1::SessionStatus::Unspecified;
        assert_eq!(found(by("web-1", "ada", any)).await, 25);
        assert_eq!(found(by("web-2", "", any)).await, 0);
        assert_eq!(found(by("", "eve", any)).await, 0);
        assert_eq!(found(by("", "", v1::SessionStatus::Disconnected)).await, 0);
        let between = SessionFilter {
            since_ms: NOW + 1,
            until_ms: NOW + 2,
            ..SessionFilter::default()
        };
        assert_eq!(found(between).await, 3);
    }
}

#[tokio::test]
async fn ended_sessions_go_when_their_time_is_over_and_live_ones_stay() {
    for scratch in Scratch::each().await {
        let (here, relay) = (scratch.here(), RelayId::new());
        let (ended, live) = (SessionId::new(), SessionId::new());
        let reports = vec![
            of_session(
                "1",
                NOW + 1000,
                session(ended, v1::SessionStatus::Disconnected, NOW),
            ),
            of_session("2", NOW, session(live, v1::SessionStatus::Connected, NOW)),
        ];
        here.keep_reports(relay, reports).await.unwrap();
        scratch.store.forget_sessions(NOW + 1000).await.unwrap();
        assert!(
            here.session(ended, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_some()
        );
        scratch.store.forget_sessions(NOW + 1001).await.unwrap();
        assert!(
            here.session(ended, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            here.session(live, &cmdop_proto::Reach::All)
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[test]
fn where_a_page_begins_is_read_or_refused() {
    let id = SessionId::new();
    assert_eq!(
        After::read(&format!("5/{id}")).unwrap().text(),
        format!("5/{id}")
    );
    for bad in [
        "",
        "5",
        "x/y",
        "5/' OR 1=1",
        "-1/x",
        "99999999999999999999/x",
    ] {
        assert!(After::read(bad).is_none(), "{bad}");
    }
}
