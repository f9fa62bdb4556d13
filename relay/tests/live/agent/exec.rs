//! One run's stream: what is read is printed, as `cat` does.

use cmdop_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Exec, Link, until_end, with_token};

pub(super) async fn exec(mut link: Link, start: v1::StartExec) {
    use v1::exec_request::Request as Part;
    let (up, messages) = mpsc::channel(2);
    let hello = v1::exec_up::Message::Hello(v1::ExecHello {
        run_id: start.run_id,
    });
    up.send(v1::ExecUp {
        message: Some(hello),
    })
    .await
    .unwrap();
    let request = with_token(ReceiverStream::new(messages), &start.stream_token);
    let mut down = link.client.exec(request).await.unwrap().into_inner();
    if link.exec == Exec::Sleep {
        return std::future::pending().await;
    }
    let mut offset = 0;
    while let Ok(Some(message)) = down.message().await {
        match message.request.unwrap().request.unwrap() {
            Part::Stdin(data) => {
                let start = offset;
                offset += data.len() as u64;
                let output = v1::ExecOutput {
                    offset: start,
                    data,
                };
                if up
                    .send(response(v1::exec_response::Response::Stdout(output)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Part::StdinClosed(_) => break,
            _ => {}
        }
    }
    let finished = v1::ExecFinished {
        exit: Some(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(0)),
        }),
        stdout_bytes: offset,
        ..v1::ExecFinished::default()
    };
    let finished = v1::exec_response::Response::Finished(finished);
    if up.send(response(finished)).await.is_ok() {
        until_end(&mut down).await;
    }
}

fn response(response: v1::exec_response::Response) -> v1::ExecUp {
    v1::ExecUp {
        message: Some(v1::exec_up::Message::Response(v1::ExecResponse {
            response: Some(response),
        })),
    }
}
