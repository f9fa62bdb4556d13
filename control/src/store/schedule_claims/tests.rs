//! Schedules in both databases: one row for each time, one holder for each row, and nothing for who may not.

use std::collections::BTreeMap;

use cmdop_proto::{LoginId, v1};

use super::*;
use crate::schedules::spec::Spec;
use crate::store::scratch::{NOW, Scratch};
use crate::store::{
    AuditFilter, NewKey, NewMachine, NewSchedule, Paused, ScheduleError, ScheduleRun,
};

const MINUTE: u64 = 60_000;
const LEASE_MS: u64 = LEASE.as_millis() as u64;

/// Members may, guests may not.
struct Members;

impl Judge for Members {
    fn may(&self, role: Role) -> bool {
        role >= Role::Member
    }

    fn is_recorded(&self, _: &Schedule) -> bool {
        true
    }
}

fn every_minute(overlap: v1::ScheduleOverlap) -> v1::ScheduleSpec {
    v1::ScheduleSpec {
        when: Some(v1::schedule_spec::When::EveryMs(MINUTE)),
        command: vec!["true".into()],
        machines: vec!["web-1".into()],
        overlap: overlap.into(),
        ..v1::ScheduleSpec::default()
    }
}

async fn enrol(scratch: &Scratch, name: &str) {
    let (hash, here) = (format!("token-{name}"), scratch.here());
    let until = NOW + MINUTE;
    here.add_machine_token(&hash, &BTreeMap::new(), until, NOW)
        .await
        .unwrap();
    let machine = NewMachine {
        name: name.into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        agent_version: "1".into(),
        public_key: "key".into(),
        labels: BTreeMap::new(),
    };
    here.enroll_machine(&hash, machine, NOW).await.unwrap();
}

async fn add(scratch: &Scratch, name: &str, spec: v1::ScheduleSpec) -> Schedule {
    add_by(scratch, name, spec, None).await.unwrap()
}

async fn add_by(
    scratch: &Scratch,
    name: &str,
    spec: v1::ScheduleSpec,
    key: Option<LoginId>,
) -> Result<Schedule, ScheduleError> {
    let here = scratch.here();
    let owner = here.account(scratch.account).await.unwrap().unwrap();
    let new = NewSchedule {
        name,
        owner: &owner,
        key,
        spec: Spec::read(spec).unwrap(),
        request_id: name,
    };
    here.add_schedule(new, NOW).await
}

async fn history(scratch: &Scratch, schedule: &Schedule) -> Vec<ScheduleRun> {
    let here = scratch.here();
    let page = here.schedule_runs(&schedule.name, None, 100).await;
    page.unwrap().0
}

async fn claim(scratch: &Scratch, node: &str, now_ms: u64) -> Option<Claimed> {
    let open = scratch.store.open_runs(now_ms, 10, &[]).await.unwrap();
    let (_, run) = *open.first()?;
    let here = scratch.here();
    here.claim_run(run, node, &Members, now_ms).await.unwrap()
}

async fn finish(scratch: &Scratch, claimed: &Claimed, state: RunState, now_ms: u64) {
    let here = scratch.here();
    for target in &claimed.targets {
        let done = Target {
            state,
            ..target.clone()
        };
        assert!(here.keep_target(&claimed.claim, &done).await.unwrap());
    }
    assert!(here.finish_run(&claimed.claim, now_ms).await.unwrap());
}

#[tokio::test]
async fn runs_of_a_workspace_that_has_its_share_stand_in_nobodys_way() {
    for scratch in Scratch::each().await {
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Allow)).await;
        let now = NOW + 2 * MINUTE;
        let here = scratch.here();
        here.fire(&schedule.id.to_string(), now).await.unwrap();
        let open = |others: Vec<WorkspaceId>| {
            let store = &scratch.store;
            async move { store.open_runs(now, 10, &others).await.unwrap().len() }
        };
        assert_eq!(open(vec![WorkspaceId::new(), WorkspaceId::new()]).await, 2);
        assert_eq!(open(vec![WorkspaceId::new(), scratch.workspace]).await, 0);
    }
}

