//! Running a program through the relay.

use std::sync::Arc;

use bytes::Bytes;
use cmdop_proto::v1;
use cmdop_proto::v1::exec_request::Request;
use cmdop_proto::v1::exec_response::Response;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::agent::{Agent, Exec};
use crate::client::Client;
use crate::world::{World, reason, soon};

async fn run(
    client: &mut Client,
    start: v1::ExecStart,
) -> Result<(mpsc::Sender<v1::ExecRequest>, Streaming<v1::ExecResponse>), Status> {
    let (up, requests) = mpsc::channel(2);
    up.send(request(Request::Start(start))).await.unwrap();
    let output = soon("the run", client.execs.run(ReceiverStream::new(requests))).await?;
    Ok((up, output.into_inner()))
}

fn request(request: Request) -> v1::ExecRequest {
    v1::ExecRequest {
        request: Some(request),
    }
}

fn cat() -> v1::ExecStart {
    v1::ExecStart {
        machine: "web-1".into(),
        command: vec!["cat".into()],
        stdin: true,
        ..v1::ExecStart::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_mebibytes_come_back_byte_for_byte() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let data: Vec<u8> = (0..8u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let (up, mut output) = run(&mut client, cat()).await.unwrap();
    let sending = async {
        for piece in data.chunks(200 << 10) {
            let piece = Bytes::copy_from_slice(piece);
            up.send(request(Request::Stdin(piece))).await.unwrap();
        }
        up.send(request(Request::StdinClosed(true))).await.unwrap();
    };
    let receiving = async {
        let mut got = Vec::new();
        loop {
            match output.message().await.unwrap().unwrap().response.unwrap() {
                Response::Stdout(piece) => {
                    assert_eq!(piece.offset, got.len() as u64);
                    got.extend_from_slice(&piece.data);
                }
                Response::Finished(finished) => break (got, finished),
                _ => {}
            }
        }
    };
    let ((), (got, finished)) = soon("all of it", async { tokio::join!(sending, receiving) }).await;
    assert!(got == data);
    assert_eq!(finished.stdout_bytes, data.len() as u64);
    assert!(output.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_caller_that_closes_its_side_has_no_more_input() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let (up, mut output) = run(&mut client, cat()).await.unwrap();
    drop(up);
    let last = soon("the end", output.message())
        .await
        .unwrap()
        .unwrap()
        .response
        .unwrap();
    assert!(matches!(last, Response::Finished(_)));
}

#[tokio::test]
async fn a_program_whose_caller_leaves_is_ended_even_if_it_reads_nothing() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let linked = Agent::link_with(&world, machine, Arc::default(), Exec::Sleep).await;
    let mut agent = linked.unwrap();
    let mut client = Client::member(&world).await;
    let start = v1::ExecStart {
        run_id: cmdop_proto::RunId::new().to_string(),
        ..cat()
    };
    let id = start.run_id.clone();
    let (up, output) = run(&mut client, start).await.unwrap();
    drop((up, output));
    let told = agent.ended.wait_for(|ended| ended.contains(&id));
    soon("the order to end the program", told).await.unwrap();
}

#[tokio::test]
async fn each_reason_why_nothing_runs_has_its_name() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut client = Client::member(&world).await;
    let mut refusal = async |start: v1::ExecStart| reason(run(&mut client, start).await);
    assert_eq!(refusal(cat()).await, "machine-offline");
    let unknown = v1::ExecStart {
        machine: "nowhere".into(),
        ..cat()
    };
    assert_eq!(refusal(unknown).await, "machine-unknown");
    let empty = v1::ExecStart {
        command: Vec::new(),
        ..cat()
    };
    assert_eq!(refusal(empty).await, "bad-request");
    let long = v1::ExecStart {
        command: vec!["x".repeat(300 << 10)],
        ..cat()
    };
    assert_eq!(refusal(long).await, "bad-request");
    let agent = Agent::link_with(&world, machine, Arc::default(), Exec::Refuse).await;
    assert_eq!(refusal(cat()).await, "cwd-missing");
    drop(agent);
}

#[tokio::test]
async fn an_agent_that_is_lost_meanwhile_is_named() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let (_up, mut output) = run(&mut client, cat()).await.unwrap();
    agent.cut().await;
    drop(agent);
    let status = soon("the news", output.message()).await.unwrap_err();
    assert!(status.message().contains("web-1"), "{}", status.message());
    assert_eq!(reason::<()>(Err(status)), "run-lost");
}

#[tokio::test]
async fn an_agent_that_does_not_answer_does_not_hold_its_caller() {
    let limits = cmdop_relay::Limits {
        agent_answer: std::time::Duration::from_millis(200),
        ..cmdop_relay::Limits::default()
    };
    let world = World::with(limits).await;
    let machine = world.enrol("web-1");
    let _deaf = crate::agent::deaf(&world, machine).await;
    let mut client = Client::member(&world).await;
    // It has the order: nobody can say that nothing was started.
    assert_eq!(reason(run(&mut client, cat()).await), "run-unanswered");
}
