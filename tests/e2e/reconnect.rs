//! Links break and programs crash; sessions go on, and no byte is lost or doubled.

use cmdop_proto::v1::{AttachMode, attach_response};
use cmdop_tests::wire::{self, Wire};
use cmdop_tests::workload::{self, COUNT, Typing, counted};
use cmdop_tests::{Person, Shape, World};

#[tokio::test]
async fn an_agent_whose_link_is_cut_resumes_without_a_lost_or_doubled_byte() {
    let world = World::with().relay_behind_proxy().start().await;
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", COUNT])
        .await;
    // This client is beside the proxy: only the agent's link is cut.
    let direct = format!("https://{}", world.relay.address());
    let wire = Wire::dial(
        &direct,
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let mut raw = wire.attach(&session, AttachMode::Operator).await.unwrap();
    raw.until("the record", wire::opened).await;
    raw.until_output(b"ready").await;
    raw.type_keys(b"\n").await;
    let expected = counted();
    let start = raw.end().unwrap();
    let mut next_cut = 200_000;
    while raw.end().unwrap_or(start) - start < expected.len() as u64 {
        let response = raw
            .next()
            .await
            .expect("the stream outlives the agent's link");
        let response = response.expect("the stream outlives the agent's link");
        assert!(
            keyframe(&response).is_none(),
            "the only operator never has to skip"
        );
        if raw.end().unwrap_or(start) - start > next_cut {
            world.relay.proxy().cut();
            next_cut += 700_000;
        }
    }
    assert!(next_cut > 2_000_000, "the link was cut several times");
    let came = &raw.output()[raw.output().len() - expected.len()..];
    assert!(
        came == expected,
        "the bytes differ from what the program printed"
    );
}

#[tokio::test]
async fn a_client_whose_link_is_cut_goes_on_where_it_was() {
    let world = World::with().relay_behind_proxy().start().await;
    let person = counting_person(&world).await;
    person.enter("");
    for part in 1..=3 {
        person
            .pty
            .wait_until("a part of the output", 1, |pty| {
                pty.total() > part * 600_000
            })
            .await;
        world.relay.proxy().cut();
    }
    assert_counted(&person).await;
}

#[tokio::test]
async fn a_relay_that_is_killed_and_comes_back_loses_nothing() {
    let mut world = World::start().await;
    let person = counting_person(&world).await;
    person.enter("");
    person
        .pty
        .wait_until("a part of the output", 1, |pty| pty.total() > 500_000)
        .await;
    world.crash_relay().await;
    person
        .pty
        .wait_until("more of the output", 2, |pty| pty.total() > 1_500_000)
        .await;
    world.crash_relay().await;
    assert_counted(&person).await;
    world.machine_is("web-1", "online").await;
    let listed = world.cmdop(&["sessions"]).await.ok();
    assert!(listed.contains("count"), "{listed}");
}

#[tokio::test]
async fn what_is_typed_while_the_link_is_down_is_written_once() {
    let world = World::with().relay_behind_proxy().start().await;
    let mut typing = Typing::start(&world).await;
    for number in 1..=60 {
        if number % 10 == 5 {
            world.relay.proxy().close();
        }
        typing.type_line();
        if number % 10 == 8 {
            world.relay.proxy().open();
        }
        if number % 10 == 0 {
            typing.caught_up().await;
        }
    }
    typing.each_line_was_written_once(&world).await;
}

#[tokio::test]
async fn the_record_says_what_happens_to_the_link() {
    let world = World::with().relay_behind_proxy().start().await;
    let session = world.new_session(&["web-1", "--", "/bin/cat"]).await;
    let direct = format!("https://{}", world.relay.address());
    let wire = Wire::dial(
        &direct,
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let mut raw = wire.attach(&session, AttachMode::Observer).await.unwrap();
    raw.until("the record", wire::opened).await;
    world.relay.proxy().close();
    raw.until("the grace period", |response| {
        status_is(response, cmdop_proto::v1::SessionStatus::GracePeriod)
    })
    .await;
    world.relay.proxy().open();
    raw.until("the session is connected", |response| {
        status_is(response, cmdop_proto::v1::SessionStatus::Connected)
    })
    .await;
}

#[tokio::test]
async fn a_session_whose_agent_does_not_come_back_ends_when_its_grace_is_over() {
    let mut world = World::start().await;
    let session = world
        .new_session(&["web-1", "--grace", "1s", "--", "/bin/cat"])
        .await;
    let person = world.owner.at_a_terminal(&["attach", &session]);
    person.type_keys("here\r");
    person.sees_line("here").await;
    world.machine("web-1").kill().await;
    let status = person.pty.exit().await;
    assert_eq!(status, 69, "{}", person.screen());
}

pub(crate) async fn counting_person(world: &World) -> Person {
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    // Quiet: no notice of ours in the terminal's title.
    let args = [
        "-q", "new", "web-1", "--name", "count", "--", "/bin/sh", "-c", COUNT,
    ];
    let person = world.owner.at_a_terminal_of(shape, &args);
    workload::is_ready(&person.pty).await;
    person
}

/// The person's terminal got the numbers and nothing between them: no gap, no repeat, no redraw.
pub(crate) async fn assert_counted(person: &Person) {
    person
        .pty
        .wait_until("all output", 3, |pty| {
            wire::contains(tail(&pty.raw()), b"<done>")
        })
        .await;
    let raw = person.pty.raw();
    let expected = counted();
    let start = raw
        .windows(7)
        .position(|window| window == b"\n1\n2\n3\n")
        .map(|at| at + 1);
    let start = start.expect("the numbers begin");
    let came = &raw[start..(start + expected.len()).min(raw.len())];
    if let Some(at) = came
        .iter()
        .zip(&expected)
        .position(|(came, expected)| came != expected)
    {
        let around = |bytes: &[u8]| {
            bytes[at.saturating_sub(30)..(at + 60).min(bytes.len())]
                .escape_ascii()
                .to_string()
        };
        panic!(
            "byte {at} differs:\n  came {}\n  not  {}",
            around(came),
            around(&expected)
        );
    }
    assert_eq!(came.len(), expected.len());
}

fn tail(raw: &[u8]) -> &[u8] {
    &raw[raw.len().saturating_sub(2000)..]
}

fn keyframe(response: &attach_response::Response) -> Option<()> {
    matches!(response, attach_response::Response::Keyframe(_)).then_some(())
}

fn status_is(
    response: &attach_response::Response,
    wanted: cmdop_proto::v1::SessionStatus,
) -> Option<()> {
    match response {
        attach_response::Response::Changed(session) => (session.status() == wanted).then_some(()),
        _ => None,
    }
}
