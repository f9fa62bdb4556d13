//! Whole sessions with real terminals, against a relay that the test plays.

use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as AgentUp;
use cmdop_proto::v1::control_message::Message as Order;
use cmdop_proto::v1::exit::Outcome;
use cmdop_proto::v1::session_down::Message as Down;
use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{SessionId, v1};
use rustix::process::{Pid, test_kill_process};

use crate::fake_relay::{SessionStream, World, start_session, within};

#[allow(clippy::unnecessary_wraps, reason = "as it stands in the message")]
fn code(code: u32) -> Option<v1::Exit> {
    Some(v1::Exit {
        outcome: Some(Outcome::Code(code)),
    })
}

#[allow(clippy::unnecessary_wraps, reason = "as it stands in the message")]
fn signal(signal: u32) -> Option<v1::Exit> {
    Some(v1::Exit {
        outcome: Some(Outcome::Signal(signal)),
    })
}

async fn gone(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    within("the end of a process", async {
        while test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The name of the program that leads the foreground group of `shell`'s terminal (proc(5)).
fn foreground_command(shell: i32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{shell}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let group = fields.split_ascii_whitespace().nth(5).unwrap();
    std::fs::read_to_string(format!("/proc/{group}/comm")).unwrap_or_default()
}

/// The number after `word` in the output.
fn number_after(session: &SessionStream, word: &str) -> i32 {
    let text = session.text();
    let digits = text.split(word).nth(1).expect("the word was printed");
    digits
        .trim_start()
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_is_echoed_acknowledged_and_tagged() {
    let mut world = World::new().await;
    let mut session = world.session(&["cat"]).await.flowing().await;
    assert_eq!(session.hello.end_offset, 0);
    session.input(b"hello\r").await;
    session.until("hello\r\nhello\r\n").await;
    while session.acks.is_empty() {
        within("the acknowledgement", session.next()).await.unwrap();
    }
    assert_eq!(session.acks.len(), 1);
    let ack = &session.acks[0];
    assert_eq!((ack.input_seq, ack.command_id), (1, 1));
    assert_eq!(ack.client_id, session.client.to_string());
    assert_eq!(session.tag, 1);
    session.input(b"\x04").await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(0));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_finds_a_terminal_as_a_login_makes_it() {
    let mut world = World::new().await;
    let mut start = start_session(&[
        "sh",
        "-c",
        "echo $TERM $COLORTERM $TERM_PROGRAM $CMDOP_SESSION $A; pwd; tty; stty size; \
         ps -o tpgid= -p $$ | tr -d ' '; echo me $$",
    ]);
    start.cwd = "/usr".into();
    start.env.insert("A".into(), "one".into());
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(0));
    let text = session.text();
    let mut lines = text.lines();
    let wanted = format!("xterm-256color truecolor cmdop {id} one");
    assert_eq!(lines.next(), Some(&wanted[..]));
    assert_eq!(lines.next(), Some("/usr"));
    assert!(lines.next().unwrap().starts_with("/dev/"), "{text}");
    assert_eq!(lines.next(), Some("24 80"));
    // It leads the foreground group of its controlling terminal.
    let foreground: i32 = lines.next().unwrap().parse().unwrap();
    assert_eq!(foreground, number_after(&session, "me"));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_command_it_is_a_login_shell() {
    let mut world = World::new().await;
    let mut session = world.session(&[]).await.flowing().await;
    session.input(b"echo name=$0; exit 3\r").await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(3));
    let text = session.text();
    assert!(text.contains("name=-"), "{text}");
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resize_is_seen_by_the_program_and_told_to_the_relay() {
    let mut world = World::new().await;
    let mut session = world.session(&["sh"]).await.flowing().await;
    let size = v1::Size {
        rows: 33,
        cols: 101,
    };
    session.say(Down::Resize(size)).await;
    let told = session
        .wait_for("resized", |message| match message {
            Up::Resized(size) => Some(size),
            _ => None,
        })
        .await;
    assert_eq!(told, size);
    session.input(b"stty size\r").await;
    session.until("33 101").await;
    // Nonsense changes nothing.
    session
        .say(Down::Resize(v1::Size { rows: 0, cols: 0 }))
        .await;
    session.input(b"stty size; exit\r").await;
    session.exit().await;
    assert_eq!(session.text().matches("33 101").count(), 2);
    drop(session);
    world.stopped().await;
}

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
async fn a_signal_goes_to_the_program_in_the_foreground() {
    let mut world = World::new().await;
    let mut start = start_session(&["bash", "--norc", "--noprofile", "-i"]);
    start.env.insert("PS1".into(), "prompt> ".into());
    let mut session = world.start_session(start).await.flowing().await;
    session.until("prompt> ").await;
    session.input(b"echo me $$ .\r").await;
    session.until(" .\r\n").await;
    session.until("me ").await;
    let shell = within("the shell's id", async {
        loop {
            // The first "me" is the echo of the command, which holds no number.
            let text = session.text();
            let found = text
                .split("me ")
                .skip(2)
                .find_map(|rest| rest.split(" .").next());
            if let Some(Ok(pid)) = found.map(str::parse::<i32>) {
                break pid;
            }
            session.next().await.unwrap();
        }
    })
    .await;
    session.input(b"sleep 1000\r").await;
    within("the job in the foreground", async {
        while !foreground_command(shell).starts_with("sleep") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    session.say(Down::Signal(2)).await;
    // What is typed before the shell is back may be thrown away with the interrupted line.
    session
        .until("sleep 1000\r\n\u{1b}[?2004l\r\r\n\u{1b}[?2004hprompt> ")
        .await;
    session.input(b"echo status=$?\r").await;
    session.until("status=130").await;
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_pasted_into_an_echoing_program_does_not_deadlock() {
    let mut world = World::new().await;
    let mut session = world
        .session(&["sh", "-c", "stty raw -echo; echo ready; exec cat"])
        .await
        .flowing()
        .await;
    session.until("ready\n").await;
    let paste = vec![b'p'; 1 << 20];
    let mut pieces = paste.chunks(64 << 10);
    let ready = session.output.len();
    while session.output.len() - ready < 1 << 20 {
        if let Some(piece) = pieces.next() {
            session.input(piece).await;
        }
        within("echo", session.next()).await.unwrap();
    }
    while session.acks.len() < 16 {
        within("acknowledgements", session.next()).await.unwrap();
    }
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayed_input_is_written_once() {
    let mut world = World::new().await;
    let mut session = world
        .session(&["sh", "-c", "stty -echo; echo ready; exec cat"])
        .await
        .flowing()
        .await;
    session.until("ready").await;
    session.replay(1, b"one\r").await;
    session.replay(2, b"two\r").await;
    session.replay(1, b"one\r").await;
    session.replay(2, b"two\r").await;
    session.replay(3, b"three\r").await;
    session.until("three").await;
    assert_eq!(session.text(), "ready\r\none\r\ntwo\r\nthree\r\n");
    while session.acks.len() < 5 {
        within("acknowledgements", session.next()).await.unwrap();
    }
    let mut acked: Vec<u64> = session.acks.iter().map(|ack| ack.input_seq).collect();
    acked.sort_unstable();
    assert_eq!(acked, [1, 1, 2, 2, 3]);
    drop(session);
    world.stopped().await;
}

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
async fn the_program_gets_an_answer_to_its_query() {
    let mut world = World::new().await;
    let script = "stty raw -echo; printf '\\033[6n'; head -c 6 | od -An -c; exit 4";
    let mut session = world.session(&["sh", "-c", script]).await.flowing().await;
    assert_eq!(session.exit().await.exit, code(4));
    assert!(
        session.text().contains("033   [   1   ;   1   R"),
        "{}",
        session.text()
    );
    assert!(session.acks.is_empty() && session.tag == 0);
    drop(session);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_start_is_refused() {
    let mut world = World::new().await;
    for (start, reason) in [
        (start_session(&["/no/such/program"]), "cannot-start"),
        (
            v1::StartSession {
                cwd: "/no/such/place".into(),
                ..start_session(&["sh"])
            },
            "bad-directory",
        ),
        (v1::StartSession::default(), "bad-request"),
    ] {
        let order = world.link().order(Order::StartSession(start)).await;
        let AgentUp::Failed(failed) = world.link().message().await else {
            panic!("no refusal");
        };
        assert_eq!(failed.command_id, order);
        assert_eq!(failed.detail.unwrap().reason, reason);
    }
    let resume = v1::ResumeSession {
        session_id: SessionId::new().to_string(),
        stream_token: "stream-token".into(),
    };
    world.link().order(Order::ResumeSession(resume)).await;
    let AgentUp::Failed(failed) = world.link().message().await else {
        panic!("no refusal");
    };
    assert_eq!(failed.detail.unwrap().reason, "session-unknown");
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
