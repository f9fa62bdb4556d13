//! Events over WebSocket: in order, each once, also for those who come back.

use std::time::Duration;

use cmdop_proto::token::Role;
use cmdop_proto::v1::report::What;
use cmdop_proto::v1::{Presence, Report, ReportedEvent, ReportedPresence, Session, SessionStatus};
use cmdop_proto::{MachineId, SessionId};
use serde_json::{Value, json};

use crate::relays::relay;
use crate::reports::report;
use crate::socket::Socket;
use crate::world::{Key, World, text};

/// A relay that reports, and the workspace of which it does.
pub struct Teller {
    token: Value,
    pub workspace: String,
    machine: MachineId,
    count: u64,
}

impl Teller {
    pub async fn of(world: &World, who: &Value) -> Self {
        let me = world.who_am_i(&who["access_token"]).await.unwrap();
        let (token, _) = relay(world, &Key::new()).await;
        Self {
            token,
            workspace: me.workspace_id,
            machine: MachineId::new(),
            count: 0,
        }
    }

    pub fn channel(&self) -> String {
        format!("workspace:{}", self.workspace)
    }

    fn report(&mut self, what: What) -> Report {
        self.count += 1;
        Report {
            key: format!("{}-{}", self.machine, self.count),
            workspace_id: self.workspace.clone(),
            at_ms: 1_800_000_000_000 + self.count,
            what: Some(what),
        }
    }

    fn session(&mut self, id: SessionId, status: SessionStatus) -> Report {
        let session = Session {
            id: id.to_string(),
            machine_id: self.machine.to_string(),
            machine_name: "web-1".into(),
            status: status.into(),
            created_at_ms: 1_800_000_000_000,
            created_by: "ada".into(),
            ..Session::default()
        };
        self.report(What::Session(session))
    }

    /// Reports so many new sessions; their ids.
    pub async fn sessions(&mut self, world: &World, count: usize) -> Vec<SessionId> {
        let ids: Vec<_> = (0..count).map(|_| SessionId::new()).collect();
        let reports = ids
            .iter()
            .map(|id| self.session(*id, SessionStatus::Pending));
        let reports = reports.collect();
        report(world, &self.token, reports).await.unwrap();
        ids
    }

    /// Reports so many changes of files, of which those who may read files are told long names.
    pub async fn changes(&mut self, world: &World, count: usize) {
        let change = |teller: &mut Self| {
            let detail = [("verb", "put".to_owned()), ("path", "long/".repeat(700))];
            let detail = detail.map(|(key, value)| (key.to_owned(), value));
            teller.report(What::Event(ReportedEvent {
                action: "file-changed".into(),
                target: "web-1".into(),
                detail: detail.into(),
                ..ReportedEvent::default()
            }))
        };
        let reports = (0..count).map(|_| change(self)).collect();
        report(world, &self.token, reports).await.unwrap();
    }

    /// Reports that a session is in another state.
    pub async fn status(&mut self, world: &World, id: SessionId, status: SessionStatus) {
        let reports = vec![self.session(id, status)];
        report(world, &self.token, reports).await.unwrap();
    }
}

/// The sessions that a reply's publications are about, and their numbers.
fn recovered(reply: &Value) -> (Vec<u64>, Vec<String>) {
    let publications = reply["publications"].as_array().unwrap();
    let numbers = publications
        .iter()
        .map(|one| one["offset"].as_u64().unwrap());
    let ids = publications
        .iter()
        .map(|one| text(&one["data"]["session"]["id"]).to_owned());
    (numbers.collect(), ids.collect())
}

