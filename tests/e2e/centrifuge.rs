//! Events with a client that is not ours: the npm package `centrifuge`, as it is published, in Node, over TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use cmdop_tests::faults::Proxy;
use cmdop_tests::process::Program;
use cmdop_tests::{World, wait};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The client, and what it was told so far.
struct Client {
    program: Program,
    told: Vec<Value>,
    _place: tempfile::TempDir,
}

fn vendored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("centrifuge")
}

impl Client {
    /// Starts it with `token`; `fresh` is what it gets when it asks for another.
    fn start(world: &World, at: &str, (token, fresh): (&str, &str), channels: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let mut command = Command::new("node");
        command
            .arg(vendored().join("follow.js"))
            .arg(format!("wss://{at}/connection/websocket"))
            .args(channels)
            .env("NODE_PATH", "/usr/share/nodejs")
            .env(
                "NODE_EXTRA_CA_CERTS",
                file("ca.pem", &world.control.ca_pem()),
            )
            .env("TOKEN_FILE", file("token", fresh))
            .env("TOKEN", token);
        let program = Program::start("node", command, &place.path().join("log"));
        Self {
            program,
            told: Vec::new(),
            _place: place,
        }
    }

    /// The next thing that it says.
    async fn said(&mut self) -> Value {
        let line = self.program.line().await;
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        if said["event"] == "publication" {
            self.told.push(said.clone());
        }
        said
    }

    /// Passes over what it says until it says this.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        wait::within(what, async {
            loop {
                let said = self.said().await;
                if is_it(&said) {
                    return said;
                }
            }
        })
        .await
    }

    async fn event(&mut self, name: &str) -> Value {
        self.until(name, |said| said["event"] == name).await
    }

    /// Waits until it is told, or was told already, that this session has ended.
    async fn ended(&mut self, session: &str) {
        let is_told = self.told.iter().any(|said| is_end_of(said, session));
        if !is_told {
            self.until("the end of the session", |said| is_end_of(said, session))
                .await;
        }
    }

    /// The numbers of all that it was told follow each other from `begun` on. What has none is no history.
    fn has_all_since(&self, begun: u64) {
        let numbers: Vec<_> = self
            .told
            .iter()
            .filter(|said| said["data"]["action"] != "transfer-progress")
            .map(|said| said["offset"].as_u64())
            .collect();
        let expected: Vec<_> = (begun + 1..).map(Some).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "a gap, or one twice");
    }
}

async fn workspace(world: &World) -> String {
    let me: Value = serde_json::from_str(&world.cmdop(&["whoami", "--json"]).await.ok()).unwrap();
    me["workspace_id"].as_str().unwrap().to_owned()
}

fn is_end_of(said: &Value, session: &str) -> bool {
    said["data"]["change"] == "ended" && said["data"]["session"]["id"] == session
}

#[test]
fn the_vendored_client_is_the_published_one() {
    let about = std::fs::read_to_string(vendored().join("README.md")).unwrap();
    for name in ["centrifuge.js", "LICENSE"] {
        let bytes = std::fs::read(vendored().join(name)).unwrap();
        let sum = Sha256::digest(bytes);
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(about.contains(&format!("| `{name}` | `{sum}` |")), "{name}");
    }
}

