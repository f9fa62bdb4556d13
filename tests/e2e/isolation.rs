//! Workspaces do not meet at a relay, nor does who is kept to fleets meet the machines of others: every call that it serves, found in the services' own descriptors,
//! is tried with the tokens of another workspace. A call that is not in the table here fails the test.
//!
//! The control plane's calls and routes are tried in its own tests.

mod calls;
mod fleets;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cmdop_client::dial::{self, Trust};
use cmdop_proto::ErrorKind;
use cmdop_proto::token::{Bearer, Claims};
use cmdop_proto::v1;
use cmdop_tests::forge::{self, Forge};
use cmdop_tests::world::Account;
use cmdop_tests::{Wire, World, wait};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;

use calls::Things;

/// What may be answered at all, for it tells of the caller's own workspace: nothing of ours may be in it.
const LISTINGS: [&str; 6] = [
    "SessionService/List",
    "SessionService/Watch",
    "FleetService/List",
    "FleetService/Watch",
    "FleetService/Hello",
    "FileService/Feed",
];

/// An agent of another workspace may link itself; it gets nothing of ours by that.
const LINKS: &str = "AgentService/Connect";

/// A world with something of each kind, and an owner and a machine of another workspace.
struct Two {
    world: World,
    eve: Account,
    things: Things,
    /// As the other workspace's owner.
    account: Wire,
    /// As its machine.
    machine: Wire,
}

impl Two {
    async fn start() -> Self {
        let mut world = World::start().await;
        world.add_workspace("other").await;
        let eve = world.add_account_in("other", "eve", "owner").await;
        world
            .enroll_machine("other-1", &["--workspace", "other"])
            .await;
        let things = things(&world).await;
        let token = eve.access_token().await;
        let (url, ca) = (world.relay.url(), world.control.ca_pem());
        let account = Wire::dial(&url, &ca, &token).await;
        let machine = account.with_token(&machine_token(&world, &token).await);
        Self {
            world,
            eve,
            things,
            account,
            machine,
        }
    }
}

async fn things(world: &World) -> Things {
    let session = world
        .new_session(&["web-1", "--name", "marked-session", "--", "cat"])
        .await;
    let run = [
        "exec",
        "--detach",
        "web-1",
        "--",
        "sh",
        "-c",
        "echo marked-run; sleep 600",
    ];
    let run = world.cmdop(&run).await.ok().trim().to_owned();
    let record = world.session(&session).await;
    Things {
        machine: record["machine_id"].as_str().unwrap().to_owned(),
        session,
        run,
    }
}

/// As the machine of the other workspace would get it.
async fn machine_token(world: &World, account: &str) -> String {
    let listed = ["machines", "--workspace", "other", "--json"];
    let machines: Value = serde_json::from_str(&world.control.admin(&listed).await.ok()).unwrap();
    let claims = Claims {
        sub: machines[0]["id"].as_str().unwrap().to_owned(),
        bearer: Bearer::Machine,
        role: None,
        sid: None,
        ..forge::claims(account)
    };
    Forge::of_control(world.control.data(), account).sign(&claims)
}

/// `Service/Method` of everything that is declared anywhere.
fn declared() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(cmdop_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let names = services.flat_map(|service| {
        let methods = service.method.iter();
        methods.map(|method| format!("{}/{}", service.name(), method.name()))
    });
    names.collect()
}