fn texts(ids: &[SessionId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn sessions_are_told_as_they_come_with_numbers_that_follow_each_other() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let guest = world.person("grace", "default", Role::Guest).await;
    let mut socket = Socket::of(&world, &guest).await;
    let channel = teller.channel();
    let subscribed = socket.subscribe(&channel).await;
    assert_eq!(subscribed["recoverable"], true, "{subscribed}");
    let begun = subscribed["offset"].as_u64().unwrap();
    let ids = teller.sessions(&world, 20).await;
    for (n, id) in (begun + 1..).zip(&ids) {
        let (number, told) = socket.event(&channel).await;
        assert_eq!(number, n);
        assert_eq!(told["type"], "session");
        assert_eq!(told["change"], "created");
        assert_eq!(told["session"]["id"], id.to_string());
        assert_eq!(told["session"]["machine_name"], "web-1");
    }
    let one = format!("session:{}", ids[3]);
    let subscribed = socket.subscribe(&one).await;
    assert_eq!(subscribed["offset"], 1, "{subscribed}");
    for (n, status) in [
        (2, SessionStatus::Connected),
        (3, SessionStatus::GracePeriod),
    ] {
        teller.status(&world, ids[4], status).await;
        teller.status(&world, ids[3], status).await;
        let (number, told) = socket.event(&one).await;
        assert_eq!((number, &told["change"]), (n, &json!("status")));
    }
    socket.call("unsubscribe", json!({"channel": one})).await;
    teller
        .status(&world, ids[3], SessionStatus::Connected)
        .await;
    teller
        .status(&world, ids[5], SessionStatus::Connected)
        .await;
    loop {
        let push = socket.push().await;
        assert_eq!(push["channel"], channel);
        if push["pub"]["data"]["session"]["id"] == ids[5].to_string() {
            break;
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_once_and_in_order() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let channel = teller.channel();
    let mut socket = Socket::of(&world, &owner).await;
    let begun = socket.subscribe(&channel).await;
    teller.sessions(&world, 2).await;
    socket.event(&channel).await;
    let (seen, _) = socket.event(&channel).await;
    drop(socket);
    let missed = teller.sessions(&world, 30).await;
    let mut socket = Socket::of(&world, &owner).await;
    let back = socket.recover(&channel, seen, &begun["epoch"]).await;
    assert_eq!(back["recovered"], true, "{back}");
    let numbers: Vec<_> = (seen + 1..=seen + 30).collect();
    assert_eq!(recovered(&back), (numbers, texts(&missed)));
    assert_eq!(back["offset"], seen + 30);
    let next = teller.sessions(&world, 1).await;
    let (number, told) = socket.event(&channel).await;
    assert_eq!(number, seen + 31);
    assert_eq!(told["session"]["id"], next[0].to_string());
    // Who has all gets nothing, and is told so.
    let mut socket = Socket::of(&world, &owner).await;
    let back = socket.recover(&channel, seen + 31, &begun["epoch"]).await;
    assert_eq!(back["recovered"], true);
    assert_eq!(back["publications"], json!([]));
    // Numbers of another epoch, or from the future, are none of ours.
    for (offset, epoch) in [(seen, json!("other")), (seen + 99, begun["epoch"].clone())] {
        let mut socket = Socket::of(&world, &owner).await;
        let back = socket.recover(&channel, offset, &epoch).await;
        assert_eq!(back["recovered"], false, "{back}");
        assert_eq!(back["offset"], seen + 31);
        assert!(back["publications"].is_null());
    }
    world.stop().await;
}

#[tokio::test]
async fn what_was_told_before_can_be_read() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let channel = teller.channel();
    let ids = teller.sessions(&world, 10).await;
    let mut socket = Socket::of(&world, &owner).await;
    let ask = |limit: i32, reverse: bool, since: Value| json!({"channel": channel, "limit": limit, "reverse": reverse, "since": since});
    let end = socket.call("history", ask(0, false, Value::Null)).await;
    assert_eq!(end["publications"], json!([]));
    let newest = end["offset"].as_u64().unwrap();
    let read = socket.call("history", ask(3, true, Value::Null)).await;
    let mut last = texts(&ids[7..]);
    last.reverse();
    assert_eq!(
        recovered(&read),
        (vec![newest, newest - 1, newest - 2], last)
    );
    let since = json!({"offset": newest - 2, "epoch": end["epoch"]});
    let read = socket.call("history", ask(-1, false, since)).await;
    assert_eq!(
        recovered(&read),
        (vec![newest - 1, newest], texts(&ids[8..]))
    );
    let since = json!({"offset": 1, "epoch": "other"});
    let read = socket.call("history", ask(1, false, since)).await;
    assert_eq!(read["code"], 112);
    world.stop().await;
}

#[tokio::test]
async fn machines_and_the_audit_log_are_told_also_what_another_process_does() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let (channel, audit) = (teller.channel(), format!("audit:{}", teller.workspace));
    let mut socket = Socket::of(&world, &owner).await;
    socket.subscribe(&channel).await;
    let begun = socket.subscribe(&audit).await;
    let machine = world.machine("db-1", &Key::new()).await;
    let (_, told) = socket.event(&channel).await;
    assert_eq!(
        (&told["type"], &told["change"]),
        (&json!("machine"), &json!("enrolled"))
    );
    assert_eq!(told["machine_name"], "db-1");
    for (epoch, presence) in [(1, Presence::Online), (1, Presence::Offline)] {
        let presence = ReportedPresence {
            machine_id: machine.clone(),
            presence: presence.into(),
            link_epoch: epoch,
            reason: String::new(),
        };
        let reports = vec![teller.report(What::Presence(presence))];
        report(&world, &teller.token, reports).await.unwrap();
    }
    for presence in ["online", "offline"] {
        let (_, told) = socket.event(&channel).await;
        assert_eq!(
            (&told["type"], &told["presence"]),
            (&json!("presence"), &json!(presence))
        );
        assert_eq!(told["machine_id"], machine);
    }
    // `admin` has a database handle of its own, as in another process.
    world.person("ada", "default", Role::Guest).await;
    let mut numbers = Vec::new();
    loop {
        let (number, told) = socket.event(&audit).await;
        numbers.push(number);
        if told["action"] == "member-added" {
            assert_eq!(
                (&told["target"], &told["seq"]),
                (&json!("ada"), &json!(number))
            );
            break;
        }
    }
    let first = begun["offset"].as_u64().unwrap() + 1;
    let expected: Vec<_> = (first..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let mut again = Socket::of(&world, &owner).await;
    let back = again.recover(&audit, first - 1, &begun["epoch"]).await;
    assert_eq!(back["recovered"], true);
    assert_eq!(back["publications"][0]["offset"], first);
    world.stop().await;
}

#[tokio::test]
async fn a_stopping_server_says_so_and_clients_come_back() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut socket = Socket::of(&world, &owner).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), world.stop());
    let (end, stopped) = tokio::join!(socket.end(), stopped);
    assert_eq!(end, (3001, "shutdown".to_owned()));
    stopped.expect("it stops soon");
}
