//! Bad peers: whatever they send, they are refused by name and nobody else notices.

use std::net::SocketAddr;

use cmdop_proto::v1::{AttachMode, ExecRequest, ExecStart, Input, attach_request, exec_request};
use cmdop_tests::wire::{self, Wire};
use cmdop_tests::{World, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_frame_that_is_too_large_is_refused_by_name() {
    let world = World::start().await;
    let session = world.new_session(&["web-1", "--", "/bin/cat"]).await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    // Over the limit of one input, then over the limit of any frame.
    let mut attached = wire.attach(&session, AttachMode::Operator).await.unwrap();
    attached.until("the record", wire::opened).await;
    attached.type_keys(&vec![b'x'; 70 << 10]).await;
    assert_eq!(refused(&mut attached).await, "frame-too-large");
    let mut attached = wire.attach(&session, AttachMode::Operator).await.unwrap();
    attached.until("the record", wire::opened).await;
    let input = Input {
        input_seq: 1,
        data: vec![b'x'; 3 << 20].into(),
    };
    attached.send(attach_request::Request::Input(input)).await;
    assert_eq!(refused(&mut attached).await, "frame-too-large");
    let start = ExecStart {
        machine: "web-1".into(),
        command: vec!["x".repeat(2 << 20)],
        ..Default::default()
    };
    let request = ExecRequest {
        request: Some(exec_request::Request::Start(start)),
    };
    let status = match wire.exec().run(tokio_stream::once(request)).await {
        Ok(response) => response.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(cmdop_proto::Refusal::from(status).reason, "frame-too-large");
    world.cmdop(&["send", &session, "fine"]).await.ok();
}

/// The reason in the stream, or of its end.
async fn refused(attached: &mut wire::Attached) -> String {
    loop {
        match attached.next().await {
            Ok(Some(response)) => match wire::refusal(&response) {
                Some(refusal) => return refusal.reason,
                None => continue,
            },
            Ok(None) => return "the stream just ended".into(),
            Err(refusal) => return refusal.reason,
        }
    }
}

#[tokio::test]
async fn garbage_on_the_ports_harms_nobody() {
    let mut world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--", "/bin/sh"]);
    person.sees_prompt().await;
    let mut silent = Vec::new();
    for port in [world.relay.address(), world.control.address()] {
        for garbage in garbage() {
            silent.push(poke(port, &garbage).await);
        }
        for _ in 0..50 {
            silent.push(TcpStream::connect(port).await.unwrap());
        }
    }
    person.enter("echo unharmed-$((1 + 2))");
    person.sees_line("unharmed-3").await;
    world.cmdop(&["exec", "web-1", "--", "true"]).await.ok();
    assert!(world.relay.program.is_running() && world.control.program.is_running());
}

#[tokio::test]
async fn a_peer_that_stalls_its_handshake_is_dropped() {
    let world = World::start().await;
    for port in [world.relay.address(), world.control.address()] {
        let mut stalled = poke(port, &[0x16, 3, 1, 2, 0, 1]).await;
        let mut rest = Vec::new();
        // Closed or reset: both are an end.
        let _ = wait::within(
            "the server drops the stalled peer",
            stalled.read_to_end(&mut rest),
        )
        .await;
    }
}

#[tokio::test]
async fn garbage_inside_tls_harms_nobody() {
    let world = World::start().await;
    let trust = cmdop_client::dial::Trust::Ca(world.control.ca_pem());
    for url in [world.relay.address(), world.control.address()] {
        for alpn in ["h2", "http/1.1"] {
            let mut config = cmdop_client::dial::tls_config(&trust).unwrap();
            config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
            let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
            for garbage in garbage() {
                let stream = TcpStream::connect(url).await.unwrap();
                let name = url.ip().into();
                let mut stream = connector.connect(name, stream).await.unwrap();
                let _ = stream.write_all(&garbage).await;
                let mut answer = vec![0; 1000];
                let _ = tokio::time::timeout(
                    std::time::Duration::from_millis(50),
                    stream.read(&mut answer),
                )
                .await;
            }
        }
    }
    world.cmdop(&["exec", "web-1", "--", "true"]).await.ok();
}

#[tokio::test]
async fn a_first_message_that_is_wrong_is_refused_with_a_reason() {
    let world = World::start().await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let first = |request| cmdop_proto::v1::AttachRequest { request };
    for request in [
        first(None),
        first(Some(attach_request::Request::Ping(
            cmdop_proto::v1::Ping::default(),
        ))),
        first(Some(attach_request::Request::Open(
            cmdop_proto::v1::AttachOpen::default(),
        ))),
    ] {
        let status = match wire.sessions().attach(tokio_stream::once(request)).await {
            Ok(response) => response.into_inner().message().await.unwrap_err(),
            Err(status) => status,
        };
        let refusal = cmdop_proto::Refusal::from(status);
        assert!(
            !refusal.reason.is_empty() && !refusal.message.is_empty(),
            "{refusal:?}"
        );
        assert_ne!(
            refusal.kind,
            cmdop_proto::ErrorKind::Internal,
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn an_agent_stream_without_its_token_is_refused() {
    let world = World::start().await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let status = wire.agent().connect(tokio_stream::empty()).await;
    let status = match status {
        Ok(response) => response.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(cmdop_proto::Refusal::from(status).reason, "wrong-bearer");
}

#[tokio::test]
async fn a_program_cannot_send_escapes_through_a_listing() {
    let world = World::start().await;
    let args = ["web-1", "--name", "x\u{1b}[31m", "--", "/bin/cat"];
    let refused = world.cmdop(&[&["new", "-d"], &args[..]].concat()).await;
    assert_eq!(refused.status, 2, "{refused:?}");
    assert!(!refused.err().contains('\u{1b}'), "{refused:?}");
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", "cat # \u{1b}]0;owned\u{7}"])
        .await;
    let listed = world.cmdop(&["sessions"]).await.ok();
    assert!(
        listed.contains(&session[..8]) && !listed.contains('\u{1b}'),
        "{listed:?}"
    );
}

/// What people, scanners and broken programs send to a port.
fn garbage() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let random = (0..100_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    vec![
        random.collect(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0; 70_000],
        // The start of a TLS hello that promises more than it sends.
        vec![
            0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03, 1, 2, 3,
        ],
        b"\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
    ]
}

/// Sends `bytes` and keeps the connection, which the server may have closed.
async fn poke(port: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(port).await.unwrap();
    let _ = stream.write_all(bytes).await;
    stream
}
