//! A caller whose stream is lost comes back; nothing is lost, doubled, or kept for ever.

use cmdop_proto::limits::{MAX_OUTPUT, RUN_STDIN_WINDOW, RUN_WINDOW};
use cmdop_proto::v1::agent_message::Message as FromAgent;
use cmdop_proto::v1::control_message::Message as Order;

use super::*;
use crate::fake_relay::{ExecStream, resume_exec};

/// A program that may wait so long for its caller.
fn patient(command: &[&str], grace_ms: u64) -> v1::StartExec {
    v1::StartExec {
        grace_ms,
        ..start_exec(command)
    }
}

/// Reads on until `stop` or the end, acknowledging what comes.
async fn read(
    exec: &mut ExecStream,
    mut stop: impl FnMut(&ExecStream) -> bool,
) -> Option<v1::ExecFinished> {
    while !stop(exec) {
        let finished = exec.next().await.expect("the stream goes on");
        if finished.is_some() {
            return finished;
        }
        let ack = v1::ExecAck {
            stdout: exec.stdout.len() as u64,
            stderr: exec.stderr.len() as u64,
        };
        exec.say(Request::Ack(ack)).await;
    }
    None
}

fn refusal(message: FromAgent) -> String {
    match message {
        FromAgent::Failed(failed) => failed.detail.unwrap().reason,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_whole_however_often_the_stream_or_the_link_is_lost() {
    let mut world = World::new().await;
    let script = "seq 1 1000000; seq 1 100000 >&2; exit 7";
    let mut exec = world.exec(patient(&["sh", "-c", script], 30_000)).await;
    let mut losses = 0;
    let finished = loop {
        let upto = exec.stdout.len() + 1_500_000;
        if let Some(finished) = read(&mut exec, |exec| exec.stdout.len() > upto).await {
            break finished;
        }
        losses += 1;
        // What is on its way is lost with the stream.
        let (stdout, stderr) = (exec.stdout.clone(), exec.stderr.clone());
        drop(exec);
        if losses % 2 == 0 {
            world.cut();
            world.linked().await;
        }
        exec = world.resume_exec("run", stdout, stderr).await;
    };
    assert!(losses >= 3, "{losses}");
    assert_eq!(finished.exit, code(7));
    let text = |last: u32| (1..=last).map(|n| format!("{n}\n")).collect::<String>();
    assert!(exec.stdout == text(1_000_000).as_bytes());
    assert!(exec.stderr == text(100_000).as_bytes());
    exec.done().await;
    world.no_sessions().await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_acknowledges_stops_the_program_and_is_all_that_is_kept() {
    let mut world = World::new().await;
    let mut exec = world.exec(patient(&["yes"], 30_000)).await;
    // It comes to a stand with the window full, but for what a whole piece needs, and goes on where it is
    // acknowledged.
    while exec.stdout.len() <= RUN_WINDOW - MAX_OUTPUT {
        exec.next().await;
    }
    assert!(exec.stdout.len() <= RUN_WINDOW);
    let ack = v1::ExecAck {
        stdout: RUN_WINDOW as u64 / 2,
        stderr: 0,
    };
    exec.say(Request::Ack(ack)).await;
    while exec.stdout.len() <= RUN_WINDOW / 2 * 3 - MAX_OUTPUT {
        exec.next().await;
    }
    assert!(exec.stdout.len() <= RUN_WINDOW / 2 * 3);
    exec.say(Request::End(true)).await;
    world.no_sessions().await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stdin_goes_on_where_the_agent_has_it_and_is_written_once() {
    let mut world = World::new().await;
    let data: Vec<u8> = (0..3 << 20).map(|i: u32| (i ^ (i >> 9)) as u8).collect();
    let mut start = patient(&["cat"], 30_000);
    start.stdin = true;
    let mut exec = world.exec(start).await;
    let (mut sent, mut cuts) = (0, 0);
    while exec.stdout.len() < data.len() {
        while sent < data.len() && sent + (64 << 10) <= exec.stdin_ack as usize + RUN_STDIN_WINDOW {
            let piece = data[sent..(sent + (64 << 10)).min(data.len())].to_vec();
            sent += piece.len();
            exec.say(Request::Stdin(piece.into())).await;
        }
        let had = exec.stdout.len();
        read(&mut exec, |exec| exec.stdout.len() > had).await;
        if exec.stdout.len() > (cuts + 1) * 700_000 {
            cuts += 1;
            let (stdout, stderr) = (exec.stdout.clone(), exec.stderr.clone());
            let acked = exec.stdin_ack;
            drop(exec);
            exec = world.resume_exec("run", stdout, stderr).await;
            while exec.resumed.is_none() {
                exec.next().await;
            }
            exec.stdin_ack = acked;
            let from = exec.resumed.as_ref().unwrap().stdin_from as usize;
            assert!(from <= sent);
            sent = from;
        }
    }
    assert!(cuts >= 3 && exec.stdout == data, "{cuts} cuts");
    exec.say(Request::StdinClosed(true)).await;
    let finished = read(&mut exec, |_| false).await.unwrap();
    assert_eq!(finished.exit, code(0));
    exec.done().await;
    world.no_sessions().await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_kept_until_its_caller_has_it() {
    let mut world = World::new().await;
    let start = patient(&["sh", "-c", "echo out; echo err >&2; exit 9"], 30_000);
    let mut exec = world.exec(start).await;
    // It has all of it, and acknowledges nothing.
    while exec.next().await.expect("the result comes").is_none() {}
    drop(exec);
    let mut exec = world.resume_exec("run", b"ou".to_vec(), Vec::new()).await;
    let finished = read(&mut exec, |_| false).await.unwrap();
    assert_eq!(finished.exit, code(9));
    assert_eq!(
        (exec.stdout.as_slice(), exec.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    exec.done().await;
    world.no_sessions().await;
    let resume = resume_exec("run", 0, 0);
    let link = world.link();
    link.order(Order::ResumeExec(resume)).await;
    assert_eq!(refusal(link.message().await), "run-unknown");
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_whose_caller_stays_away_is_ended() {
    let mut world = World::new().await;
    let mut exec = world
        .exec(patient(&["sh", "-c", "echo begun; exec sleep 1000"], 300))
        .await;
    while exec.stdout.is_empty() {
        exec.next().await;
    }
    let pid = rustix::process::Pid::from_raw(exec.pid as i32).unwrap();
    drop(exec);
    world.no_sessions().await;
    rustix::process::test_kill_process(pid).unwrap_err();
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_wants_more_than_is_kept_is_refused() {
    let mut world = World::new().await;
    let mut exec = world
        .exec(patient(
            &["sh", "-c", "echo begun; exec sleep 1000"],
            30_000,
        ))
        .await;
    read(&mut exec, |exec| !exec.stdout.is_empty()).await;
    let resume = resume_exec("run", 100, 0);
    let link = world.link();
    link.order(Order::ResumeExec(resume)).await;
    assert_eq!(refusal(link.message().await), "bad-offset");
    // The caller that is there does not notice.
    exec.say(Request::Signal(15)).await;
    let finished = read(&mut exec, |_| false).await.unwrap();
    assert_eq!(finished.exit, signal(15));
    exec.done().await;
    world.no_sessions().await;
    world.stopped().await;
}
