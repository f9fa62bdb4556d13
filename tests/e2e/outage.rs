//! The control plane is away, and everything that lives goes on under load; when it is back it is told of each
//! thing exactly once.
//!
//! A few seconds in a run of everything. `CMDOP_OUTAGE_SECONDS=600` makes it ten minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use cmdop_proto::ClientId;
use cmdop_proto::v1::attach_request::Request;
use cmdop_proto::v1::{AttachMode, AttachOpen, Ping};
use cmdop_tests::world::Account;
use cmdop_tests::{Wire, World, wait};
use serde_json::Value;
use tokio::time::Instant;

/// Counts, some thousand lines a second.
const FLOOD: &str =
    "i=0; while :; do i=$((i+1)); echo n $i; [ $((i % 50)) -eq 0 ] && sleep 0.01; done";

/// How long the control plane is away unless `CMDOP_OUTAGE_SECONDS` says otherwise.
const SHORT: u64 = 6;

/// How often a viewer is heard.
const PING: Duration = Duration::from_secs(5);

/// What was done while the control plane was away, as those who did it counted it.
#[derive(Debug, Default)]
struct Done {
    runs: Vec<String>,
    attaches: usize,
    refusals: usize,
    sessions: Vec<String>,
    lines: u64,
}

fn outage() -> Duration {
    let asked = std::env::var("CMDOP_OUTAGE_SECONDS").ok();
    let seconds = asked.map_or(SHORT, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn an_outage_of_the_control_plane_stops_nothing_that_lives_and_loses_and_doubles_no_report() {
    let mut world = World::start().await;
    let guest = world.add_account("guest", "guest").await;
    let flood = ["web-1", "--name", "flood", "--", "sh", "-c", FLOOD];
    let flood = world.new_session(&flood).await;
    let typed = ["web-1", "--name", "typed", "--", "cat"];
    let typed = world.new_session(&typed).await;
    let token = world.owner.access_token().await;
    let wire = Wire::dial(&world.relay.url(), &world.control.ca_pem(), &token).await;
    world.control.program.kill().await;
    let until = Instant::now() + outage();
    let (lines, attaches, runs, refusals, sessions) = tokio::join!(
        watches(&wire, &flood, until),
        types(&wire, &typed, until),
        executes(&world, until),
        is_refused(&guest, until),
        opens_and_closes(&world, until),
    );
    let done = Done {
        runs,
        attaches,
        refusals,
        sessions,
        lines,
    };
    println!("while the control plane was away: {done:?}");
    assert!(done.lines > 100, "the session stood still: {}", done.lines);
    let spool = world.relay.data().join("spool");
    let waiting = std::fs::read_dir(spool).unwrap().count();
    assert!(waiting > 0, "nothing waits on the relay's disk");
    world.crash_control().await;
    is_told_once(&world, &done, [&flood, &typed]).await;
    world.cmdop(&["exec", "web-1", "--", "true"]).await.ok();
    world.cmdop(&["audit", "verify"]).await.ok();
}

/// One viewer of a session that prints all the time gets every line; how many.
async fn watches(wire: &Wire, session: &str, until: Instant) -> u64 {
    let attached = wire.attach(session, AttachMode::Observer).await;
    let mut attached = attached.unwrap();
    let mut ping_at = Instant::now();
    while Instant::now() < until {
        if ping_at <= Instant::now() {
            // A client of which nothing is heard for a minute is taken for lost.
            attached.send(Request::Ping(Ping { nonce: 1 })).await;
            ping_at += PING;
        }
        attached.next().await.unwrap().expect("the stream goes on");
    }
    let text = String::from_utf8_lossy(attached.output()).into_owned();
    let whole = text.lines().skip(1);
    let mut numbers = whole.filter_map(|line| line.strip_prefix("n ")?.parse::<u64>().ok());
    let first = numbers.next().expect("a line");
    // The last may be cut in the middle.
    let rest: Vec<u64> = numbers.collect();
    let rest = &rest[..rest.len().saturating_sub(1)];
    for (expected, number) in (first + 1..).zip(rest) {
        assert_eq!(*number, expected, "a line is missing or doubled");
    }
    rest.len() as u64
}

/// An operator who comes and goes, and goes on where the last one left; how often.
async fn types(wire: &Wire, session: &str, until: Instant) -> usize {
    let mut count = 0;
    let mut have = None;
    while Instant::now() < until {
        let open = AttachOpen {
            session: session.to_owned(),
            mode: AttachMode::Operator.into(),
            client_id: ClientId::new().to_string(),
            resume_from: have,
            size: Some(cmdop_proto::Size::DEFAULT.into()),
            ..AttachOpen::default()
        };
        let mut attached = wire.attach_with(open).await.unwrap();
        let word = format!("word-{count}");
        attached.type_keys(format!("{word}\n").as_bytes()).await;
        attached.until_output(word.as_bytes()).await;
        if have.is_some() {
            assert_eq!(attached.start(), have, "it goes on where it was");
        }
        have = attached.end();
        count += 1;
        // Hundreds a second on one connection are more streams than HTTP/2 remembers the ends of.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    count
}

/// Programs, one after the other; what each was told to print.
async fn executes(world: &World, until: Instant) -> Vec<String> {
    let mut words = Vec::new();
    while Instant::now() < until {
        let word = format!("away-{}", words.len());
        let run = ["exec", "web-1", "--", "echo", &word];
        assert_eq!(world.cmdop(&run).await.ok(), format!("{word}\n"));
        words.push(word);
    }
    words
}

/// Somebody who may not; how often.
async fn is_refused(guest: &Account, until: Instant) -> usize {
    let mut count = 0;
    while Instant::now() < until {
        let refused = guest.cli.run(&["exec", "web-1", "--", "true"]).await;
        refused.refused(77, &["guest"]);
        count += 1;
        // Refusals are reported up to a limit a minute, far above one in a while.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    count
}

/// Sessions that begin and end meanwhile; their ids.
async fn opens_and_closes(world: &World, until: Instant) -> Vec<String> {
    let mut ids = Vec::new();
    while Instant::now() < until {
        let id = world.new_session(&["web-1", "--", "cat"]).await;
        world.cmdop(&["sessions", "close", &id]).await.ok();
        ids.push(id);
    }
    ids
}

/// The whole audit log, oldest first.
async fn exported(world: &World) -> Vec<Value> {
    let out = world.cmdop(&["audit", "export"]).await.ok();
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// How often each thing was told: an action, and what it was about.
fn counted(records: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = match word(&record["action"]).as_str() {
            "exec-started" => word(&record["detail"]["command"]),
            "denied" => word(&record["actor_name"]),
            _ => word(&record["target"]),
        };
        *counts.entry((word(&record["action"]), about)).or_default() += 1;
    }
    counts
}

async fn is_told_once(world: &World, done: &Done, [flood, typed]: [&str; 2]) {
    let mut expected: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut expect = |action: &str, about: &str, count| {
        expected.insert((action.to_owned(), about.to_owned()), count);
    };
    for word in &done.runs {
        expect("exec-started", &format!("echo {word}"), 1);
    }
    for id in &done.sessions {
        expect("session-created", id, 1);
        expect("session-closed", id, 1);
    }
    for (id, attaches) in [(flood, 1), (typed, done.attaches)] {
        expect("session-created", id, 1);
        expect("session-attached", id, attaches);
        expect("session-detached", id, attaches);
    }
    expect("denied", "guest", done.refusals);
    // A relay that looked in vain for ten minutes looks again within half a minute.
    let complete = async {
        loop {
            let counts = counted(&exported(world).await);
            let is_there = |(key, count): (&_, &usize)| counts.get(key) >= Some(count);
            if expected.iter().all(is_there) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    wait::within_times("all reports", 3, complete).await;
    // The last of them came after all others: if any came twice, it is there by now.
    let counts = counted(&exported(world).await);
    let ours = ["exec-started", "session-", "denied", "reports-lost"];
    let told: BTreeMap<_, _> = counts
        .into_iter()
        .filter(|((action, _), _)| ours.iter().any(|word| action.starts_with(word)))
        .collect();
    assert_eq!(told, expected);
    // So is how each session fared.
    let limit = (done.sessions.len() + 2).to_string();
    let history = ["sessions", "history", "--json", "--limit", &limit];
    let listed: Value = serde_json::from_str(&world.cmdop(&history).await.ok()).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), done.sessions.len() + 2);
    for id in &done.sessions {
        let one = listed.iter().filter(|session| session["id"] == id.as_str());
        let states: Vec<_> = one.map(|session| session["status"].as_str()).collect();
        assert_eq!(states, [Some("disconnected")], "{id}");
    }
}