#[tokio::test]
async fn a_time_that_has_come_has_one_row_whoever_looks() {
    for scratch in Scratch::each().await {
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Allow)).await;
        assert_eq!(schedule.next_due_ms, Some(NOW + MINUTE));
        assert_eq!(scratch.store.next_due().await.unwrap(), Some(NOW + MINUTE));
        let due = scratch.store.due_schedules(NOW + MINUTE - 1, 10).await;
        assert!(due.unwrap().is_empty());
        let now = NOW + 2 * MINUTE;
        let due = scratch.store.due_schedules(now, 10).await.unwrap();
        assert_eq!(due, [(scratch.workspace, schedule.id.to_string())]);
        let (one, two) = (scratch.here(), scratch.here());
        let id = schedule.id.to_string();
        let fired = tokio::join!(one.fire(&id, now), two.fire(&id, now));
        let mut fired = [fired.0.unwrap(), fired.1.unwrap()];
        fired.sort_unstable();
        assert_eq!(fired, [0, 2]);
        assert_eq!(one.fire(&id, now).await.unwrap(), 0);
        let due: Vec<_> = history(&scratch, &schedule).await;
        let due: Vec<_> = due.iter().map(|run| run.due_at_ms).collect();
        assert_eq!(due, [NOW + 2 * MINUTE, NOW + MINUTE]);
        let elsewhere = scratch.elsewhere().await;
        assert_eq!(elsewhere.fire(&id, now + MINUTE).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_run_has_one_holder_and_a_late_one_changes_nothing() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Skip)).await;
        let (here, now) = (scratch.here(), NOW + MINUTE);
        here.fire(&schedule.id.to_string(), now).await.unwrap();
        let first = claim(&scratch, "one", now).await.unwrap();
        assert_eq!(first.targets.len(), 1);
        assert!(claim(&scratch, "two", now).await.is_none());
        // It is renewed, and ends only when it is not.
        assert!(here.renew(&first.claim, now + LEASE_MS / 2).await.unwrap());
        assert!(claim(&scratch, "two", now + LEASE_MS).await.is_none());
        let later = now + LEASE_MS * 2;
        let second = claim(&scratch, "two", later).await.unwrap();
        assert_eq!(second.targets[0].exec_id, first.targets[0].exec_id);
        assert!(!here.renew(&first.claim, later).await.unwrap());
        let kept = here.keep_target(&first.claim, &first.targets[0]).await;
        assert!(!kept.unwrap());
        assert!(!here.finish_run(&first.claim, later).await.unwrap());
        finish(&scratch, &second, RunState::Succeeded, later).await;
        assert!(!here.finish_run(&second.claim, later).await.unwrap());
        let run = &history(&scratch, &schedule).await[0];
        assert_eq!(
            (run.state, run.machines, run.succeeded),
            (RunState::Succeeded, 1, 1)
        );
    }
}

#[tokio::test]
async fn who_stops_lets_go_at_once() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Skip)).await;
        let now = NOW + MINUTE;
        scratch
            .here()
            .fire(&schedule.id.to_string(), now)
            .await
            .unwrap();
        claim(&scratch, "one", now).await.unwrap();
        scratch.store.release_runs("two").await.unwrap();
        assert!(claim(&scratch, "two", now).await.is_none());
        scratch.store.release_runs("one").await.unwrap();
        assert!(claim(&scratch, "two", now).await.is_some());
    }
}

#[tokio::test]
async fn overlapping_times_are_passed_over_or_wait_as_the_schedule_says() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let here = scratch.here();
        for (overlap, states) in [
            (v1::ScheduleOverlap::Skip, ["skipped", "skipped", "running"]),
            (
                v1::ScheduleOverlap::Queue,
                ["skipped", "waiting", "running"],
            ),
            (
                v1::ScheduleOverlap::Allow,
                ["waiting", "waiting", "running"],
            ),
        ] {
            let schedule = add(&scratch, overlap.as_str_name(), every_minute(overlap)).await;
            let (id, first) = (schedule.id.to_string(), NOW + MINUTE);
            here.fire(&id, first).await.unwrap();
            let running = claim(&scratch, "one", first).await.unwrap();
            let later = first + 2 * MINUTE;
            here.renew(&running.claim, later).await.unwrap();
            here.fire(&id, first + MINUTE).await.unwrap();
            here.fire(&id, later).await.unwrap();
            let found = history(&scratch, &schedule).await;
            let found: Vec<_> = found.iter().map(|run| run.state.as_str()).collect();
            assert_eq!(found, states, "{overlap:?}");
            if overlap == v1::ScheduleOverlap::Queue {
                assert!(claim(&scratch, "two", later).await.is_none());
                finish(&scratch, &running, RunState::Failed, later).await;
                assert!(claim(&scratch, "two", later).await.is_some());
            }
            here.remove_schedule(&id, None, later).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_passed_in_an_absence_is_one_row() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        for (misfire, state) in [
            (v1::ScheduleMisfire::Skip, RunState::Skipped),
            (v1::ScheduleMisfire::RunOnce, RunState::Waiting),
        ] {
            let spec = v1::ScheduleSpec {
                misfire: misfire.into(),
                when: Some(v1::schedule_spec::When::EveryMs(60 * MINUTE)),
                ..every_minute(v1::ScheduleOverlap::Skip)
            };
            let schedule = add(&scratch, misfire.as_str_name(), spec).await;
            let later = NOW + 5 * 60 * MINUTE + 10 * MINUTE;
            here.fire(&schedule.id.to_string(), later).await.unwrap();
            let found = history(&scratch, &schedule).await;
            assert_eq!(found.len(), 1, "{misfire:?}");
            assert_eq!(found[0].state, state);
            let next = here.schedule(&schedule.name).await.unwrap().next_due_ms;
            assert_eq!(next, Some(NOW + 6 * 60 * MINUTE));
        }
    }
}

