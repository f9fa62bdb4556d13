//! One WebSocket to the control plane, and the commands of the protocol on it. It dials once; what it hears
//! out of turn it keeps for whoever asks next.

use std::collections::VecDeque;
use std::time::Duration;

use cmdop_proto::{Refusal, text};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::Fault;
use crate::connection::Connection;
use crate::dial;
use crate::error::Error;
use crate::token_store::Secret;

/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How late a ping of the server's may be.
const LATE: Duration = Duration::from_secs(10);

/// The largest frame that is taken: all that the server recovers at once, and what is around it.
const MAX_FRAME: usize = 16 << 20;

/// Events that may come before the answer to a command.
const MAX_EARLY: usize = 4096;

/// The protocol's code for a token that is to be replaced.
const TOKEN_EXPIRED: u64 = 109;

/// From there on a client is not to come back (close codes of the protocol).
const FINAL: u16 = 3500;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
    calls: u64,
    pushes: VecDeque<Value>,
    /// The longest silence of a server that lives.
    silence: Duration,
}

/// The server said what we do not understand.
pub(super) fn no_answer() -> Error {
    Error::Protocol("the control plane answered what is no answer".into())
}

impl Socket {
    /// Dials, and says who we are. A token that is over is replaced once.
    pub(super) async fn open(connection: &Connection) -> Result<Self, Error> {
        let token = connection.tokens().access().await?;
        let (mut socket, reply) = Self::introduced(connection, &token).await?;
        let reply = match reply {
            Err(fault) if fault.code == TOKEN_EXPIRED => {
                let token = connection.tokens().instead_of(&token).await?;
                let (other, reply) = Self::introduced(connection, &token).await?;
                socket = other;
                reply
            }
            reply => reply,
        };
        let reply = reply.map_err(|fault| match fault.code {
            TOKEN_EXPIRED => Refusal::denied("token-revoked", "the token is not taken any more")
                .hint("log in again with `cmdop login`")
                .into(),
            _ => Error::from(fault),
        })?;
        let ping = reply["ping"].as_u64().unwrap_or(25);
        socket.silence = Duration::from_secs(ping.clamp(1, 3600)) + LATE;
        Ok(socket)
    }

    async fn introduced(
        connection: &Connection,
        token: &Secret,
    ) -> Result<(Self, Result<Value, Fault>), Error> {
        let profile = connection.profile();
        let stream = dial::http1(&profile.control_url, &profile.trust()).await?;
        let config = WebSocketConfig::default()
            .max_frame_size(Some(MAX_FRAME))
            .max_message_size(Some(MAX_FRAME));
        let authority = profile.control_url.trim_start_matches("https://");
        let url = format!("wss://{authority}/connection/websocket");
        let upgrade = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let (stream, _) = timeout(ANSWER_WITHIN, upgrade)
            .await
            .map_err(|_| Error::Lost("the control plane did not answer".into()))?
            .map_err(|error| no_upgrade(&error))?;
        let mut socket = Self {
            stream,
            calls: 0,
            pushes: VecDeque::new(),
            silence: ANSWER_WITHIN,
        };
        let hello = json!({"token": token.expose(), "name": "cmdop"});
        let reply = socket.call("connect", hello).await?;
        Ok((socket, reply))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Result<Value, Fault>, Error> {
        self.calls += 1;
        let id = self.calls;
        self.send(json!({"id": id, method: params}).to_string())
            .await?;
        let answer = async {
            loop {
                let mut answer = None;
                for mut reply in self.read().await? {
                    if reply["id"] == id {
                        answer = Some(match reply["error"].take() {
                            Value::Null => Ok(reply[method].take()),
                            error => Err(fault(&error)),
                        });
                    } else {
                        self.keep(reply)?;
                    }
                }
                if let Some(answer) = answer {
                    return Ok(answer);
                }
            }
        };
        timeout(ANSWER_WITHIN, answer)
            .await
            .map_err(|_| Error::Lost("the control plane did not answer".into()))?
    }

    /// The next push.
    pub(super) async fn push(&mut self) -> Result<Value, Error> {
        loop {
            if let Some(push) = self.pushes.pop_front() {
                return Ok(push);
            }
            for reply in self.read().await? {
                self.keep(reply)?;
            }
        }
    }

    fn keep(&mut self, mut reply: Value) -> Result<(), Error> {
        let push = reply["push"].take();
        if push.is_object() {
            self.pushes.push_back(push);
        }
        if self.pushes.len() > MAX_EARLY {
            return Err(Error::Lost(
                "the control plane told more than was asked".into(),
            ));
        }
        Ok(())
    }

    /// The lines of the next frame; pings are answered.
    async fn read(&mut self) -> Result<Vec<Value>, Error> {
        let frame = timeout(self.silence, self.stream.next())
            .await
            .map_err(|_| Error::Lost("the control plane is silent".into()))?;
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason));
                let (code, reason) = frame.unwrap_or((1005, "".into()));
                return Err(ended(code, reason.as_str()));
            }
            Some(Ok(_)) => return Ok(Vec::new()),
            Some(Err(error)) => return Err(Error::Lost(error.to_string())),
            None => return Err(Error::Lost("the control plane closed it".into())),
        };
        let mut replies = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let reply: Value = serde_json::from_str(line).map_err(|_| no_answer())?;
            let is_ping = reply.as_object().is_some_and(serde_json::Map::is_empty);
            if is_ping {
                self.send("{}".to_owned()).await?;
            } else {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    async fn send(&mut self, frame: String) -> Result<(), Error> {
        let sent = timeout(ANSWER_WITHIN, self.stream.send(Message::text(frame))).await;
        sent.map_err(|_| Error::Lost("the control plane does not read".into()))?
            .map_err(|error| Error::Lost(error.to_string()))
    }
}

fn fault(error: &Value) -> Fault {
    Fault {
        code: error["code"].as_u64().unwrap_or(100),
        message: text::shown(error["message"].as_str().unwrap_or_default(), 256),
    }
}

/// Why the server ended it.
fn ended(code: u16, reason: &str) -> Error {
    let why = format!("{} ({code})", text::shown(reason, 128));
    match code {
        3504 => Refusal::exhausted("too-many-connections", format!("events: {why}"))
            .hint("the account follows events in too many places already")
            .into(),
        FINAL..4000 => Refusal::denied("events-refused", format!("events: {why}")).into(),
        _ => Error::Lost(why),
    }
}

/// Why no WebSocket came about.
fn no_upgrade(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Http(response) => match response.status() {
            StatusCode::NOT_FOUND => {
                let old = "this control plane tells no events: it is an older version";
                Error::Refused(Refusal::invalid("unsupported", old))
            }
            StatusCode::TOO_MANY_REQUESTS => Error::Lost("too many connections".into()),
            status => Error::Protocol(format!("the control plane answered {status}")),
        },
        error => Error::Lost(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::is_passing;

    #[test]
    fn a_client_comes_back_from_the_codes_from_which_the_protocol_says_so() {
        for code in [1000, 1006, 3000, 3001, 3005, 3008, 3010, 3012, 3499] {
            assert!(is_passing(&ended(code, "x")), "{code}");
        }
        for code in [3500, 3501, 3503, 3999] {
            assert!(!is_passing(&ended(code, "x")), "{code}");
        }
        assert_eq!(ended(3504, "x").exit_code(), 75);
    }
}
