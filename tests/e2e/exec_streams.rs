//! `cmdop exec` is a pipe: byte for byte, each stream for itself, at any size.

use cmdop_tests::World;
use cmdop_tests::wait;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn sixty_four_mebibytes_of_binary_output_arrive_unchanged() {
    let world = World::start().await;
    let file = world.directory().join("noise");
    let noise = noise(64 << 20);
    std::fs::write(&file, &noise).unwrap();
    let path = file.to_str().unwrap();
    let mut child = world.owner.cli.start(&["exec", "web-1", "--", "cat", path]);
    drop(child.stdin.take());
    let mut stdout = child.stdout.take().unwrap();
    let (mut hash, mut total) = (Sha256::new(), 0);
    let reading = async {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match stdout.read(&mut buffer).await.unwrap() {
                0 => return,
                count => {
                    hash.update(&buffer[..count]);
                    total += count;
                }
            }
        }
    };
    wait::within_times("all output", 6, reading).await;
    assert_eq!(total, noise.len());
    assert_eq!(hash.finalize(), Sha256::digest(&noise));
    assert!(
        wait::within("the end", child.wait())
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn sixteen_mebibytes_of_input_come_back_from_cat() {
    let world = World::start().await;
    let noise = noise(16 << 20);
    let outcome = world
        .owner
        .cli
        .run_with(&["exec", "web-1", "--", "cat"], &noise)
        .await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(outcome.stdout.len(), noise.len());
    assert!(outcome.stdout == noise, "the bytes differ");
}

#[tokio::test]
async fn the_two_streams_stay_apart() {
    let world = World::start().await;
    let script = "echo out; echo err >&2; head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2";
    let outcome = world
        .cmdop(&["exec", "web-1", "--", "sh", "-c", script])
        .await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stdout.starts_with(b"out\n") && outcome.stdout.len() == 300_004,
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.starts_with(b"err\n") && outcome.stderr.len() == 200_004,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_is_no_error() {
    let world = World::start().await;
    let outcome = world
        .owner
        .cli
        .run_with(&["exec", "web-1", "--", "true"], &noise(1 << 20))
        .await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
}

#[tokio::test]
async fn the_end_of_input_reaches_the_program() {
    let world = World::start().await;
    let outcome = world
        .owner
        .cli
        .run_with(&["exec", "web-1", "--", "wc", "-c"], b"seven b")
        .await;
    assert_eq!(outcome.ok().trim(), "7");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_an_endless_program() {
    let world = World::start().await;
    let mut child = world.owner.cli.start(&["exec", "web-1", "--", "yes"]);
    drop(child.stdin.take());
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 4];
    wait::within("the first lines", stdout.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"y\ny\n");
    drop(stdout);
    let status = wait::within("the client's end", child.wait())
        .await
        .unwrap();
    assert!(!status.success());
}

#[tokio::test]
async fn output_before_a_crash_is_not_lost() {
    let world = World::start().await;
    let script = "head -c 1000000 /dev/zero; kill -KILL $$";
    let outcome = world
        .cmdop(&["exec", "web-1", "--", "sh", "-c", script])
        .await;
    assert_eq!((outcome.status, outcome.stdout.len()), (137, 1_000_000));
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