/// What becomes of the next run, and why.
async fn next_run(scratch: &Scratch, schedule: &Schedule, now_ms: u64) -> (RunState, String) {
    let id = schedule.id.to_string();
    scratch.here().fire(&id, now_ms).await.unwrap();
    let claimed = claim(scratch, "one", now_ms).await;
    if let Some(claimed) = &claimed {
        finish(scratch, claimed, RunState::Succeeded, now_ms).await;
    }
    let run = history(scratch, schedule).await.remove(0);
    assert_eq!(run.state == RunState::Refused, claimed.is_none());
    (run.state, run.reason)
}

#[tokio::test]
async fn nothing_is_run_for_who_may_not_and_it_is_said_and_recorded() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let here = scratch.here();
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Skip)).await;
        let mut now = NOW + MINUTE;
        let any = |_: Role, _: Option<Role>| true;
        assert_eq!(
            next_run(&scratch, &schedule, now).await.0,
            RunState::Succeeded
        );
        here.set_role("ada", Role::Guest, any, now).await.unwrap();
        now += MINUTE;
        let (state, why) = next_run(&scratch, &schedule, now).await;
        assert_eq!(state, RunState::Refused);
        assert_eq!(why, "ada is guest and may not run programs");
        assert!(
            here.schedule_standing(&schedule, now)
                .await
                .unwrap()
                .is_some()
        );
        here.set_role("ada", Role::Member, any, now).await.unwrap();
        here.disable_account(scratch.account, now).await.unwrap();
        now += MINUTE;
        let (_, why) = next_run(&scratch, &schedule, now).await;
        assert!(why.contains("disabled"), "{why}");
        assert_eq!(here.schedule_standing(&schedule, now).await.unwrap(), None);
        here.enable_account(scratch.account, now).await.unwrap();
        now += MINUTE;
        assert_eq!(
            next_run(&scratch, &schedule, now).await.0,
            RunState::Succeeded
        );
        here.remove_member("ada", any, now).await.unwrap();
        now += MINUTE;
        let (_, why) = next_run(&scratch, &schedule, now).await;
        assert!(why.contains("no member any more"), "{why}");
        let filter = AuditFilter {
            action: "schedule-refused".into(),
            ..AuditFilter::default()
        };
        let told = here.newest_audit(&filter, 10).await.unwrap();
        assert_eq!(told.len(), 3);
        assert!(
            told.iter()
                .all(|record| record.outcome == "denied" && record.target == "a")
        );
    }
}

#[tokio::test]
async fn what_was_made_with_a_key_ends_with_the_key() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let here = scratch.here();
        let owner = here.account(scratch.account).await.unwrap().unwrap();
        let new = NewKey {
            hash: "h",
            prefix: "p",
            name: "ci",
            scopes: cmdop_proto::scope::Scopes::read("exec schedules"),
            issued_by: None,
            expires_at_ms: None,
        };
        let key = here.add_key(&owner, new, NOW).await.unwrap();
        let spec = every_minute(v1::ScheduleOverlap::Skip);
        let schedule = add_by(&scratch, "a", spec, Some(key.id)).await.unwrap();
        let now = NOW + MINUTE;
        assert_eq!(
            next_run(&scratch, &schedule, now).await.0,
            RunState::Succeeded
        );
        here.revoke_key("ci", None, now).await.unwrap();
        let (state, why) = next_run(&scratch, &schedule, now + MINUTE).await;
        assert_eq!(state, RunState::Refused);
        assert!(why.contains("API key"), "{why}");
    }
}

