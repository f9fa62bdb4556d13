//! The same of somebody of the same workspace who is kept to a fleet, and what changes when machines come into it
//! and leave it.

use cmdop_proto::{ErrorKind, v1};
use cmdop_tests::world::Account;
use cmdop_tests::{Wire, World, wait};

use super::calls::{self, Things};
use super::{LISTINGS, declared, everything_is_as_it_was, things};

/// A world whose machine `eu-1` is in the fleet `eu`, and grace, who is kept to that.
struct Kept {
    world: World,
    grace: Account,
}

impl Kept {
    async fn start() -> Self {
        let mut world = World::start().await;
        world.add_machine("eu-1").await;
        let grace = world.add_account("grace", "member").await;
        for args in [
            &["fleets", "create", "eu"][..],
            &["fleets", "add", "eu", "eu-1"],
            &["fleets", "add-members", "eu", "grace"],
        ] {
            world.cmdop(args).await.ok();
        }
        Self { world, grace }
    }

    async fn wire(&self) -> Wire {
        // What grace had before is void: a call makes another token.
        self.grace.cli.run(&["machines"]).await.ok();
        let token = self.grace.access_token().await;
        let (url, ca) = (self.world.relay.url(), self.world.control.ca_pem());
        Wire::dial(&url, &ca, &token).await
    }

    /// The names of the machines that grace sees.
    async fn machines(&self) -> Vec<String> {
        let listed = self.grace.cli.run(&["machines", "--json"]).await;
        let listed: serde_json::Value = serde_json::from_str(&listed.ok()).unwrap();
        let rows = cmdop_tests::world::rows(&listed);
        let names = rows.iter().map(|row| row["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn every_call_of_who_is_kept_to_a_fleet_finds_no_machine_of_another() {
    let kept = Kept::start().await;
    let things: Things = things(&kept.world).await;
    let wire = kept.wire().await;
    let mut tried = 0;
    let is_agents = |name: &String| name.starts_with("AgentService/");
    for name in declared().into_iter().filter(|name| !is_agents(name)) {
        if !wire.serves(&name).await {
            continue;
        }
        let answers = calls::ask(&name, &wire, &wire, &things).await;
        for answer in answers.expect("it is in the table") {
            tried += 1;
            match answer {
                Ok(told) => {
                    assert!(LISTINGS.contains(&name.as_str()), "{name}: {told}");
                    let leak = things.words().find(|word| told.contains(word));
                    assert_eq!(leak, None, "{name}: {told}");
                }
                Err(refusal) => {
                    assert_eq!(refusal.kind, ErrorKind::NotFound, "{name}: {refusal:?}");
                }
            }
        }
    }
    assert!(tried > 40, "{tried}");
    everything_is_as_it_was(&kept.world, &things).await;
    assert_eq!(kept.machines().await, ["eu-1"]);
    let made = kept.grace.cli.run(&["exec", "eu-1", "--", "echo", "mine"]);
    assert_eq!(made.await.ok().trim(), "mine");
}

#[tokio::test]
async fn a_machine_that_leaves_the_fleet_takes_its_sessions_from_who_is_attached() {
    let kept = Kept::start().await;
    let session = ["new", "-d", "eu-1", "--name", "build", "--", "cat"];
    kept.grace.cli.run(&session).await.ok();
    let wire = kept.wire().await;
    let mut attached = wire
        .attach("build", v1::AttachMode::Operator)
        .await
        .unwrap();
    let fleets = ["fleets", "drop", "eu", "eu-1"];
    kept.world.cmdop(&fleets).await.ok();
    let ended = loop {
        match attached.next().await {
            Ok(told) => assert!(told.is_some(), "the stream ends with a reason"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(ended.reason, "token-revoked");
    assert!(kept.machines().await.is_empty());
    let refused = kept.grace.cli.run(&["capture", "build"]).await;
    assert!(refused.err().contains("there is no session"), "{refused:?}");
    // The session itself lives on.
    let capture = kept.world.cmdop(&["capture", "build"]).await;
    assert_eq!(capture.status, 0, "{capture:?}");
}

#[tokio::test]
async fn a_machine_that_comes_into_the_fleet_is_told_of_with_its_sessions() {
    let kept = Kept::start().await;
    kept.world
        .new_session(&["web-1", "--name", "build", "--", "cat"])
        .await;
    let wire = kept.wire().await;
    let mut sessions = wire.sessions();
    let watch = sessions.watch(v1::WatchSessionsRequest {}).await;
    let mut sessions = watch.unwrap().into_inner();
    let mut fleet = wire.fleet();
    let watch = fleet.watch(v1::WatchFleetRequest {}).await;
    let mut machines = watch.unwrap().into_inner();
    kept.world
        .cmdop(&["fleets", "add", "eu", "web-1"])
        .await
        .ok();
    let told = async {
        loop {
            let event = sessions.message().await.unwrap().unwrap();
            if format!("{event:?}").contains("build") {
                break;
            }
        }
        loop {
            let event = machines.message().await.unwrap().unwrap();
            if format!("{event:?}").contains("web-1") {
                break;
            }
        }
    };
    wait::within("news of the machine and its session", told).await;
    // Whoever reaches everything again sees it at once, by the command for that.
    kept.world.cmdop(&["fleets", "remove", "eu"]).await.ok();
    wait::until_true_async("nothing is left", || async {
        kept.machines().await.is_empty()
    })
    .await;
    kept.world
        .cmdop(&["members", "reach", "grace", "all"])
        .await
        .ok();
    assert_eq!(kept.machines().await, ["eu-1", "web-1"]);
}
