//! Schedules in a whole system: programs run at their times on real machines, what they wrote is kept, what they
//! did is in the audit log, and they run once, whatever happens to relays and control planes meanwhile.

use cmdop_tests::{World, wait};
use serde_json::Value;

#[path = "../../control/tests/postgres/server.rs"]
mod postgres;

/// What `--json` prints.
async fn json(world: &World, args: &[&str]) -> Value {
    let out = world.cmdop(&[args, &["--json"]].concat()).await.ok();
    serde_json::from_str(&out).unwrap()
}

/// The runs of a schedule that did not wait or run when they were asked for, the newest first.
async fn ended(world: &World, schedule: &str) -> Vec<Value> {
    let runs = json(world, &["schedules", "log", schedule, "-n", "200"]).await;
    let is_over = |run: &&Value| !run["ended_at"].is_null();
    runs.as_array()
        .unwrap()
        .iter()
        .filter(is_over)
        .cloned()
        .collect()
}

/// The first of them that is in this state.
async fn one_that(world: &World, schedule: &str, state: &str) -> Value {
    wait::until(&format!("a run that {state}"), || async {
        let runs = ended(world, schedule).await;
        runs.into_iter().find(|run| run["state"] == state)
    })
    .await
}

/// The run with its machines.
async fn whole(world: &World, schedule: &str, run: &Value) -> Value {
    let id = run["id"].as_str().unwrap();
    json(world, &["schedules", "log", schedule, id]).await
}

#[tokio::test]
async fn what_is_due_every_second_runs_and_its_output_and_record_are_kept() {
    let world = World::start().await;
    let script = "echo to stdout; echo to stderr >&2; echo $WORD";
    let add = [
        "schedules",
        "add",
        "often",
        "--every",
        "1s",
        "--env",
        "WORD=kept",
        "web-1",
        "--",
        "sh",
        "-c",
        script,
    ];
    world.cmdop(&add).await.ok();
    let run = one_that(&world, "often", "succeeded").await;
    let whole = whole(&world, "often", &run).await;
    let target = &whole["targets"][0];
    assert_eq!(target["machine"], "web-1");
    assert_eq!(
        (&target["exit_code"], &target["attempts"]),
        (&0.into(), &1.into())
    );
    assert_eq!(target["stdout"], "to stdout\nkept\n");
    assert_eq!(target["stderr"], "to stderr\n");
    let text = world
        .cmdop(&["schedules", "log", "often", "last"])
        .await
        .ok();
    assert!(text.contains("to stdout\n"), "{text}");
    // The relay told who ran what, under the id that the history has.
    let id = target["run_id"].as_str().unwrap().to_owned();
    let told = wait::until("the record", || async {
        let all = json(&world, &["audit", "-n", "500", "--action", "exec-started"]).await;
        let all = all.as_array().unwrap().clone();
        all.into_iter()
            .find(|record| record["detail"]["run"] == id.as_str())
    })
    .await;
    assert_eq!(
        (&told["actor_name"], &told["target"]),
        (&"owner".into(), &"web-1".into())
    );
    assert!(
        told["detail"]["command"].to_string().contains("to stdout"),
        "{told}"
    );
    // Nothing is left of it at the agent, whose room is that of people's runs.
    let runs = world.machines[0].data().join("runs");
    wait::until_true("the agent has forgotten them", || {
        let left = std::fs::read_dir(&runs).map_or(0, Iterator::count);
        left <= 4
    })
    .await;
    world.cmdop(&["schedules", "pause", "often"]).await.ok();
    let shown = json(&world, &["schedules", "show", "often"]).await;
    assert!(
        shown["next_due_at"].is_null() && !shown["paused_at"].is_null(),
        "{shown}"
    );
    world.cmdop(&["schedules", "rm", "often"]).await.ok();
    world
        .cmdop(&["schedules", "show", "often"])
        .await
        .refused(69, &["no schedule often"]);
}

