//! What is printed: every byte at its place, as far as the relay allows.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_over_a_cut() {
    let mut world = World::new().await;
    let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; cat";
    let start = start_session(&["sh", "-c", script]);
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    session.until("line 100\r\n").await;
    world.cut();
    let register = world.linked().await.register.clone();
    let summary = &register.sessions[0];
    assert_eq!(summary.session.as_ref().unwrap().id, id);
    assert!(summary.end_offset >= session.output.len() as u64);
    let resume = v1::ResumeSession {
        session_id: id,
        stream_token: "stream-token".into(),
    };
    world.link().order(Order::ResumeSession(resume)).await;
    let mut session = world.session_stream().await.resuming(session).await;
    session.until("line 2999\r\n").await;
    let wanted: Vec<String> = (0..3000).map(|i| format!("line {i}\r\n")).collect();
    assert!(session.text() == wanted.concat());
    // Replayed and new input after the cut.
    session.replay(1, b"after\r").await;
    session.until("after\r\nafter").await;
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_is_read_no_further_than_the_relay_allows() {
    let mut world = World::new().await;
    let mut session = world
        .session(&[
            "sh",
            "-c",
            "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo done",
        ])
        .await;
    session.say(Down::ReadUpTo(100_000)).await;
    session.say(Down::SendFrom(0)).await;
    // Before the credit was known some may have been read already: at most what was there.
    while session.output.len() < 100_000 {
        within("output", session.next()).await.unwrap();
    }
    let held = session.output.len();
    session
        .say(Down::CaptureWanted(v1::CaptureWanted::default()))
        .await;
    let capture = session
        .wait_for("a capture", |message| match message {
            Up::Capture(reply) => reply.capture,
            _ => None,
        })
        .await;
    assert!(
        capture.offset < 1_000_000,
        "{} is all of it",
        capture.offset
    );
    assert!(session.output.len() < held + (64 << 10));
    session.say(Down::ReadUpTo(u64::MAX)).await;
    session.until("done").await;
    let exited = session.exit().await;
    assert_eq!((exited.exit, exited.end_offset), (code(0), 1_000_008));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyframe_stands_exactly_at_its_offset() {
    let mut world = World::new().await;
    let mut session = world
        .session(&["sh", "-c", "stty -echo; printf '\\033[31mred'; exec cat"])
        .await
        .flowing()
        .await;
    session.until("red").await;
    session
        .say(Down::KeyframeWanted(v1::KeyframeWanted {}))
        .await;
    let keyframe = session
        .wait_for("a keyframe", |message| match message {
            Up::Keyframe(keyframe) => Some(keyframe),
            _ => None,
        })
        .await;
    assert_eq!(keyframe.offset, session.output.len() as u64);
    assert_eq!(keyframe.size, Some(v1::Size { rows: 24, cols: 80 }));
    assert!(String::from_utf8_lossy(&keyframe.data).contains("red"));
    session
        .say(Down::CaptureWanted(v1::CaptureWanted {
            request_id: 7,
            ..v1::CaptureWanted::default()
        }))
        .await;
    let capture = session
        .wait_for("a capture", |message| match message {
            Up::Capture(reply) if reply.request_id == 7 => reply.capture,
            _ => None,
        })
        .await;
    assert_eq!(&capture.text[..], b"red\n");
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sessions_flood_does_not_hold_back_anothers_echo() {
    let mut world = World::new().await;
    let mut flood = world.session(&["yes"]).await.flowing().await;
    let mut quiet = world.session(&["cat"]).await.flowing().await;
    let mut drain = tokio::task::JoinSet::new();
    drain.spawn(async move {
        // Reads and forgets.
        while let Ok(Some(_)) = flood.next().await {
            flood.from += flood.output.len() as u64;
            flood.output.clear();
        }
    });
    for number in 0..50 {
        let begun = tokio::time::Instant::now();
        quiet.input(format!("{number}\r").as_bytes()).await;
        quiet.until(&format!("{number}\r\n{number}\r\n")).await;
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
    drop(quiet);
    drain.abort_all();
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_overrun_is_announced() {
    let mut world = World::new().await;
    let script = "head -c 6000000 /dev/zero | tr '\\0' x; echo; echo done; cat";
    let mut session = world.session(&["sh", "-c", script]).await;
    // The relay stays silent until all has been printed: nobody is attached, the program runs free.
    loop {
        session
            .say(Down::CaptureWanted(v1::CaptureWanted::default()))
            .await;
        let capture = session
            .wait_for("a capture", |message| match message {
                Up::Capture(reply) => reply.capture,
                _ => None,
            })
            .await;
        if capture.text.ends_with(b"done\n") {
            break;
        }
    }
    session.say(Down::SendFrom(0)).await;
    session.until("done").await;
    assert!(session.from > 1_000_000, "{}", session.from);
    assert!(session.output.len() <= 4 << 20);
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_set_is_told_to_the_next_relay_and_cut_where_it_is_long() {
    let mut world = World::new().await;
    let mut session = world.session(&["cat"]).await.flowing().await;
    let keyboard = v1::Keyboard {
        mode: v1::KeyboardMode::Exclusive.into(),
        holder: Some(v1::Typist {
            client_id: "a client".into(),
            account_name: "ada\u{1b}[2J".into(),
            account_id: "x".repeat(100_000),
        }),
        ..v1::Keyboard::default()
    };
    let settings = v1::SessionSettings {
        keyboard: Some(keyboard),
        size_policy: v1::SizePolicy::Manual.into(),
    };
    session.say(Down::Settings(settings)).await;
    // Messages are obeyed in their order.
    session.input(b"done\r").await;
    session.until("done").await;
    drop(session);
    world.cut();
    let register = world.linked().await.register.clone();
    let record = register.sessions[0].session.clone().unwrap();
    assert_eq!(record.size_policy(), v1::SizePolicy::Manual);
    let keyboard = record.keyboard.unwrap();
    assert_eq!(keyboard.mode(), v1::KeyboardMode::Exclusive);
    let holder = keyboard.holder.unwrap();
    assert_eq!(holder.client_id, "a client");
    assert_eq!(holder.account_name, "ada[2J");
    assert!(holder.account_id.len() <= cmdop_proto::limits::MAX_NAME);
    world.stopped().await;
}
