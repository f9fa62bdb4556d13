//! Transfers as those who follow events see them: that one began, how far it is, how it ended.

use std::path::Path;
use std::time::Duration;

use cmdop_tests::cli::Cli;
use cmdop_tests::{World, wait};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::files::{noise, on};

/// What was told of transfers so far, with this action.
async fn told(cli: &Cli, action: &str) -> Vec<Value> {
    let out = cli.run(&["events", "--json", "-n", "500"]).await.ok();
    let told: Value = serde_json::from_str(&out).unwrap();
    let told = told.as_array().unwrap().iter();
    told.filter(|told| told["type"] == "transfer" && told["action"] == action)
        .cloned()
        .collect()
}

/// Waits until this many have ended.
async fn ended(cli: &Cli, count: usize) -> Vec<Value> {
    wait::until("the ends of transfers", || async {
        let ended = told(cli, "transfer-ended").await;
        (ended.len() >= count).then_some(ended)
    })
    .await
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn copies_are_told_with_who_where_which_way_and_what_they_carried() {
    let world = World::with().machines(&["web-1", "db-1"]).start().await;
    let guest = world.add_account("grace", "guest").await;
    let place = |name: &str| world.directory().join(name);
    let (here, there, back, other) = (place("here"), place("there"), place("back"), place("other"));
    std::fs::create_dir_all(here.join("deep")).unwrap();
    std::fs::write(here.join("large"), noise((3 << 20) + 7)).unwrap();
    for n in 0..5 {
        std::fs::write(here.join(format!("deep/small-{n}")), noise(100)).unwrap();
    }
    let bytes = ((3 << 20) + 7 + 500).to_string();
    let (at_web, at_db) = (on("web-1", &there), on("db-1", &other));
    let copies = [
        (vec![("web-1", "to")], [text(&here), at_web.as_str()]),
        (vec![("web-1", "from")], [at_web.as_str(), text(&back)]),
        (
            vec![("web-1", "from"), ("db-1", "to")],
            [at_web.as_str(), at_db.as_str()],
        ),
    ];
    let mut expected = 0;
    for (legs, [from, to]) in copies {
        world.cmdop(&["cp", "-rq", from, to]).await.ok();
        let ended = ended(&world.owner.cli, expected + legs.len()).await;
        let new = &ended[expected..];
        expected += legs.len();
        assert_eq!(new.len(), legs.len(), "{new:#?}");
        for (machine, direction) in legs {
            let is_it = |told: &&Value| {
                told["machine_name"] == machine && told["detail"]["direction"] == direction
            };
            let leg = new.iter().find(is_it);
            let leg = leg.unwrap_or_else(|| panic!("{direction} {machine} in {new:#?}"));
            assert_eq!(leg["outcome"], "allowed", "{leg}");
            assert_eq!(leg["actor_name"], "owner");
            assert_eq!(leg["detail"]["bytes"], json!(bytes), "{leg}");
            assert_eq!(leg["detail"]["files"], "6", "{leg}");
        }
        let names = new.iter().map(|leg| &leg["detail"]["transfer"]);
        assert!(
            names
                .clone()
                .all(|name| name == &new[0]["detail"]["transfer"])
        );
    }
    // Each began first; with a name for those who may read it, which a guest may not.
    let began = told(&world.owner.cli, "transfer-began").await;
    assert_eq!(began.len(), expected);
    for began in &began {
        let path = began["detail"]["path"].as_str().unwrap();
        assert!(path.contains("large") || path.contains("small-"), "{path}");
    }
    let seen = told(&guest.cli, "transfer-began").await;
    assert_eq!(seen.len(), expected);
    for seen in &seen {
        assert_eq!(seen["detail"]["path"], Value::Null);
        assert_eq!(seen["actor_name"], "owner");
    }
    let log = world
        .cmdop(&["audit", "--action", "transfer-ended"])
        .await
        .ok();
    assert!(log.contains("web-1"), "{log}");
    // Looking at files is none of it.
    let (cat, ls) = (on("web-1", &there.join("large")), on("web-1", &there));
    world.cmdop(&["fs", "cat", &cat]).await;
    world.cmdop(&["fs", "ls", &ls]).await.ok();
    let lost = on("web-1", &there.join("nowhere/else"));
    let from = here.join("large");
    let failed = world.cmdop(&["cp", "-q", text(&from), &lost]).await;
    assert_ne!(failed.status, 0);
    // What failed says so, and why; and nothing else was told before it.
    let ended = ended(&world.owner.cli, expected + 1).await;
    assert_eq!(ended.len(), expected + 1);
    let last = &ended[expected];
    assert_eq!(last["outcome"], "failed", "{last}");
    assert_eq!(last["detail"]["files"], "0");
    let reason = last["detail"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("file-"), "{reason}");
}

#[tokio::test]
async fn how_far_a_copy_is_is_told_to_who_listens_and_that_its_client_died_too() {
    let world = World::start().await;
    let guest = world.add_account("grace", "guest").await;
    let from = world.directory().join("from");
    std::fs::write(&from, noise(8 << 20)).unwrap();
    let to = on("web-1", &world.directory().join("to"));
    let mut following = guest.cli.start(&["events", "--follow", "--json"]);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = async |action: &str| loop {
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no {action}"));
        let told: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        if told["type"] == "transfer" && told["action"] == action {
            return told;
        }
    };
    let copy = ["cp", "-q", "--bwlimit", "256K", text(&from), &to];
    let mut copying = world.owner.cli.start(&copy);
    let began = next("transfer-began").await;
    let number = |told: &Value| -> u64 {
        let bytes = told["detail"]["bytes"].as_str().unwrap();
        bytes.parse().unwrap()
    };
    let first = next("transfer-progress").await;
    let second = next("transfer-progress").await;
    for told in [&first, &second] {
        assert_eq!(told["detail"]["transfer"], began["detail"]["transfer"]);
        assert_eq!(told["machine_name"], "web-1");
        assert_eq!(told["detail"]["path"], Value::Null);
    }
    assert!(0 < number(&first) && number(&first) < number(&second));
    assert!(number(&second) < 8 << 20);
    copying.kill().await.unwrap();
    let ended = next("transfer-ended").await;
    assert_eq!(ended["outcome"], "failed", "{ended}");
    assert_eq!(ended["detail"]["reason"], "broken-off");
    assert_eq!(ended["detail"]["files"], "0");
    // How far it was is no history.
    assert!(told(&world.owner.cli, "transfer-progress").await.is_empty());
    drop(following);
}
