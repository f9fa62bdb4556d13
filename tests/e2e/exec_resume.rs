//! `cmdop exec` survives what a session survives: its output is whole, its input is written once, and its
//! exit code is told, over any number of lost connections.

use cmdop_tests::{World, process, wait};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout};

const SIZE: usize = 64 << 20;

/// Writes a file of [`SIZE`] bytes of noise, and starts printing it.
fn print_noise(world: &World) -> (Child, ChildStdout, Vec<u8>) {
    let noise = noise(SIZE);
    let file = world.directory().join("noise");
    std::fs::write(&file, &noise).unwrap();
    let script = format!("cat {}; echo that was it >&2; exit 42", file.display());
    let args = ["exec", "-n", "web-1", "--", "sh", "-c", &script];
    let mut child = world.owner.cli.start(&args);
    let stdout = child.stdout.take().unwrap();
    (child, stdout, noise)
}

/// Reads until there are so many bytes.
async fn read_up_to(stdout: &mut ChildStdout, came: &mut Vec<u8>, upto: usize) {
    let reading = async {
        while came.len() < upto {
            let room = (upto - came.len()).min(256 << 10) as u64;
            let count = stdout.take(room).read_buf(came).await.unwrap();
            assert!(count > 0, "the output ended after {} bytes", came.len());
        }
    };
    wait::within_times("more output", 6, reading).await;
}

/// The rest of the output is whole, and the exit code is the program's.
async fn assert_whole(
    mut child: Child,
    mut stdout: ChildStdout,
    mut came: Vec<u8>,
    expected: &[u8],
) {
    wait::within_times("all output", 6, stdout.read_to_end(&mut came))
        .await
        .unwrap();
    drop(child.stdin.take());
    let outcome = wait::within("the client's end", finish_rest(child)).await;
    assert_eq!(outcome, (42, "that was it\n".to_owned()));
    assert_eq!(came.len(), expected.len());
    assert_eq!(Sha256::digest(&came), Sha256::digest(expected));
}

async fn finish_rest(child: Child) -> (i32, String) {
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (process::exit_code(output.status), stderr)
}

#[tokio::test]
async fn exec_output_is_whole_after_a_cut_in_the_middle_of_64_mib() {
    let world = World::with().relay_behind_proxy().start().await;
    let (child, mut stdout, noise) = print_noise(&world);
    let mut came = Vec::new();
    // The client's connection and both of the agent's go through the proxy.
    for part in 1..=4 {
        read_up_to(&mut stdout, &mut came, part * SIZE / 5).await;
        world.relay.proxy().cut();
    }
    assert_whole(child, stdout, came, &noise).await;
}

#[tokio::test]
async fn exec_output_is_whole_after_the_relay_was_killed_in_the_middle_of_64_mib() {
    let mut world = World::start().await;
    let (child, mut stdout, noise) = print_noise(&world);
    let mut came = Vec::new();
    for part in 1..=2 {
        read_up_to(&mut stdout, &mut came, part * SIZE / 3).await;
        world.crash_relay().await;
    }
    assert_whole(child, stdout, came, &noise).await;
}

#[tokio::test]
async fn exec_input_is_written_once_however_often_the_link_is_cut() {
    let world = World::with().relay_behind_proxy().start().await;
    let noise = noise(16 << 20);
    let mut child = world.owner.cli.start(&["exec", "web-1", "--", "cat"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let input = noise.clone();
    let typing = async move {
        stdin.write_all(&input).await.unwrap();
        drop(stdin);
    };
    let mut came = Vec::new();
    let reading = async {
        for part in 1..=3 {
            read_up_to(&mut stdout, &mut came, part * noise.len() / 4).await;
            world.relay.proxy().cut();
        }
        wait::within_times("all output", 6, stdout.read_to_end(&mut came))
            .await
            .unwrap();
    };
    tokio::join!(typing, reading);
    assert!(came == noise, "{} of {} bytes", came.len(), noise.len());
    let status = wait::within("the client's end", child.wait())
        .await
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_exit_code_of_a_program_that_ends_while_the_link_is_down_is_told() {
    let world = World::with().relay_behind_proxy().start().await;
    let go = world.directory().join("go");
    let gone = world.directory().join("gone");
    let script = format!(
        "echo ready; while [ ! -e {0} ]; do sleep 0.05; done; echo more; touch {1}; exit 7",
        go.display(),
        gone.display()
    );
    let args = ["exec", "-n", "web-1", "--", "sh", "-c", &script];
    let mut child = world.owner.cli.start(&args);
    let mut stdout = child.stdout.take().unwrap();
    let mut came = Vec::new();
    read_up_to(&mut stdout, &mut came, 6).await;
    world.relay.proxy().close();
    std::fs::write(&go, "").unwrap();
    wait::until_true("the program is at its end", || gone.exists()).await;
    world.relay.proxy().open();
    wait::within_times("all output", 3, stdout.read_to_end(&mut came))
        .await
        .unwrap();
    assert_eq!(came, b"ready\nmore\n");
    let outcome = wait::within("the client's end", finish_rest(child)).await;
    assert_eq!(outcome, (7, String::new()));
}

#[tokio::test]
async fn a_result_that_its_caller_has_is_not_kept_until_the_grace_is_over() {
    let mut world = World::start().await;
    for _ in 0..20 {
        world.cmdop(&["exec", "web-1", "--", "true"]).await.ok();
    }
    let machine = world.machine("web-1");
    wait::until_true_async("the agent has forgotten all of them", || async {
        machine.status().await["programs"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_interrupted_ends_its_program_at_once_even_if_that_reads_nothing() {
    let world = World::start().await;
    let pid_file = world.directory().join("pid");
    let script = format!(
        "trap '' INT; echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
        pid_file.display()
    );
    let args = ["exec", "web-1", "--", "sh", "-c", &script];
    let mut child = world.owner.cli.start(&args);
    let mut stdin = child.stdin.take().unwrap();
    let pid = wait::until("the program runs", || async {
        let text = std::fs::read_to_string(&pid_file).ok()?;
        text.trim().parse::<u32>().ok()
    })
    .await;
    // More than anybody takes: the pipe, the agent, the client.
    let stuff = vec![0; 8 << 20];
    let stuck = stdin.write_all(&stuff);
    tokio::select! {
        biased;
        _ = stuck => panic!("somebody took it all"),
        () = tokio::task::yield_now() => {}
    }
    let client = child.id().unwrap();
    process::signal(client, Signal::INT);
    process::signal(client, Signal::TERM);
    let proc_entry = format!("/proc/{pid}");
    wait::until_true("the program is gone", || {
        !std::path::Path::new(&proc_entry).exists()
    })
    .await;
    drop(stdin);
    child.stdin = None;
    let status = wait::within("the client's end", child.wait())
        .await
        .unwrap();
    assert!(!status.success());
}

/// Bytes of every value in no order that a buffer's size could hide, the same on every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
