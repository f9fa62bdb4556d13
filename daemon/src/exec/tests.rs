//! Programs without a terminal, from the order to the end, against a relay that the test plays.

mod resume;

use cmdop_proto::v1::exec_request::Request;
use cmdop_proto::v1::exit::Outcome;

use super::*;
use crate::fake_relay::{World, start_exec, within};

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

fn sh(script: &str) -> v1::StartExec {
    start_exec(&["sh", "-c", script])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_end_is_told_apart() {
    let mut world = World::new().await;
    for (script, exit) in [
        ("exit 0", code(0)),
        ("exit 1", code(1)),
        ("exit 42", code(42)),
        ("exit 127", code(127)),
        ("exit 130", code(130)),
        ("kill -INT $$", signal(2)),
        ("kill -KILL $$", signal(9)),
    ] {
        let mut exec = world.exec(sh(script)).await;
        let finished = exec.finish().await;
        assert_eq!(finished.exit, exit, "{script}");
        assert!(!finished.timed_out && exec.pid > 0);
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_none_ends_as_in_a_shell() {
    let mut world = World::new().await;
    let file = world.dir.path().join("plain");
    std::fs::write(&file, "x").unwrap();
    let plain = file.to_str().unwrap();
    for (name, exit, line) in [
        (
            "no-such-program",
            127,
            "cmdopd: no-such-program: command not found\n".to_owned(),
        ),
        (plain, 126, format!("cmdopd: {plain}: permission denied\n")),
        ("/", 126, "cmdopd: /: is a directory\n".to_owned()),
    ] {
        let mut exec = world.exec(start_exec(&[name])).await;
        assert_eq!(exec.finish().await.exit, code(exit));
        assert_eq!(String::from_utf8_lossy(&exec.stderr), line);
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_start_is_refused_with_the_reason() {
    let mut world = World::new().await;
    let mut start = start_exec(&["true"]);
    start.cwd = "/no/such/place".into();
    let failed = world.exec(start).await.refused().await;
    assert_eq!(failed.detail.unwrap().reason, "bad-directory");
    assert!(
        failed.message.contains("/no/such/place"),
        "{}",
        failed.message
    );
    let failed = world.exec(start_exec(&[])).await.refused().await;
    assert_eq!(failed.detail.unwrap().reason, "bad-request");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stdout_and_stderr_stay_apart_and_the_program_is_where_it_should_be() {
    let mut world = World::new().await;
    let mut start = sh("echo out; echo err >&2; pwd; echo $A; cat");
    start.cwd = "/usr".into();
    start.env.insert("A".into(), "one two".into());
    let mut exec = world.exec(start).await;
    assert_eq!(exec.finish().await.exit, code(0));
    assert_eq!(exec.stdout, b"out\n/usr\none two\n");
    assert_eq!(exec.stderr, b"err\n");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_pass_through_cat_unchanged() {
    let mut world = World::new().await;
    let data: Vec<u8> = (0..16 << 20).map(|i: u32| (i ^ (i >> 9)) as u8).collect();
    let mut start = start_exec(&["cat"]);
    start.stdin = true;
    let mut exec = world.exec(start).await;
    let sender = exec.sender();
    let input = data.clone();
    let mut typing = tokio::task::JoinSet::new();
    typing.spawn(async move {
        let pieces = input
            .chunks(64 << 10)
            .map(|piece| Request::Stdin(piece.to_vec().into()))
            .chain([Request::StdinClosed(true)]);
        for request in pieces {
            let request = v1::ExecRequest {
                request: Some(request),
            };
            let down = v1::ExecDown {
                request: Some(request),
            };
            sender.send(Ok(down)).await.unwrap();
        }
    });
    assert_eq!(exec.finish().await.exit, code(0));
    assert!(exec.stdout == data);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_byte_of_a_large_output_comes_before_the_end() {
    let mut world = World::new().await;
    let mut exec = world.exec(sh("head -c 20000000 /dev/zero; exit 3")).await;
    assert_eq!(exec.finish().await.exit, code(3));
    assert_eq!(exec.stdout.len(), 20_000_000);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_child_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    let mut exec = world.exec(sh("sleep 1000 & echo $!; exit 7")).await;
    assert_eq!(exec.finish().await.exit, code(7));
    let child = String::from_utf8(exec.stdout.clone()).unwrap();
    // It lives on: it was only its output that was not waited for.
    let child = rustix::process::Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_takes_too_long_is_ended() {
    let mut world = World::new().await;
    let mut start = sh("echo begun; sleep 1000");
    start.timeout_ms = 300;
    let mut exec = world.exec(start).await;
    let finished = exec.finish().await;
    assert!(finished.timed_out);
    assert_eq!(finished.exit, signal(15));
    assert_eq!(exec.stdout, b"begun\n");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_ignores_term_is_killed() {
    let mut world = World::new().await;
    let mut start = sh("trap '' TERM; echo deaf; while :; do sleep 1; done");
    start.timeout_ms = 300;
    let mut exec = world.exec(start).await;
    let finished = exec.finish().await;
    assert_eq!((finished.exit, finished.timed_out), (signal(9), true));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_caller_is_gone_is_ended() {
    let mut world = World::new().await;
    let mut start = sh("echo $$; sleep 1000");
    // Its stdin is full of what it never reads: even then the caller's end is noticed.
    start.stdin = true;
    let mut exec = world.exec(start).await;
    while exec.stdout.is_empty() {
        exec.next().await;
    }
    for _ in 0..12 {
        exec.say(Request::Stdin(vec![0; 64 << 10].into())).await;
    }
    let pid = rustix::process::Pid::from_raw(exec.pid as i32).unwrap();
    drop(exec);
    within("the end of the program", async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_reads_nothing_is_ended_when_the_relay_says_that_its_caller_is_gone() {
    let mut world = World::new().await;
    let mut start = sh("echo $$; exec sleep 1000");
    start.stdin = true;
    let run_id = start.run_id.clone();
    let mut exec = world.exec(start).await;
    while exec.stdout.is_empty() {
        exec.next().await;
    }
    // More than the pipe and the agent hold: the agent takes no more from the stream, which stays.
    for _ in 0..12 {
        exec.say(Request::Stdin(vec![0; 64 << 10].into())).await;
    }
    let end = v1::EndSession {
        session_id: run_id,
        reason: "the caller is gone".into(),
    };
    let order = v1::control_message::Message::EndSession(end);
    world.link().order(order).await;
    let pid = rustix::process::Pid::from_raw(exec.pid as i32).unwrap();
    within("the end of the program", async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(exec);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_reaches_the_program() {
    let mut world = World::new().await;
    let script = "trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.1; done";
    let mut exec = world.exec(sh(script)).await;
    while exec.stdout != b"ready\n" {
        exec.next().await;
    }
    exec.say(Request::Signal(10)).await;
    assert_eq!(exec.finish().await.exit, code(5));
    assert_eq!(exec.stdout, b"ready\ncaught\n");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exec_survives_a_bulk_connection_that_died_unused() {
    let mut world = World::new().await;
    let mut exec = world.exec(start_exec(&["true"])).await;
    exec.finish().await;
    drop(exec);
    world.cut();
    world.linked().await;
    let mut exec = world.exec(start_exec(&["echo", "again"])).await;
    exec.finish().await;
    assert_eq!(exec.stdout, b"again\n");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_programs_at_once_do_not_mix() {
    let mut world = World::new().await;
    let mut execs = Vec::new();
    for number in 0..40 {
        let mut start = start_exec(&["echo", &number.to_string()]);
        start.run_id = number.to_string();
        execs.push(world.exec(start).await);
    }
    let mut seen = Vec::new();
    for exec in &mut execs {
        exec.finish().await;
        let text = String::from_utf8(exec.stdout.clone()).unwrap();
        seen.push(text.trim().parse::<u32>().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_nobody_hears_is_killed_when_it_ignores_term() {
    let mut world = World::new().await;
    let mut exec = world.exec(sh("trap '' TERM; exec yes")).await;
    while exec.stdout.is_empty() {
        exec.next().await;
    }
    let pid = rustix::process::Pid::from_raw(exec.pid as i32).unwrap();
    drop(exec);
    within("the end of the program", async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_on_stdout_does_not_hide_what_is_on_stderr() {
    let mut world = World::new().await;
    let mut exec = world.exec(sh("echo here >&2; exec yes")).await;
    while exec.stderr.is_empty() {
        exec.next().await;
    }
    drop(exec);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_may_open_as_many_files_as_the_agent_was_started_with() {
    let limit = || rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let before = limit();
    cmdop_service::descriptors::raise_limit();
    let mut world = World::new().await;
    // It looks when it has its input: then it surely has its limit.
    let mut start = sh("read x; ulimit -n");
    start.stdin = true;
    let mut exec = world.exec(start).await;
    exec.say(Request::Stdin(b"\n".as_slice().into())).await;
    exec.finish().await;
    let seen = String::from_utf8_lossy(&exec.stdout).trim().to_owned();
    let wanted = before.map_or("unlimited".to_owned(), |before| before.to_string());
    assert_eq!(seen, wanted, "and not {:?}", limit());
    world.stopped().await;
}
