//! Lines that left the screen are read page by page, the newest first, and none is lost or doubled.

use std::collections::BTreeMap;

use cmdop_client::history::{Pager, Taken};
use cmdop_proto::v1::{AttachMode, HistoryRequest};
use cmdop_proto::{ErrorKind, Refusal};
use cmdop_tests::wire::{self, Wire};
use cmdop_tests::{World, wait};

/// Prints numbered lines, then a hundred more for each key.
const NUMBERS: &str = "stty -echo -icanon; seq -f 'line %.0f' 1 20000; n=20000
    while :; do dd bs=1 count=1 2>/dev/null >/dev/null
    seq -f 'line %.0f' $((n + 1)) $((n + 100)); n=$((n + 100)); done";

async fn wire(world: &World, token: &str) -> Wire {
    Wire::dial(&world.relay.url(), &world.control.ca_pem(), token).await
}

async fn owner(world: &World) -> Wire {
    wire(world, &world.owner.access_token().await).await
}

/// The lines that are kept now, by their numbers.
async fn all(wire: &Wire, session: &str) -> (Pager, BTreeMap<u64, String>) {
    let mut pager = Pager::new(64 << 20);
    let mut lines = BTreeMap::new();
    while let Some(ask) = pager.next(0..u64::MAX) {
        let page = wire.sessions().history(ask.of(session)).await.unwrap();
        let taken = pager.take(ask, &page.into_inner()).unwrap();
        assert_eq!(taken, Taken::Lines);
    }
    for number in pager.numbers().expect("the agent has told") {
        let line = pager.line(number).expect("every kept line was read");
        lines.insert(number, line.text().to_owned());
    }
    (pager, lines)
}

/// A screen of 24 rows holds 23 lines and the cursor; all before them have left it.
async fn has_printed(wire: &Wire, session: &str, lines: u64) {
    wait::until_true_async("the lines are printed", || async {
        let request = HistoryRequest {
            session: session.to_owned(),
            max_lines: 1,
            ..HistoryRequest::default()
        };
        let page = wire.sessions().history(request).await.unwrap().into_inner();
        page.mark.unwrap_or_default().next == lines - 23
    })
    .await;
}

#[tokio::test]
async fn every_kept_line_arrives_once_and_in_order_while_the_program_prints_on() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", NUMBERS])
        .await;
    let wire = owner(&world).await;
    let mut keys = wire.attach(&session, AttachMode::Operator).await.unwrap();
    keys.until("the record", wire::opened).await;
    has_printed(&wire, &session, 20_000).await;
    let mut pager = Pager::new(64 << 20);
    let ask = pager.newest().expect("nothing is under way");
    let page = wire.sessions().history(ask.of(&session)).await.unwrap();
    pager.take(ask, &page.into_inner()).unwrap();
    let numbers = pager.numbers().expect("the agent has told");
    assert_eq!(numbers, 9_977..19_977);
    let mut pages = 0;
    while let Some(ask) = pager.next(numbers.clone()) {
        let page = wire.sessions().history(ask.of(&session)).await.unwrap();
        assert_eq!(pager.take(ask, &page.into_inner()), Ok(Taken::Lines));
        pages += 1;
        keys.type_keys(b"x").await;
        has_printed(&wire, &session, 20_000 + 100 * pages).await;
    }
    assert!(pages >= 2, "{pages} pages");
    let kept = pager.numbers().expect("the agent has told");
    assert!(kept.start > numbers.start, "lines were dropped meanwhile");
    for number in numbers {
        match pager.line(number) {
            Some(line) => assert_eq!(line.text(), format!("line {}", number + 1)),
            None => assert!(
                pager.is_lost(number),
                "line {number} is kept and was not read"
            ),
        }
    }
    // Again from the start: now there is all that is kept, and nothing else.
    let (_, lines) = all(&wire, &session).await;
    assert_eq!(lines.len(), 10_000);
    for (number, text) in &lines {
        assert_eq!(*text, format!("line {}", number + 1));
    }
}

#[tokio::test]
async fn the_next_worker_knows_the_history_or_says_from_where_on() {
    let mut world = World::start().await;
    let script = "seq -f 'line %.0f' 1 20000; read x; seq -f 'line %.0f' 20001 400000; read x";
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", script])
        .await;
    let wire = owner(&world).await;
    has_printed(&wire, &session, 20_000).await;
    let (before, lines) = all(&wire, &session).await;
    world.machine("web-1").kill_worker().await;
    let (after, again) = all(&wire, &session).await;
    assert_eq!(after.epoch(), before.epoch());
    assert!(lines == again, "the log had all of it");
    // More than the log holds: the next worker begins with the last picture and what came after it.
    world.cmdop(&["send", &session, "--enter", ""]).await.ok();
    has_printed(&wire, &session, 400_001).await;
    world.machine("web-1").kill_worker().await;
    let (after, again) = all(&wire, &session).await;
    assert_eq!(after.epoch(), before.epoch());
    let kept = after.numbers().expect("the agent has told");
    assert_eq!(kept.end, 400_001 - 23);
    assert!(kept.start <= kept.end - 1000, "{kept:?}");
    // The echo of the key is a line of its own.
    for (number, text) in &again {
        assert_eq!(*text, format!("line {number}"));
    }
    assert_eq!(again.len() as u64, kept.end - kept.start);
}

#[tokio::test]
async fn observers_read_it_and_other_workspaces_do_not_know_it() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", "seq 1 100; read x"])
        .await;
    has_printed(&owner(&world).await, &session, 100).await;
    let request = || HistoryRequest {
        session: session.clone(),
        ..HistoryRequest::default()
    };
    let guest = world.add_account("eve", "guest").await;
    let guest = wire(&world, &guest.access_token().await).await;
    let page = guest.sessions().history(request()).await.unwrap();
    assert!(page.into_inner().text.ends_with(b"\n77\n"));
    world.add_workspace("elsewhere").await;
    let other = world.add_account_in("elsewhere", "mallory", "owner").await;
    let other = wire(&world, &other.access_token().await).await;
    let refused = other.sessions().history(request()).await.unwrap_err();
    assert_eq!(Refusal::from(refused).kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_capture_has_as_many_lines_as_are_kept_however_long_they_are() {
    let world = World::start().await;
    let script = "seq -f '%0190.0f' 1 10000; read x";
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", script])
        .await;
    let expected: Vec<_> = (1001..=10_000).map(|line| format!("{line:0190}")).collect();
    wait::until_true_async("the last line", || async {
        let captured = world.cmdop(&["capture", &session]).await.out();
        captured.trim_end().ends_with("10000")
    })
    .await;
    // Nine rows of three lines each, less one, are on the screen.
    let lines = 10_000 - 1_000 - 7;
    let captured = world
        .cmdop(&["capture", &session, "--scrollback", &lines.to_string()])
        .await
        .ok();
    assert!(captured.len() > 1 << 20);
    let came: Vec<_> = captured.lines().collect();
    assert_eq!(came.len(), expected.len());
    assert!(came == expected, "the lines differ");
}
