//! One session's stream: its log goes up as far as the relay allows, what it is told is done.

use bytes::Bytes;
use cmdop_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use v1::session_down::Message as Down;
use v1::session_up::Message as Up;

use super::{Link, Logs, flood_byte, summary, until_end, with_token};

pub(super) async fn session(mut link: Link, id: String, token: String) {
    // Small, so that the relay's and the client's flow control reach the "program".
    let (up, messages) = mpsc::channel(2);
    let hello = v1::SessionHello {
        summary: Some(summary(&link.logs.lock().unwrap()[&id])),
    };
    up.send(wrap(Up::Hello(hello))).await.unwrap();
    let request = with_token(ReceiverStream::new(messages), &token);
    let Ok(response) = link.client.session(request).await else {
        return;
    };
    let mut down = response.into_inner();
    let mut sent = None;
    let mut read_up_to = 0;
    loop {
        // Commands first, as a real agent does.
        let message = tokio::select! {
            biased;
            message = down.message() => message,
            () = progress(&link.logs, &id, sent, read_up_to, &up), if sent.is_some() => {
                let Some(piece) = next_piece(&link.logs, &id, &mut sent, read_up_to) else { continue };
                if up.send(wrap(Up::Output(piece))).await.is_err() { return; }
                continue;
            }
        };
        let Ok(Some(v1::SessionDown {
            message: Some(message),
        })) = message
        else {
            return;
        };
        match message {
            Down::SendFrom(from) => sent = Some(from),
            Down::ReadUpTo(offset) => read_up_to = offset,
            other => {
                for reply in answer(&link.logs, &id, other, sent.unwrap_or(0)) {
                    let is_exit = matches!(reply, Up::Exited(_));
                    if let Up::Exited(_) = reply {
                        while let Some(piece) = next_piece(&link.logs, &id, &mut sent, u64::MAX) {
                            up.send(wrap(Up::Output(piece))).await.unwrap();
                        }
                    }
                    if up.send(wrap(reply)).await.is_err() {
                        return;
                    }
                    if is_exit {
                        return until_end(&mut down).await;
                    }
                }
            }
        }
    }
}

pub(super) fn wrap(message: Up) -> v1::SessionUp {
    v1::SessionUp {
        message: Some(message),
    }
}

/// Returns when there is something to send and room to send it in.
async fn progress(
    logs: &Logs,
    id: &str,
    sent: Option<u64>,
    read_up_to: u64,
    up: &mpsc::Sender<v1::SessionUp>,
) {
    loop {
        {
            let mut logs = logs.lock().unwrap();
            let log = logs.get_mut(id).unwrap();
            let end = log.bytes.len() as u64;
            // The program runs ahead as far as it may.
            let more = log.flood.min(read_up_to.saturating_sub(end)).min(64 << 10);
            if more > 0 {
                log.bytes.extend((end..end + more).map(flood_byte));
                log.flood -= more;
            }
            if sent.unwrap() < log.bytes.len() as u64 {
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let _ = up.reserve().await;
}

fn next_piece(logs: &Logs, id: &str, sent: &mut Option<u64>, _up_to: u64) -> Option<v1::Output> {
    let logs = logs.lock().unwrap();
    let log = &logs[id];
    let from = sent.unwrap();
    let rest = &log.bytes[from as usize..];
    if rest.is_empty() {
        return None;
    }
    let data = Bytes::copy_from_slice(&rest[..rest.len().min(64 << 10)]);
    *sent = Some(from + data.len() as u64);
    Some(v1::Output {
        offset: from,
        data,
        command_id: log.command_id,
        ..v1::Output::default()
    })
}

fn answer(logs: &Logs, id: &str, message: Down, sent: u64) -> Vec<Up> {
    let mut logs = logs.lock().unwrap();
    let log = logs.get_mut(id).unwrap();
    match message {
        Down::Input(input) => {
            let written = log.written.entry(input.client_id.clone()).or_default();
            if input.input_seq > *written {
                *written = input.input_seq;
                log.command_id = input.command_id;
                log.writes.push(input.data.to_vec());
                log.bytes.extend_from_slice(&input.data);
            }
            let mut replies = vec![Up::InputAck(v1::AgentInputAck {
                client_id: input.client_id,
                input_seq: input.input_seq,
                command_id: input.command_id,
            })];
            if input.data.as_ref() == b"exit\n" {
                log.record.status = v1::SessionStatus::Disconnected.into();
                replies.push(Up::Exited(v1::SessionExited {
                    exit: Some(v1::Exit {
                        outcome: Some(v1::exit::Outcome::Code(42)),
                    }),
                    end_offset: log.bytes.len() as u64,
                }));
            }
            replies
        }
        Down::KeyframeWanted(_) => {
            log.keyframes += 1;
            vec![Up::Keyframe(v1::Keyframe {
                offset: sent,
                size: log.record.size,
                data: Bytes::from_static(b"<screen>"),
                ..v1::Keyframe::default()
            })]
        }
        Down::Resize(size) => {
            log.sizes.push(size);
            log.record.size = Some(size);
            vec![Up::Resized(size)]
        }
        Down::Signal(signal) => {
            log.signals.push(signal);
            Vec::new()
        }
        Down::CaptureWanted(wanted) => vec![Up::Capture(v1::CaptureReply {
            request_id: wanted.request_id,
            capture: Some(v1::CaptureResponse {
                text: log.bytes.clone().into(),
                size: log.record.size,
                offset: log.bytes.len() as u64,
                ..v1::CaptureResponse::default()
            }),
        })],
        // Everything has left the screen, each command as a line.
        Down::HistoryWanted(wanted) => vec![Up::History(v1::HistoryTaken {
            request_id: wanted.request_id,
            history: Some(v1::HistoryResponse {
                text: log.bytes.clone().into(),
                mark: Some(v1::HistoryMark {
                    next: wanted.max_lines.into(),
                    ..v1::HistoryMark::default()
                }),
                from: wanted.before.unwrap_or(7),
                offset: wanted.max_bytes.into(),
            }),
        })],
        _ => Vec::new(),
    }
}
