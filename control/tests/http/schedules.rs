//! Schedules as their owners meet them: what is refused, what is recorded, and what is shown.

use std::time::Duration;

use cmdop_proto::Refusal;
use cmdop_proto::token::Role;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;
use cmdop_proto::v1::schedules_service_client::SchedulesServiceClient;
use cmdop_proto::v1::{
    CreateScheduleRequest, GetScheduleRequest, ListAuditRequest, ListRunsRequest,
    RemoveScheduleRequest, RunScheduleRequest, Schedule, ScheduleCron, ScheduleRun,
    ScheduleRunState, ScheduleSpec, UpdateScheduleRequest, schedule_spec,
};
use serde_json::Value;
use tonic::transport::Channel;

use crate::calls;
use crate::world::{World, bearer};

pub async fn schedules(world: &World) -> SchedulesServiceClient<Channel> {
    SchedulesServiceClient::new(world.channel().await)
}

pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub async fn create(
    world: &World,
    by: &Value,
    name: &str,
    spec: ScheduleSpec,
) -> Result<Schedule, Refusal> {
    let request = CreateScheduleRequest {
        request_id: new_id(),
        name: name.into(),
        spec: Some(spec),
    };
    let answer = schedules(world).await.create(bearer(request, by)).await;
    Ok(answer.map_err(Refusal::from)?.into_inner())
}

fn cron(expression: &str, zone: &str) -> ScheduleSpec {
    ScheduleSpec {
        when: Some(schedule_spec::When::Cron(ScheduleCron {
            expression: expression.into(),
            time_zone: zone.into(),
        })),
        ..calls::spec()
    }
}

async fn runs(world: &World, by: &Value, schedule: &str) -> Vec<ScheduleRun> {
    let request = ListRunsRequest {
        schedule: schedule.into(),
        ..ListRunsRequest::default()
    };
    let answer = schedules(world).await.runs(bearer(request, by)).await;
    answer.unwrap().into_inner().runs
}

/// Waits until the newest run of a schedule is over.
async fn ended(world: &World, by: &Value, schedule: &str) -> ScheduleRun {
    ended_within(Duration::from_secs(20), world, by, schedule).await
}

