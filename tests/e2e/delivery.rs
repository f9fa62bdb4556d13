//! Clients that want few updates, and clients that stop reading: neither costs the others anything.

use cmdop_emulator::{Emulator, Options};
use cmdop_proto::v1::attach_response::Response;
use cmdop_proto::v1::{AttachMode, AttachOpen, Delivery};
use cmdop_proto::{ClientId, Size};
use cmdop_tests::wire::Wire;
use cmdop_tests::{Person, Shape, World, process, pty, wait};
use rustix::process::Signal;
use tokio::time::Instant;

/// Coloured lines, so that a cut escape sequence would show.
const LINE: &str = r"\033[31mred\033[0m and \033[1;34mblue\033[0m 0123456789";

/// Viewers that stop reading.
const STOPPED: usize = 16;

/// What each of them may cost the relay.
const MAX_COST: u64 = 64 << 10;

fn flood(bytes: u32, word: &str) -> String {
    // The word is made by the shell, so that its echo is not taken for it.
    format!(
        "yes \"$(printf '{LINE}')\" | head -c {bytes}; printf '\\033[0m\\n'; echo {word}-$((4 + 4))"
    )
}

async fn operator(world: &World) -> Person {
    world
        .new_session(&["web-1", "--name", "flood", "--", "/bin/sh"])
        .await;
    let person = world.owner.at_a_terminal(&["attach", "flood"]);
    person.sees_prompt().await;
    person
}

#[tokio::test]
async fn a_viewer_with_a_rate_gets_few_updates_and_ends_on_the_newest_state() {
    let world = World::start().await;
    let person = operator(&world).await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let open = AttachOpen {
        session: "flood".into(),
        mode: AttachMode::Observer.into(),
        client_id: ClientId::new().to_string(),
        delivery: Delivery::Latest.into(),
        max_updates_per_second: 5,
        ..AttachOpen::default()
    };
    let mut viewer = wire.attach_with(open).await.unwrap();
    let begun = Instant::now();
    person.enter(&flood(40_000_000, "over"));
    let mut shown = Emulator::new(
        Size::DEFAULT.rows(),
        Size::DEFAULT.cols(),
        Options::default(),
    );
    let (mut pictures, mut bytes) = (0, 0);
    let see_the_end = async {
        while !pty::text_of(&shown).contains("over-8") {
            match viewer.next().await.unwrap().expect("the stream goes on") {
                Response::Keyframe(frame) => {
                    pictures += 1;
                    bytes += frame.data.len();
                    shown.reset();
                    shown.feed(&frame.data);
                }
                Response::Output(output) => {
                    bytes += output.data.len();
                    shown.feed(&output.data);
                }
                _ => {}
            }
        }
    };
    wait::within_times("the end of the flood", 6, see_the_end).await;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{pictures} pictures and {bytes} bytes in {seconds:.2} s");
    assert!(pictures >= 1 && f64::from(pictures) <= 5.0 * seconds + 2.0);
    assert!(bytes < 10_000_000, "{bytes} bytes");
    // The screen is whole: nothing of a cut sequence stands on it.
    person.sees_line("over-8").await;
    let screen = world.cmdop(&["capture", "flood"]).await.ok();
    wait::within("the same screen", async {
        while pty::text_of(&shown).trim_end() != screen.trim_end() {
            match viewer.next().await.unwrap().expect("the stream goes on") {
                Response::Keyframe(frame) => {
                    shown.reset();
                    shown.feed(&frame.data);
                }
                Response::Output(output) => shown.feed(&output.data),
                _ => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_person_who_watches_the_newest_state_sees_the_end() {
    let world = World::start().await;
    let person = operator(&world).await;
    let viewer = world
        .owner
        .at_a_terminal(&["attach", "flood", "--observe", "--fps", "5"]);
    viewer.sees_prompt().await;
    person.enter(&flood(40_000_000, "over"));
    viewer.sees_line("over-8").await;
    person.sees_line("over-8").await;
    assert!(
        viewer.pty.total() < person.pty.total() / 2,
        "{} of {}",
        viewer.pty.total(),
        person.pty.total()
    );
}

#[tokio::test]
async fn clients_that_stop_reading_cost_the_relay_little_and_the_others_nothing() {
    let world = World::start().await;
    let person = operator(&world).await;
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    let mut viewers = Vec::new();
    for number in 0..STOPPED {
        // Half of them operators: they do not hold the session up for long either.
        let mode: &[&str] = if number % 2 == 0 { &["--observe"] } else { &[] };
        let args = [&["attach", "flood"], mode].concat();
        viewers.push(world.owner.at_a_terminal_of(shape, &args));
    }
    for viewer in &viewers {
        viewer
            .pty
            .wait_until("the prompt", 1, |pty| pty.total() > 0)
            .await;
    }
    let relay = relay_pid(&world);
    // Warm: whatever a flood and its readers need is allocated. What the allocator keeps of it differs
    // from flood to flood by more than a few clients could cost.
    let mut free = 0.0_f64;
    let mut before = 0;
    for word in ["warm", "warmer", "warmest"] {
        free = free.max(one_flood(&person, word).await);
        before = before.max(resident(relay));
    }
    for viewer in &viewers {
        process::freeze(viewer.pty.pid().unwrap()).await;
    }
    let beside = one_flood(&person, "stopped").await;
    let cost = resident(relay).saturating_sub(before) / STOPPED as u64;
    println!(
        "a flood took {free:.2} s, beside stopped clients {beside:.2} s; each costs {cost} bytes"
    );
    for viewer in &viewers {
        process::signal(viewer.pty.pid().unwrap(), Signal::CONT);
    }
    assert!(cost < MAX_COST, "{cost} bytes");
    // Nobody waits for those who stand, save operators once for a second.
    assert!(beside < 3.0 * free + 3.0, "{beside} s instead of {free} s");
    for viewer in &viewers {
        viewer
            .pty
            .wait_until("the end", 2, |pty| {
                let raw = pty.raw();
                let tail = &raw[raw.len().saturating_sub(8000)..];
                cmdop_tests::wire::contains(tail, b"stopped-8")
            })
            .await;
    }
}

/// How many seconds it takes.
async fn one_flood(person: &Person, word: &str) -> f64 {
    let begun = Instant::now();
    person.enter(&flood(20_000_000, word));
    person
        .pty
        .wait_until("the end of the flood", 6, |pty| {
            pty.screen().contains(&format!("{word}-8"))
        })
        .await;
    begun.elapsed().as_secs_f64()
}

fn relay_pid(world: &World) -> u32 {
    let is_relay = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "cmdop-relay"
    };
    let mut all = world.processes().into_iter();
    all.find(is_relay).expect("the relay runs")
}

/// The resident memory of a process that is its own.
fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("Linux tells the memory of a process") << 10
}
