//! The link to the relay, against a relay that the test plays.

use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::v1::control_message::Message as Order;
use cmdop_proto::{Refusal, v1};

use crate::fake_relay::{World, start_exec, start_session, within};
use crate::state::LinkState;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_says_who_it_is_and_how_it_does() {
    let mut world = World::without_link().await;
    let mut state = world.config.link.subscribe();
    let link = world.linked_every(Duration::from_millis(150)).await;
    let register = link.register.clone();
    assert_eq!(
        (&register.hostname[..], &register.os[..]),
        ("web-1", "linux")
    );
    assert_eq!(register.agent_version, cmdop_service::VERSION);
    assert!(register.metrics.unwrap().memory_total_bytes > 0);
    assert!(register.sessions.is_empty() && !register.instance_id.is_empty());
    for _ in 0..2 {
        let Up::Heartbeat(heartbeat) = link.message().await else {
            panic!("no heartbeat");
        };
        assert!(heartbeat.metrics.unwrap().process_count > 0);
        assert!(heartbeat.now_ms.abs_diff(cmdop_service::now_ms()) < 60_000);
    }
    let is_linked = |state: &LinkState| matches!(state, LinkState::Linked { .. });
    within("the link state", state.wait_for(is_linked))
        .await
        .unwrap();
    let status = crate::local::status(world.dir.path()).await.unwrap();
    assert!(is_linked(&status.link));
    assert_eq!((&status.hostname[..], status.sessions), ("web-1", 0));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_link_comes_back_with_the_same_agent() {
    let mut world = World::new().await;
    let first = world.link().register.instance_id.clone();
    for _ in 0..3 {
        world.cut();
        assert_eq!(world.linked().await.register.instance_id, first);
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_leaves_is_left_at_once() {
    let mut world = World::new().await;
    let begun = tokio::time::Instant::now();
    world.link().order(Order::GoingAway(true)).await;
    world.linked().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_link_says_why_and_goes_on_trying() {
    let world = World::without_link().await;
    let refusal = Refusal::denied("token-revoked", "this machine was removed");
    world.refuse(Some(refusal.into()));
    let mut world = world;
    let mut state = world.config.link.subscribe();
    world.cut();
    let is_told = |state: &LinkState| match state {
        LinkState::Waiting { reason } => reason.contains("this machine was removed"),
        _ => false,
    };
    within("the reason", state.wait_for(is_told)).await.unwrap();
    world.refuse(None);
    world.linked().await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_agent_ends_its_sessions_and_the_relay_hears_it() {
    let mut world = World::new().await;
    let mut session = world
        .start_session(start_session(&["sleep", "1000"]))
        .await
        .flowing()
        .await;
    world.stop.cancel();
    let exited = session.exit().await;
    let hung_up = v1::exit::Outcome::Signal(1);
    assert_eq!(exited.exit.unwrap().outcome, Some(hung_up));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_heard_even_if_the_stream_was_still_being_opened() {
    let mut world = World::new().await;
    world.hold(true);
    let file = world.dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let start = start_session(&["sh", "-c", &script]);
    let mut session = world.start_session(start).await.flowing().await;
    let pid = within("the program", async {
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                break rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stop.cancel();
    within("the end of the program", async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.hold(false);
    let hung_up = v1::exit::Outcome::Signal(1);
    assert_eq!(session.exit().await.exit.unwrap().outcome, Some(hung_up));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_asked_for_twice_is_started_once() {
    let mut world = World::new().await;
    let start = start_session(&["sh", "-c", "echo once; exec cat"]);
    let mut first = world.start_session(start.clone()).await.flowing().await;
    first.until("once").await;
    let mut second = world.start_session(start).await;
    assert_eq!(second.hello.end_offset, first.output.len() as u64);
    drop(first);
    second = second.flowing().await;
    second.until("once").await;
    assert_eq!(world.link().register.sessions.len(), 0);
    drop(second);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_clone_took_its_link_over_says_so_and_keeps_away() {
    let mut world = World::new().await;
    let mut state = world.config.link.subscribe();
    let refusal = Refusal::unavailable("link-replaced", "a newer link of this machine took over");
    world.link().fail(refusal.into()).await;
    let is_told = |state: &LinkState| match state {
        LinkState::Waiting { reason } => reason.contains("cmdopd unenroll"),
        _ => false,
    };
    within("the reason", state.wait_for(is_told)).await.unwrap();
    // Much longer than the usual wait.
    let relinked = tokio::time::timeout(Duration::from_secs(2), world.linked());
    assert!(relinked.await.is_err());
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_a_token_says_why() {
    let world = World::with_config(|config| {
        std::fs::remove_file(config.data_dir.join(crate::identity::TOKEN_FILE)).unwrap();
    })
    .await;
    let mut state = world.config.link.subscribe();
    let is_told = |state: &LinkState| match state {
        LinkState::Waiting { reason } => reason.contains("cannot reach https://127.0.0.1:1"),
        _ => false,
    };
    within("the reason", state.wait_for(is_told)).await.unwrap();
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_commands_do_not_keep_a_machine_from_registering() {
    let mut world = World::new().await;
    let long = format!("echo up; : {}; cat", "x".repeat(100_000));
    let mut sessions = Vec::new();
    for _ in 0..12 {
        let command = ["sh", "-c", &long];
        let mut session = world.session(&command).await.flowing().await;
        session.until("up").await;
        sessions.push(session);
    }
    world.cut();
    let register = world.linked().await.register.clone();
    assert_eq!(register.sessions.len(), 12);
    let record = register.sessions[0].session.as_ref().unwrap();
    assert_eq!(record.command[..2], ["sh", "-c"]);
    assert!(record.command.concat().len() < 1000);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_programs_are_counted_apart() {
    let mut world = World::new().await;
    let mut session = world.session(&["cat"]).await.flowing().await;
    session.input(b"up\r").await;
    session.until("up").await;
    let mut execs = Vec::new();
    for _ in 0..2 {
        let mut exec = world.exec(start_exec(&["sleep", "1000"])).await;
        while exec.pid == 0 {
            exec.next().await;
        }
        execs.push(exec);
    }
    let status = crate::local::status(world.dir.path()).await.unwrap();
    assert_eq!((status.sessions, status.programs), (1, 2));
    drop((session, execs));
    world.stopped().await;
}