#[tokio::test]
async fn an_owner_who_may_no_longer_has_nothing_run() {
    let world = World::start().await;
    let ada = world.add_account("ada", "member").await;
    let add = [
        "schedules",
        "add",
        "hers",
        "--every",
        "1s",
        "web-1",
        "--",
        "true",
    ];
    ada.cli.run(&add).await.ok();
    one_that(&world, "hers", "succeeded").await;
    world.cmdop(&["members", "role", "ada", "guest"]).await.ok();
    let refused = one_that(&world, "hers", "refused").await;
    assert_eq!(refused["reason"], "ada is guest and may not run programs");
    let told = json(&world, &["audit", "--action", "schedule-refused"]).await;
    let told = &told.as_array().unwrap()[0];
    assert_eq!(
        (&told["target"], &told["outcome"]),
        (&"hers".into(), &"denied".into())
    );
    ada.cli
        .run(&["schedules", "run", "hers"])
        .await
        .refused(77, &["guest"]);
    // Another role, and it goes on.
    world
        .cmdop(&["members", "role", "ada", "member"])
        .await
        .ok();
    let due_at = |run: &Value| run["due_at"].as_str().unwrap().to_owned();
    let before = due_at(&ended(&world, "hers").await[0]);
    wait::until("it goes on", || async {
        let runs = ended(&world, "hers").await;
        let newer = |run: &Value| run["state"] == "succeeded" && due_at(run) > before;
        runs.into_iter().find(newer)
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_is_away_is_tried_again_and_a_failure_only_where_it_is_wanted() {
    let mut world = World::start().await;
    world.machine("web-1").stop().await;
    world.machine_is("web-1", "offline").await;
    let far = ["--at", "2099-01-01T00:00:00Z"];
    let add = |name: &'static str, more: &'static [&'static str], script: &'static str| {
        let head = ["schedules", "add", name, "web-1", "--backoff", "1s"];
        [&head[..], &far, more, &["--", "sh", "-c", script]].concat()
    };
    world
        .cmdop(&add("away", &["--retries", "10"], "echo here"))
        .await
        .ok();
    world
        .cmdop(&add("once", &["--retries", "0"], "true"))
        .await
        .ok();
    world.cmdop(&["schedules", "run", "once"]).await.ok();
    let given_up = one_that(&world, "once", "unreachable").await;
    assert!(
        given_up["reason"].to_string().contains("web-1"),
        "{given_up}"
    );
    world.cmdop(&["schedules", "run", "away"]).await.ok();
    wait::until("a second attempt", || async {
        let run = json(&world, &["schedules", "log", "away", "last"]).await;
        (run["targets"][0]["attempts"].as_u64()? >= 2).then_some(())
    })
    .await;
    world.machine("web-1").run().await;
    let run = one_that(&world, "away", "succeeded").await;
    assert_eq!(
        whole(&world, "away", &run).await["targets"][0]["stdout"],
        "here\n"
    );
    let failing: &[&str] = &["--retries", "2", "--retry-on", "failure"];
    world
        .cmdop(&add("failing", failing, "echo try; exit 3"))
        .await
        .ok();
    world.cmdop(&["schedules", "run", "failing"]).await.ok();
    let run = one_that(&world, "failing", "failed").await;
    assert_eq!(run["reason"], "exit code 3");
    assert_eq!(
        whole(&world, "failing", &run).await["targets"][0]["attempts"],
        3
    );
    world
        .cmdop(&add("failed", &["--retries", "2"], "exit 3"))
        .await
        .ok();
    world.cmdop(&["schedules", "run", "failed"]).await.ok();
    let run = one_that(&world, "failed", "failed").await;
    assert_eq!(
        whole(&world, "failed", &run).await["targets"][0]["attempts"],
        1
    );
}

#[tokio::test]
async fn a_run_outlives_the_relay_and_the_control_plane_that_wait_for_it() {
    let mut world = World::start().await;
    let gate = world.directory().join("gate");
    let ran = world.directory().join("ran");
    let script = format!(
        "echo begun >> {ran}; echo before; while [ ! -e {gate} ]; do sleep 0.05; done; echo after",
        ran = ran.display(),
        gate = gate.display()
    );
    let add = [
        "schedules",
        "add",
        "long",
        "--at",
        "2099-01-01T00:00:00Z",
        "web-1",
        "--",
        "sh",
        "-c",
        &script,
    ];
    world.cmdop(&add).await.ok();
    world.cmdop(&["schedules", "run", "long"]).await.ok();
    wait::until_true("the program runs", || ran.exists()).await;
    world.crash_relay().await;
    world.machine_is("web-1", "online").await;
    world.crash_control().await;
    std::fs::write(&gate, "").unwrap();
    // A control plane that was killed holds its runs until their leases end.
    let run = wait::within_times("the run ends", 4, async {
        loop {
            if let Some(run) = ended(&world, "long").await.into_iter().next() {
                return run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let whole = whole(&world, "long", &run).await;
    assert_eq!(whole["targets"][0]["stdout"], "before\nafter\n");
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "begun\n");
}

#[tokio::test]
async fn two_control_planes_on_one_database_do_each_of_a_hundred_runs_once() {
    const SCHEDULES: usize = 10;
    const TIMES: usize = 10;
    let database = postgres::Database::new();
    let world = World::with().database(&database.url()).start().await;
    let mut second = world.another_control("control-2").await;
    let ran = world.directory().join("ran");
    let names: Vec<_> = (0..SCHEDULES).map(|n| format!("s{n}")).collect();
    for name in &names {
        let script = format!("echo {name} >> {}", ran.display());
        let add = [
            "schedules",
            "add",
            name,
            "--every",
            "1s",
            "--overlap",
            "allow",
            "web-1",
            "--",
            "sh",
            "-c",
            &script,
        ];
        world.cmdop(&add).await.ok();
    }
    let lines = || {
        std::fs::read_to_string(&ran)
            .unwrap_or_default()
            .lines()
            .count()
    };
    wait::until_true("a hundred runs", || lines() >= SCHEDULES * TIMES).await;
    for name in &names {
        world.cmdop(&["schedules", "pause", name]).await.ok();
    }
    let mut all = 0;
    for name in &names {
        let runs = wait::until("all are over", || async {
            let runs = json(&world, &["schedules", "log", name, "-n", "200"]).await;
            let runs = runs.as_array().unwrap().clone();
            let are_over = runs.iter().all(|run| run["state"] == "succeeded");
            are_over.then_some(runs)
        })
        .await;
        let mut due: Vec<_> = runs.iter().map(|run| run["due_at"].to_string()).collect();
        due.sort();
        due.dedup();
        assert_eq!(due.len(), runs.len(), "{name}: a time was run twice");
        assert!(runs.len() >= TIMES / 2, "{name}: {}", runs.len());
        all += runs.len();
    }
    // As many programs ran as there are rows: none twice, none not at all.
    assert_eq!(lines(), all);
    assert!(all >= SCHEDULES * TIMES);
    second.program.terminate().await;
}
