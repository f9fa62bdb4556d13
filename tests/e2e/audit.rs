//! The audit log of a whole system: who attached in which mode, what was run, also while the control
//! plane was away; and that nobody can change it unseen.

use cmdop_tests::{World, wait};
use serde_json::Value;

use crate::files::on;

/// The records with this action, as `cmdop audit --json` prints them.
async fn records(world: &World, action: &str) -> Vec<Value> {
    let args = ["audit", "--json", "-n", "500", "--action", action];
    let out = world.cmdop(&args).await.ok();
    let all: Value = serde_json::from_str(&out).unwrap();
    all.as_array().unwrap().clone()
}

/// Waits until there are `count` of them: relays report a moment later.
async fn told(world: &World, action: &str, count: usize) -> Vec<Value> {
    wait::until("the reports", || async {
        let found = records(world, action).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

#[tokio::test]
async fn who_attached_in_which_mode_and_what_was_run_is_told() {
    let world = World::start().await;
    let id = world.new_session(&["--name", "build"]).await;
    let watcher = world.add_account("grace", "guest").await;
    let watching = watcher.cli.start(&["attach", "build", "--observe"]);
    let attached = told(&world, "session-attached", 1).await;
    assert_eq!(attached[0]["actor_name"], "grace");
    assert_eq!(attached[0]["target"], Value::from(id.clone()));
    assert_eq!(attached[0]["detail"]["mode"], "observer");
    drop(watching);
    told(&world, "session-detached", 1).await;
    world
        .cmdop(&["exec", "web-1", "--", "echo", "over here"])
        .await
        .ok();
    let run = told(&world, "exec-started", 1).await;
    assert_eq!(run[0]["actor_name"], "owner");
    assert_eq!(run[0]["target"], "web-1");
    assert_eq!(run[0]["detail"]["command"], "echo over here");
    watcher
        .cli
        .run(&["exec", "web-1", "--", "true"])
        .await
        .refused(77, &["guest"]);
    let denied = told(&world, "denied", 1).await;
    assert_eq!(denied[0]["actor_name"], "grace");
    assert_eq!(denied[0]["outcome"], "denied");
    watcher.cli.run(&["audit"]).await.refused(77, &["admin"]);
    let verdict = world.cmdop(&["audit", "verify"]).await.ok();
    assert!(verdict.contains("records hold"), "{verdict}");
    // Kept elsewhere, it tells this log from another one.
    let mark = verdict.trim().rsplit(' ').next().unwrap().to_owned();
    world
        .cmdop(&["audit", "verify", "--expect", &mark])
        .await
        .ok();
    let (number, hash) = mark.split_once(':').unwrap();
    let other = format!("{number}:{}", hash.chars().rev().collect::<String>());
    let verdict = world.cmdop(&["audit", "verify", "--expect", &other]).await;
    assert_eq!(verdict.status, 1, "{verdict:?}");
    assert!(verdict.out().contains("made anew"), "{verdict:?}");
}

#[tokio::test]
async fn every_change_to_files_is_told_and_a_copy_of_many_is_not_a_row_each() {
    const FILES: u64 = 300;
    let world = World::start().await;
    let (from, to) = (
        world.directory().join("many"),
        world.directory().join("there"),
    );
    std::fs::create_dir(&from).unwrap();
    for n in 0..FILES {
        std::fs::write(from.join(format!("file-{n}")), "four").unwrap();
    }
    let there = on("web-1", &to);
    let copy = ["cp", "-rq", from.to_str().unwrap(), &there];
    world.cmdop(&copy).await.ok();
    world.cmdop(&["fs", "rm", "-r", &there]).await.ok();
    let of = |records: &[Value], verb: &str| -> Vec<Value> {
        let is_it = |record: &&Value| record["detail"]["verb"] == *verb;
        records.iter().filter(is_it).cloned().collect()
    };
    let all = wait::until("the removal", || async {
        let all = records(&world, "file-changed").await;
        (!of(&all, "remove").is_empty()).then_some(all)
    })
    .await;
    let number = |record: &Value, key: &str| -> u64 {
        let value = record["detail"][key].as_str();
        value.map_or(1, |value| value.parse().unwrap())
    };
    let puts = of(&all, "put");
    let put: u64 = puts.iter().map(|put| number(put, "changes")).sum();
    assert_eq!(put, FILES, "{puts:?}");
    assert!(puts.len() < 20, "{} rows", puts.len());
    let bytes: u64 = puts.iter().map(|put| number(put, "bytes")).sum();
    assert_eq!(bytes, 4 * FILES);
    let removal = &of(&all, "remove")[0];
    assert_eq!(removal["actor_name"], "owner");
    assert_eq!(removal["target"], "web-1");
    assert_eq!(removal["detail"]["path"], to.to_str().unwrap());
    assert_eq!(removal["outcome"], "allowed");
    // What was tried in vain is there as well.
    let again = world.cmdop(&["fs", "rm", &there]).await;
    assert_ne!(again.status, 0, "{again:?}");
    let failed = wait::until("the failure", || async {
        let all = records(&world, "file-changed").await;
        all.into_iter().find(|record| record["outcome"] == "failed")
    })
    .await;
    assert_eq!(failed["detail"]["reason"], "file-unknown");
}

#[tokio::test]
async fn what_happened_while_the_control_plane_was_away_is_told_once_when_it_is_back() {
    let mut world = World::start().await;
    world
        .cmdop(&["exec", "web-1", "--", "echo", "before"])
        .await
        .ok();
    told(&world, "exec-started", 1).await;
    world.control.program.kill().await;
    for n in 0..5 {
        let word = format!("away-{n}");
        world
            .cmdop(&["exec", "web-1", "--", "echo", &word])
            .await
            .ok();
    }
    // What was written survives the relay's own death, too.
    wait::until_true("the spool", || {
        let spool = world.relay.data().join("spool");
        std::fs::read_dir(spool).is_ok_and(|files| files.count() > 0)
    })
    .await;
    world.crash_control().await;
    let run = told(&world, "exec-started", 6).await;
    let commands: Vec<_> = run
        .iter()
        .map(|record| record["detail"]["command"].as_str().unwrap().to_owned())
        .collect();
    let mut expected = vec!["echo before".to_owned()];
    expected.extend((0..5).map(|n| format!("echo away-{n}")));
    assert_eq!(commands, expected);
    world
        .cmdop(&["exec", "web-1", "--", "echo", "after"])
        .await
        .ok();
    assert_eq!(told(&world, "exec-started", 7).await.len(), 7);
    world.cmdop(&["audit", "verify"]).await.ok();
}

#[tokio::test]
async fn an_export_that_was_changed_is_found_out() {
    let world = World::start().await;
    let export = world.cmdop(&["audit", "export"]).await.ok();
    let me: Value = serde_json::from_str(&world.cmdop(&["whoami", "--json"]).await.ok()).unwrap();
    let workspace = me["workspace_id"].as_str().unwrap();
    let file = world.directory().join("audit.jsonl");
    let path = file.to_str().unwrap();
    let verify = ["audit", "verify", "--file", path, "--workspace", workspace];
    std::fs::write(&file, &export).unwrap();
    world.cmdop(&verify).await.ok();
    std::fs::write(&file, export.replacen("web-1", "web-9", 1)).unwrap();
    let verdict = world.cmdop(&verify).await;
    assert_eq!(verdict.status, 1, "{}", verdict.out());
    assert!(verdict.out().contains("was altered"), "{}", verdict.out());
    let shorter: Vec<_> = export.lines().skip(1).collect();
    std::fs::write(&file, shorter.join("\n")).unwrap();
    let verdict = world.cmdop(&verify).await;
    assert!(
        verdict.out().contains("record 1 is missing"),
        "{}",
        verdict.out()
    );
}
