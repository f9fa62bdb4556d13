//! How a session ends, and who hears of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_it_ended_is_told() {
    let mut world = World::new().await;
    for (script, exit) in [
        ("exit 42", code(42)),
        ("kill -TERM $$", signal(15)),
        ("kill -KILL $$", signal(9)),
    ] {
        let mut session = world.session(&["sh", "-c", script]).await.flowing().await;
        assert_eq!(session.exit().await.exit, exit, "{script}");
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_no_relay_heard_is_told_at_the_resume() {
    let mut world = World::new().await;
    let start = start_session(&["sh", "-c", "echo begun; read x; echo last words; exit 9"]);
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    session.until("begun").await;
    session.input(b"x\r").await;
    world.cut();
    world.linked().await;
    let resume = v1::ResumeSession {
        session_id: id.clone(),
        stream_token: "stream-token".into(),
    };
    world
        .link()
        .order(Order::ResumeSession(resume.clone()))
        .await;
    let mut session = world.session_stream().await.resuming(session).await;
    // The cut may have come before the input.
    session.replay(1, b"x\r").await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(9));
    assert!(session.text().contains("last words"));
    // Heard, and forgotten.
    drop(session);
    world.no_sessions().await;
    let order = world.link().order(Order::ResumeSession(resume)).await;
    let AgentUp::Failed(failed) = world.link().message().await else {
        panic!("no refusal");
    };
    assert_eq!(failed.command_id, order);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_child_does_not_keep_the_session_alive() {
    let mut world = World::new().await;
    let script = "sleep 1000 & echo child $!; exit 6";
    let mut session = world
        .session(&["sh", "-c", &format!("trap '' HUP; {script}")])
        .await
        .flowing()
        .await;
    assert_eq!(session.exit().await.exit, code(6));
    let child = number_after(&session, "child");
    rustix::process::kill_process(Pid::from_raw(child).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_session_hangs_up_and_then_kills() {
    let mut world = World::new().await;
    let script = "trap '' HUP; (trap '' HUP; exec sleep 1000) & echo child $!; echo me $$; \
                  while :; do sleep 0.1; done";
    let start = start_session(&["sh", "-c", script]);
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    session.until("me ").await;
    session.until("\r\n").await;
    let begun = tokio::time::Instant::now();
    let end = v1::EndSession {
        session_id: id,
        reason: "closed".into(),
    };
    world.link().order(Order::EndSession(end)).await;
    assert_eq!(session.exit().await.exit, signal(9));
    assert!(begun.elapsed() >= Duration::from_secs(5));
    gone(number_after(&session, "child")).await;
    gone(number_after(&session, "me")).await;
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_heeds_a_hang_up_ends_at_once() {
    let mut world = World::new().await;
    let start = start_session(&[
        "sh",
        "-c",
        "trap 'echo bye; exit 8' HUP; echo up; while :; do sleep 0.1; done",
    ]);
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    session.until("up").await;
    let begun = tokio::time::Instant::now();
    let end = v1::EndSession {
        session_id: id,
        reason: String::new(),
    };
    world.link().order(Order::EndSession(end)).await;
    assert_eq!(session.exit().await.exit, code(8));
    assert!(session.text().contains("bye"));
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_resumes_is_ended_and_reported() {
    let mut world = World::with_config(|config| config.notice = Duration::from_millis(200)).await;
    world.linked().await;
    let mut start = start_session(&["sleep", "1000"]);
    let id = start.session.as_ref().unwrap().id.clone();
    start.session.as_mut().unwrap().grace = Some(v1::Grace {
        limit: Some(v1::grace::Limit::DurationMs(100)),
    });
    let session = world.start_session(start).await.flowing().await;
    world.cut();
    drop(session);
    world.linked().await;
    // This relay asks for nothing. First the process goes; then, as long again, nobody wants to hear.
    let AgentUp::Ended(summary) = world.link().message().await else {
        panic!("not the news of an end");
    };
    let session = summary.session.unwrap();
    assert_eq!((session.id, session.exit), (id, signal(1)));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_ignores_the_hang_up_is_killed_in_time() {
    let mut world = World::with_config(|config| config.notice = Duration::from_millis(200)).await;
    world.linked().await;
    // It clears the screen all the time: the emulator never catches up.
    let script = "trap '' HUP; exec yes \"$(printf 'y\\033[2J')\"";
    let mut start = start_session(&["sh", "-c", script]);
    let record = start.session.as_mut().unwrap();
    record.size = Some(v1::Size {
        rows: 60,
        cols: 200,
    });
    record.grace = Some(v1::Grace {
        limit: Some(v1::grace::Limit::DurationMs(100)),
    });
    let mut session = world.start_session(start).await.flowing().await;
    session.until("y\u{1b}[2J\r\ny").await;
    world.cut();
    drop(session);
    world.linked().await;
    // The grace period ends while it prints, and so does the time between HUP and KILL.
    let AgentUp::Ended(summary) = world.link().message().await else {
        panic!("not the news of an end");
    };
    assert_eq!(summary.session.unwrap().exit, signal(9));
    world.stopped().await;
}