#[tokio::test]
async fn the_published_client_recovers_what_it_missed_without_a_gap_or_a_double() {
    let mut world = World::start().await;
    let channel = format!("workspace:{}", workspace(&world).await);
    let proxy = Proxy::start(world.control.address()).await;
    let token = world.owner.access_token().await;
    let at = proxy.address().to_string();
    let mut client = Client::start(&world, &at, (&token, &token), &[&channel]);
    let subscribed = client.event("subscribed").await;
    let begun = subscribed["streamPosition"]["offset"].as_u64().unwrap();
    let first = world.new_session(&["--name", "first"]).await;
    world.cmdop(&["sessions", "close", &first]).await.ok();
    client.ended(&first).await;
    // The network is gone, and things happen.
    proxy.close();
    client.event("connecting").await;
    let mut missed = Vec::new();
    for n in 0..3 {
        let id = world.new_session(&["--name", &format!("missed-{n}")]).await;
        world.cmdop(&["sessions", "close", &id]).await.ok();
        missed.push(id);
    }
    proxy.open();
    let back = client.event("subscribed").await;
    assert_eq!(
        (&back["wasRecovering"], &back["recovered"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    client.ended(&missed[2]).await;
    client.has_all_since(begun);
    let ends = |id| {
        client
            .told
            .iter()
            .filter(|said| is_end_of(said, id))
            .count()
    };
    assert!(missed.iter().all(|id| ends(id) == 1), "{:?}", client.told);
    // The control plane dies, and things happen: the relay reports them when it is back.
    world.control.program.kill().await;
    client.event("connecting").await;
    let away = world.new_session(&["--name", "away"]).await;
    world.cmdop(&["sessions", "close", &away]).await.ok();
    world.crash_control().await;
    let back = client.event("subscribed").await;
    assert_eq!(back["recovered"], true, "{back}");
    client.ended(&away).await;
    client.has_all_since(begun);
}

#[tokio::test]
async fn the_published_client_is_refused_what_is_not_for_it_and_gets_another_token_in_time() {
    let world = World::start().await;
    let own = workspace(&world).await;
    world.add_workspace("other").await;
    let stranger = world.add_account_in("other", "eve", "owner").await;
    let id = world.new_session(&["--name", "build"]).await;
    let (workspace, session) = (format!("workspace:{own}"), format!("session:{id}"));
    let audit = format!("audit:{own}");
    let at = world.control.address().to_string();
    let token = stranger.access_token().await;
    let channels = [workspace.as_str(), &session, &audit];
    let mut client = Client::start(&world, &at, (&token, &token), &channels);
    for _ in channels {
        let refused = client.event("unsubscribed").await;
        assert_eq!(refused["code"], 103, "{refused}");
        assert_eq!(refused["reason"], "permission denied");
    }
    // A token that is over is replaced before anything else happens.
    let token = world.owner.access_token().await;
    let forge = cmdop_tests::forge::Forge::of_control(world.control.data(), &token);
    let mut claims = cmdop_tests::forge::claims(&token);
    claims.exp = claims.iat - 600;
    let over = forge.sign(&claims);
    let mut client = Client::start(&world, &at, (&over, &token), &[&session, &audit]);
    client.event("token-wanted").await;
    client.event("connected").await;
    for _ in 0..2 {
        client.event("subscribed").await;
    }
    world.cmdop(&["sessions", "close", "build"]).await.ok();
    client.ended(&id).await;
    // Who logs out is gone within moments.
    world.cmdop(&["logout"]).await.ok();
    let gone = client.event("connecting").await;
    assert_eq!(gone["code"], 3005, "{gone}");
}

#[tokio::test]
async fn the_published_client_hears_how_far_a_transfer_is_beside_what_it_recovers() {
    let mut world = World::start().await;
    let channel = format!("workspace:{}", workspace(&world).await);
    let token = world.owner.access_token().await;
    let at = world.control.address().to_string();
    let mut client = Client::start(&world, &at, (&token, &token), &[&channel]);
    let subscribed = client.event("subscribed").await;
    let begun = subscribed["streamPosition"]["offset"].as_u64().unwrap();
    let from = world.directory().join("from");
    std::fs::write(&from, crate::files::noise(8 << 20)).unwrap();
    let to = crate::files::on("web-1", &world.directory().join("to"));
    let copy = ["cp", "-q", "--bwlimit", "256K", from.to_str().unwrap(), &to];
    let mut copying = world.owner.cli.start(&copy);
    let is = |said: &Value, action: &str| said["data"]["action"] == action;
    let far = client
        .until("how far it is", |said| is(said, "transfer-progress"))
        .await;
    assert_eq!(far["offset"].as_u64().unwrap_or(0), 0, "{far}");
    assert_eq!(far["data"]["detail"]["path"], Value::Null);
    // It comes back after a restart and recovers what has a number.
    world.control.program.kill().await;
    client.event("connecting").await;
    copying.kill().await.unwrap();
    world.crash_control().await;
    let back = client.event("subscribed").await;
    assert_eq!(back["recovered"], true, "{back}");
    let is_ended = |said: &Value| is(said, "transfer-ended");
    if !client.told.iter().any(is_ended) {
        client.until("the end", is_ended).await;
    }
    client.has_all_since(begun);
}
