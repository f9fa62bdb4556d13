//! Laptops sleep and change networks: what was attached goes on, no byte is lost or doubled, and what
//! was typed is written once.

use std::net::Ipv4Addr;

use cmdop_proto::v1::{AttachMode, attach_response};
use cmdop_tests::forge::{self, Forge};
use cmdop_tests::wire::{self, Wire};
use cmdop_tests::workload::{COUNT, REPEAT, counted};
use cmdop_tests::{Person, Shape, World, process, wait};
use rustix::process::Signal;

use crate::reconnect::{assert_counted, counting_person};

/// An address for each network that somebody walks through.
fn network(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 1 + number)
}

#[tokio::test]
async fn a_client_and_an_agent_whose_addresses_change_go_on_where_they_were() {
    let world = World::with().relay_behind_proxy().start().await;
    let person = counting_person(&world).await;
    person.enter("");
    for part in 1..=3 {
        person
            .pty
            .wait_until("a part of the output", 2, |pty| {
                pty.total() > u64::from(part) * 600_000
            })
            .await;
        world.relay.proxy().move_to(network(part));
    }
    assert_counted(&person).await;
}

#[tokio::test]
async fn an_agent_whose_address_changes_resumes_without_a_lost_or_doubled_byte() {
    let world = World::with().relay_behind_proxy().start().await;
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", COUNT])
        .await;
    // This client is beside the proxy: only the agent moves.
    let direct = format!("https://{}", world.relay.address());
    let token = world.owner.access_token().await;
    let wire = Wire::dial(&direct, &world.control.ca_pem(), &token).await;
    let mut raw = wire.attach(&session, AttachMode::Operator).await.unwrap();
    raw.until("the record", wire::opened).await;
    raw.until_output(b"ready").await;
    raw.type_keys(b"\n").await;
    let expected = counted();
    let start = raw.end().unwrap();
    let (mut next_move, mut moves) = (300_000, 0);
    while raw.end().unwrap_or(start) - start < expected.len() as u64 {
        let response = raw.next().await.expect("the stream outlives the move");
        let response = response.expect("the stream outlives the move");
        assert!(
            !matches!(response, attach_response::Response::Keyframe(_)),
            "the only operator never has to skip"
        );
        if raw.end().unwrap_or(start) - start > next_move {
            moves += 1;
            next_move += 700_000;
            world.relay.proxy().move_to(network(moves));
        }
    }
    assert!(moves >= 3, "{moves} moves");
    let came = &raw.output()[raw.output().len() - expected.len()..];
    assert!(came == expected, "the bytes differ from what was printed");
}

#[tokio::test]
async fn what_is_typed_while_addresses_change_is_written_once() {
    let world = World::with().relay_behind_proxy().start().await;
    start_repeating(&world).await;
    let person = attach_repeating(&world).await;
    for number in 1..=60_u8 {
        if number % 10 == 5 {
            world.relay.proxy().move_to(network(number / 10 + 1));
        }
        person.type_keys(&format!("line-{number:03}\n"));
        if number % 10 == 0 {
            repeats(&person, number).await;
        }
    }
    assert_repeated(&world, 60).await;
}

/// The client stands still, its network is gone, and all its tokens are an hour too old when it wakes
/// up in another one.
#[tokio::test]
async fn a_laptop_that_slept_for_an_hour_goes_on_where_it_was() {
    let world = World::with().relay_behind_proxy().start().await;
    start_repeating(&world).await;
    // A token whose hour is over in some seconds, leeway included, which its client does not expect.
    let genuine = world.owner.access_token().await;
    let forge = Forge::of_control(world.control.data(), &genuine);
    let mut claims = forge::claims(&genuine);
    claims.exp = forge::now() - 45;
    let token = forge.sign(&claims);
    world.owner.use_access_token(&token).await;
    let person = attach_repeating(&world).await;
    for number in 1..=5 {
        person.type_keys(&format!("line-{number:03}\n"));
    }
    repeats(&person, 5).await;
    let client = person.pty.pid().expect("the client runs");
    process::freeze(client).await;
    world.relay.proxy().close();
    until_the_token_is_refused(&world, &token).await;
    // The keys are in the terminal before the client knows that it slept.
    for number in 6..=9 {
        person.type_keys(&format!("line-{number:03}\n"));
    }
    world.relay.proxy().open();
    world.relay.proxy().move_to(network(1));
    process::signal(client, Signal::CONT);
    repeats(&person, 9).await;
    assert_repeated(&world, 9).await;
    assert_ne!(world.owner.access_token().await, token, "it was refreshed");
}

/// The agent stands still, and what its programs print waits in their terminals. Its link is gone when
/// it wakes up, and the relay knows of neither.
#[tokio::test]
async fn a_machine_that_slept_goes_on_where_it_was() {
    let mut world = World::with().relay_behind_proxy().start().await;
    let person = counting_person(&world).await;
    person.enter("");
    let worker = world.machine("web-1").worker().await;
    let holder = world.machine("web-1").program().pid();
    for part in 1..=2 {
        person
            .pty
            .wait_until("a part of the output", 2, |pty| {
                pty.total() > u64::from(part) * 900_000
            })
            .await;
        process::freeze(worker).await;
        process::freeze(holder).await;
        let proxy = world.relay.proxy();
        let before = proxy.connections();
        proxy.move_to(network(part));
        wait::until_true("the client is back", || proxy.connections() > before).await;
        process::signal(holder, Signal::CONT);
        process::signal(worker, Signal::CONT);
    }
    assert_counted(&person).await;
}

/// A program that repeats each line.
async fn start_repeating(world: &World) {
    world
        .new_session(&["web-1", "--name", "repeat", "--", "/bin/sh", "-c", REPEAT])
        .await;
    wait::until_true_async("the program is ready", || async {
        let captured = world.cmdop(&["capture", "repeat"]).await.out();
        captured.contains("ready")
    })
    .await;
}

/// A person who types into it.
async fn attach_repeating(world: &World) -> Person {
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    let person = world
        .owner
        .at_a_terminal_of(shape, &["-q", "attach", "repeat"]);
    person
        .pty
        .wait_until("the screen", 1, |pty| wire::contains(&pty.raw(), b"ready"))
        .await;
    person
}

async fn repeats(person: &Person, number: u8) {
    let line = format!("<line-{number:03}>");
    person
        .pty
        .wait_until(&line, 3, |pty| wire::contains(&pty.raw(), line.as_bytes()))
        .await;
}

/// The program read each line once and in order.
async fn assert_repeated(world: &World, lines: u8) {
    let args = ["capture", "repeat", "--scrollback", "1000"];
    let captured = world.cmdop(&args).await.ok();
    let came: Vec<_> = captured
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('<'))
        .collect();
    let expected: Vec<_> = (1..=lines).map(|n| format!("<line-{n:03}>")).collect();
    assert_eq!(came, expected);
}

/// Waits until the token's time is over for the relay too.
async fn until_the_token_is_refused(world: &World, token: &str) {
    let direct = format!("https://{}", world.relay.address());
    let wire = Wire::dial(&direct, &world.control.ca_pem(), token).await;
    wait::until_true_async("the token is refused", || async {
        wire.knock().await.is_err()
    })
    .await;
}
