//! What is typed: written once, acknowledged, and never in the way of what is printed.

use super::*;

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