pub async fn ended_within(
    time: Duration,
    world: &World,
    by: &Value,
    schedule: &str,
) -> ScheduleRun {
    let ended = async {
        loop {
            let newest = runs(world, by, schedule).await.into_iter().next();
            if let Some(run) = newest.filter(|run| run.ended_at_ms > 0) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(time, ended).await;
    ended.expect("the run ends")
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_its_reason() {
    let world = World::start().await;
    let owner = world.owner().await;
    let owner = &owner["access_token"];
    for (spec, said) in [
        (cron("61 * * * *", ""), "is not a cron expression"),
        (cron("0 3 * * *", "Europe/Atlantis"), "no time zone"),
        (cron("0 0 30 2 *", ""), "would never run"),
        (
            ScheduleSpec {
                when: Some(schedule_spec::When::AtMs(1)),
                ..calls::spec()
            },
            "would never run",
        ),
        (
            ScheduleSpec {
                when: Some(schedule_spec::When::EveryMs(10)),
                ..calls::spec()
            },
            "between one second",
        ),
        (
            ScheduleSpec {
                command: Vec::new(),
                ..calls::spec()
            },
            "no program",
        ),
        (
            ScheduleSpec {
                command: vec!["x".repeat(17 << 10)],
                ..calls::spec()
            },
            "16 KiB",
        ),
        (
            ScheduleSpec {
                machines: Vec::new(),
                ..calls::spec()
            },
            "no machine was named",
        ),
        (
            ScheduleSpec {
                retries: 11,
                ..calls::spec()
            },
            "at most 10 times",
        ),
    ] {
        let refused = create(&world, owner, "bad", spec).await.unwrap_err();
        assert_eq!(refused.reason, "bad-request", "{refused:?}");
        assert!(refused.message.contains(said), "{refused:?}");
    }
    let made = create(&world, owner, "nightly", cron("0 3 * * *", "Europe/Berlin")).await;
    assert!(made.unwrap().next_due_ms > world.clock.now_ms());
    let taken = create(&world, owner, "Nightly", calls::spec()).await;
    assert_eq!(taken.unwrap_err().reason, "schedule-name-taken");
    world.stop().await;
}

#[tokio::test]
async fn a_key_makes_no_schedule_that_may_more_than_itself() {
    let world = World::start().await;
    let owner = world.owner().await;
    let key = world.key_token(&owner, &["schedules"]).await;
    let refused = create(&world, &key, "a", calls::spec()).await.unwrap_err();
    assert_eq!(refused.reason, "scope-missing");
    assert!(refused.message.contains("exec"), "{refused:?}");
    let key = world.key_token(&owner, &["schedules", "exec"]).await;
    create(&world, &key, "a", calls::spec()).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_time_that_comes_is_run_and_said_to_have_reached_nobody() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    world.machine("web-1", &crate::world::Key::new()).await;
    let spec = ScheduleSpec {
        when: Some(schedule_spec::When::EveryMs(1000)),
        machines: vec!["web-1".into()],
        ..calls::spec()
    };
    let made = create(&world, by, "often", spec).await.unwrap();
    let run = ended(&world, by, "often").await;
    assert_eq!(run.state(), ScheduleRunState::Unreachable);
    assert_eq!(run.reason, "no relay is enrolled");
    assert_eq!((run.due_at_ms - made.created_at_ms) % 1000, 0);
    // It stands still when it is paused, but for who asks.
    let pause = UpdateScheduleRequest {
        schedule: "often".into(),
        paused: true,
    };
    let paused = schedules(&world).await.update(bearer(pause, by)).await;
    assert_eq!(paused.unwrap().into_inner().next_due_ms, 0);
    let now = RunScheduleRequest {
        schedule: "often".into(),
        request_id: new_id(),
    };
    let asked = schedules(&world).await.run_now(bearer(now, by)).await;
    let asked = asked.unwrap().into_inner().run_id;
    let run = ended(&world, by, "often").await;
    assert_eq!((run.id, run.requested_by.as_str()), (asked, "owner"));
    world.stop().await;
}

#[tokio::test]
async fn a_member_sees_all_changes_their_own_and_every_change_is_recorded() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let (owner, ada) = (&owner["access_token"], &ada["access_token"]);
    create(&world, owner, "theirs", calls::spec())
        .await
        .unwrap();
    create(&world, ada, "hers", calls::spec()).await.unwrap();
    let get = GetScheduleRequest {
        schedule: "theirs".into(),
    };
    let seen = schedules(&world).await.get(bearer(get, ada)).await;
    assert_eq!(seen.unwrap().into_inner().owner_name, "owner");
    let remove = |schedule: &str| RemoveScheduleRequest {
        schedule: schedule.into(),
    };
    let mut client = schedules(&world).await;
    let refused = client.remove(bearer(remove("theirs"), ada)).await;
    let refused = Refusal::from(refused.unwrap_err());
    assert_eq!(refused.reason, "role-too-low");
    client.remove(bearer(remove("hers"), ada)).await.unwrap();
    client
        .remove(bearer(remove("theirs"), owner))
        .await
        .unwrap();
    let mut audit = AuditServiceClient::new(world.channel().await);
    let list = bearer(ListAuditRequest::default(), owner);
    let told = audit.list(list).await.unwrap().into_inner().records;
    let told: Vec<_> = told
        .iter()
        .map(|record| (record.action.as_str(), record.target.as_str()))
        .filter(|(action, _)| action.starts_with("schedule-") || *action == "denied")
        .collect();
    assert_eq!(
        told,
        [
            ("schedule-created", "theirs"),
            ("schedule-created", "hers"),
            ("denied", "change the schedules of others"),
            ("schedule-removed", "hers"),
            ("schedule-removed", "theirs"),
        ]
    );
    world.stop().await;
}