#[tokio::test]
async fn machines_are_chosen_when_the_run_begins() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        for name in ["web-1", "web-2", "db-1"] {
            enrol(&scratch, name).await;
        }
        let label = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
        for name in ["web-1", "web-2"] {
            here.label_machine(name, label.clone(), &[], NOW)
                .await
                .unwrap();
        }
        here.add_fleet("eu", NOW).await.unwrap();
        let in_fleet = ["web-2".to_owned(), "db-1".to_owned()];
        here.add_to_fleet("eu", &in_fleet, NOW).await.unwrap();
        let mut now = NOW;
        for (machines, fleet, labelled, expected) in [
            (&["WEB-1", "gone"][..], "", false, &["gone", "web-1"][..]),
            (&[], "eu", false, &["db-1", "web-2"]),
            (&[], "", true, &["web-1", "web-2"]),
            (&["db-1"], "eu", true, &["db-1", "web-2"]),
            (&[], "nowhere", false, &[]),
        ] {
            now += MINUTE;
            let spec = v1::ScheduleSpec {
                machines: machines.iter().map(ToString::to_string).collect(),
                fleet: fleet.into(),
                labels: label.clone().into_iter().filter(|_| labelled).collect(),
                ..every_minute(v1::ScheduleOverlap::Skip)
            };
            let name = format!("s{}", now / MINUTE);
            let schedule = add(&scratch, &name, spec).await;
            let request = (name.as_str(), "ada");
            let run = here.run_schedule(&name, None, request, now).await.unwrap();
            let claimed = here.claim_run(run, "one", &Members, now).await.unwrap();
            let targets = here.run_targets(run).await.unwrap();
            let found: Vec<_> = targets.iter().map(|t| t.machine.as_str()).collect();
            assert_eq!(found, expected);
            let run = here.schedule_run(&schedule, run).await.unwrap();
            assert_eq!(claimed.is_none(), expected.is_empty());
            assert_eq!(run.state == RunState::Unreachable, expected.is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_twice_is_made_once() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let spec = every_minute(v1::ScheduleOverlap::Skip);
        let one = add(&scratch, "a", spec.clone()).await;
        assert_eq!(add(&scratch, "a", spec.clone()).await.id, one.id);
        let owner = here.account(scratch.account).await.unwrap().unwrap();
        let taken = NewSchedule {
            name: "A",
            owner: &owner,
            key: None,
            spec: Spec::read(spec).unwrap(),
            request_id: "another",
        };
        let taken = here.add_schedule(taken, NOW).await;
        assert!(matches!(taken, Err(ScheduleError::NameTaken)));
        let run = |request| here.run_schedule("a", None, (request, "ada"), NOW);
        let first = run("r").await.unwrap();
        assert_eq!(run("r").await.unwrap(), first);
        assert_ne!(run("s").await.unwrap(), first);
        let other = Some(cmdop_proto::AccountId::new());
        let not_own = here.remove_schedule("a", other, NOW).await;
        assert!(matches!(not_own, Err(ScheduleError::NotOwn { .. })));
    }
}

#[tokio::test]
async fn a_paused_one_is_not_due_and_goes_on_from_now() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Skip)).await;
        here.pause_schedule("a", None, Paused::Yes, NOW)
            .await
            .unwrap();
        assert_eq!(scratch.store.next_due().await.unwrap(), None);
        let later = NOW + 10 * MINUTE;
        assert_eq!(here.fire(&schedule.id.to_string(), later).await.unwrap(), 0);
        let resumed = here.pause_schedule("a", None, Paused::No, later + 1).await;
        assert_eq!(resumed.unwrap().next_due_ms, Some(later + MINUTE));
        assert!(history(&scratch, &schedule).await.is_empty());
    }
}

#[tokio::test]
async fn the_history_is_bounded_and_what_ran_outlasts_what_was_passed_over() {
    for scratch in Scratch::each().await {
        enrol(&scratch, "web-1").await;
        let schedule = add(&scratch, "a", every_minute(v1::ScheduleOverlap::Skip)).await;
        let (here, id) = (scratch.here(), schedule.id.to_string());
        let mut now = NOW + MINUTE;
        here.fire(&id, now).await.unwrap();
        let running = claim(&scratch, "one", now).await.unwrap();
        for _ in 0..120 {
            now += MINUTE;
            here.fire(&id, now).await.unwrap();
        }
        finish(&scratch, &running, RunState::Succeeded, now).await;
        let page = here.schedule_runs("a", None, 100).await.unwrap();
        let rest = here.schedule_runs("a", page.1, 100).await.unwrap();
        assert_eq!((page.0.len(), rest.0.len(), rest.1), (100, 1, None));
        assert_eq!(rest.0[0].state, RunState::Succeeded);
    }
}

#[test]
fn a_run_succeeds_when_all_do_and_says_what_the_others_have_in_common() {
    let with = |state, reason: &str| {
        let mut target = select(
            &Spec::read(every_minute(v1::ScheduleOverlap::Skip)).unwrap(),
            &[],
        )
        .remove(0);
        (target.state, target.reason) = (state, reason.to_owned());
        target
    };
    let ok = || with(RunState::Succeeded, "");
    let lost = || with(RunState::Lost, "gone");
    let failed = || with(RunState::Failed, "exit code 3");
    assert_eq!(verdict(&[ok(), ok()]).0, RunState::Succeeded);
    assert_eq!(
        verdict(&[failed()]),
        (RunState::Failed, "exit code 3".into())
    );
    assert_eq!(verdict(&[ok(), lost(), lost()]).0, RunState::Lost);
    assert_eq!(verdict(&[lost(), failed()]).0, RunState::Failed);
    assert!(verdict(&[ok(), failed()]).1.contains("on 1 of 2 machines"));
}