#[tokio::test]
async fn every_call_with_another_workspaces_token_finds_nothing() {
    let two = Two::start().await;
    let mut tried = 0;
    // Agents last: what one claims for itself is then seen in its own workspace.
    let is_agents = |name: &String| name.starts_with("AgentService/");
    let (agents, others): (Vec<_>, Vec<_>) = declared().into_iter().partition(is_agents);
    for name in others.into_iter().chain(agents) {
        let is_served = two.account.serves(&name).await;
        let answers = calls::ask(&name, &two.account, &two.machine, &two.things).await;
        assert_eq!(answers.is_some(), is_served, "{name} is not in the table");
        for answer in answers.into_iter().flatten() {
            tried += 1;
            match answer {
                Ok(told) if name == LINKS => assert!(!told.contains("marked-"), "{told}"),
                Ok(told) => {
                    assert!(LISTINGS.contains(&name.as_str()), "{name}: {told}");
                    let leak = two.things.words().find(|word| told.contains(word));
                    assert_eq!(leak, None, "{name}: {told}");
                }
                Err(refusal) => {
                    let kinds = [ErrorKind::NotFound, ErrorKind::Denied];
                    assert!(kinds.contains(&refusal.kind), "{name}: {refusal:?}");
                }
            }
        }
    }
    assert!(tried > 40, "{tried}");
    everything_is_as_it_was(&two.world, &two.things).await;
}

/// Nothing of what was tried had an effect.
async fn everything_is_as_it_was(world: &World, things: &Things) {
    let record = world.session(&things.session).await;
    assert_eq!(record["name"], "marked-session", "{record}");
    assert_eq!(record["machine_name"], "web-1", "{record}");
    assert_eq!(record["status"], "connected", "{record}");
    world
        .cmdop(&["send", "marked-session", "--enter", "still"])
        .await
        .ok();
    wait::until_true_async("the session answers", || async {
        let screen = world.cmdop(&["capture", "marked-session"]).await;
        screen.out().contains("still") && !screen.out().contains("stranger")
    })
    .await;
    let stopped = world.cmdop(&["exec", "--stop", &things.run]).await;
    assert_eq!(stopped.status, 0, "the run was there: {stopped:?}");
}

#[tokio::test]
async fn a_watch_tells_nothing_of_what_happens_in_another_workspace() {
    let mut two = Two::start().await;
    let mut sessions = two.account.sessions();
    let watch = sessions.watch(v1::WatchSessionsRequest {}).await;
    let mut sessions = watch.unwrap().into_inner();
    let mut fleet = two.account.fleet();
    let watch = fleet.watch(v1::WatchFleetRequest {}).await;
    let mut fleet = watch.unwrap().into_inner();
    // Something of each kind there, then something here, which is the sign that all was told.
    let there = ["web-1", "--name", "marked-later", "--", "cat"];
    two.world.new_session(&there).await;
    two.world.add_machine("marked-machine").await;
    two.world
        .cmdop(&["sessions", "close", "marked-later"])
        .await
        .ok();
    two.world.machine("other-1").run().await;
    let own = ["new", "-d", "other-1", "--name", "own", "--", "cat"];
    let own = two.eve.cli.run(&own).await.ok();
    let mut told = String::new();
    let told_all = async {
        while !told.contains(own.trim()) {
            let event = sessions.message().await.unwrap().unwrap();
            write!(told, "{event:?}").unwrap();
        }
        while !told.contains("other-1") || !told.contains("Online") {
            let event = fleet.message().await.unwrap().unwrap();
            write!(told, "{event:?}").unwrap();
        }
    };
    wait::within("what happens here", told_all).await;
    let leak = two.things.words().find(|word| told.contains(word));
    assert_eq!(leak, None, "{told}");
}

/// What the relay answers to a plain request with this token.
async fn get(world: &World, route: &str, token: &str) -> String {
    let tls = dial::tls_config(&Trust::Ca(world.control.ca_pem())).unwrap();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap();
    let request = http.get(format!("{}{route}", world.relay.url()));
    let answer = request.bearer_auth(token).send();
    let answer = wait::within("an answer", answer).await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn no_route_of_a_relay_tells_of_any_workspace() {
    let two = Two::start().await;
    let source = include_str!("../../relay/src/running.rs");
    let spaceless: String = source.split_whitespace().collect();
    let routes: BTreeSet<&str> = spaceless
        .split(".route(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(routes.contains("/healthz"), "{routes:?}");
    let token = two.eve.access_token().await;
    for route in routes {
        let told = get(&two.world, route, &token).await;
        let leak = two.things.words().find(|word| told.contains(word));
        assert_eq!(leak, None, "{route}: {told}");
    }
}
