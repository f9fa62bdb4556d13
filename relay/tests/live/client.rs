//! A client in a few lines, which checks on every message what all clients are promised.

use cmdop_proto::token::{Claims, Role};
use cmdop_proto::v1::attach_response::Response;
use cmdop_proto::v1::exec_service_client::ExecServiceClient;
use cmdop_proto::v1::fleet_service_client::FleetServiceClient;
use cmdop_proto::v1::session_service_client::SessionServiceClient;
use cmdop_proto::{ClientId, limits, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::agent::flood_byte;
use crate::world::{Authorised, Bear, World, soon};

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) sessions: SessionServiceClient<Authorised>,
    pub(crate) execs: ExecServiceClient<Authorised>,
    pub(crate) fleet: FleetServiceClient<Authorised>,
}

impl Client {
    pub(crate) async fn member(world: &World) -> Self {
        Self::with(world, &world.account(Role::Member)).await
    }

    pub(crate) async fn with(world: &World, claims: &Claims) -> Self {
        Self::with_token(world, world.sign(claims)).await
    }

    pub(crate) async fn with_token(world: &World, token: String) -> Self {
        let channel = world.channel().await;
        let bear = Bear(token);
        let most = limits::MAX_FRAME;
        Self {
            sessions: SessionServiceClient::with_interceptor(channel.clone(), bear.clone())
                .max_decoding_message_size(most),
            execs: ExecServiceClient::with_interceptor(channel.clone(), bear.clone()),
            fleet: FleetServiceClient::with_interceptor(channel, bear),
        }
    }

    pub(crate) async fn create(&mut self, machine: &str, command: &[&str]) -> v1::Session {
        let request = v1::CreateSessionRequest {
            machine: machine.into(),
            command: command.iter().map(|&argument| argument.into()).collect(),
            ..v1::CreateSessionRequest::default()
        };
        soon("a session", self.sessions.create(request))
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn get(&mut self, session: &str) -> v1::Session {
        let session = session.to_owned();
        self.sessions
            .get(v1::GetSessionRequest { session })
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn operate(&mut self, session: &str) -> Attached {
        self.attach(session, Attach::default()).await.unwrap()
    }

    pub(crate) async fn observe(&mut self, session: &str) -> Attached {
        let attach = Attach {
            mode: v1::AttachMode::Observer,
            ..Attach::default()
        };
        self.attach(session, attach).await.unwrap()
    }

    pub(crate) async fn attach(&mut self, session: &str, how: Attach) -> Result<Attached, Status> {
        let (up, requests) = mpsc::channel(64);
        let open = v1::AttachOpen {
            session: session.into(),
            mode: how.mode.into(),
            client_id: how.id.to_string(),
            resume_from: how.resume_from,
            size: how.size,
            ..v1::AttachOpen::default()
        };
        let open = v1::attach_request::Request::Open(open);
        up.send(v1::AttachRequest {
            request: Some(open),
        })
        .await
        .unwrap();
        let attach = self.sessions.attach(ReceiverStream::new(requests));
        let down = soon("attaching", attach).await?.into_inner();
        Ok(Attached {
            id: how.id,
            up,
            down,
            have: how.resume_from.unwrap_or(0),
            typed: how.typed,
            keyframes: 0,
            text: Vec::new(),
            checks_flood: false,
        })
    }
}

pub(crate) struct Attach {
    pub(crate) id: ClientId,
    pub(crate) mode: v1::AttachMode,
    pub(crate) resume_from: Option<u64>,
    pub(crate) size: Option<v1::Size>,
    pub(crate) typed: u64,
}

impl Default for Attach {
    fn default() -> Self {
        Self {
            id: ClientId::new(),
            mode: v1::AttachMode::Operator,
            resume_from: None,
            size: None,
            typed: 0,
        }
    }
}

/// An attached client. Every output that it takes follows on what it has.
pub(crate) struct Attached {
    pub(crate) id: ClientId,
    pub(crate) up: mpsc::Sender<v1::AttachRequest>,
    down: Streaming<v1::AttachResponse>,
    /// It has every byte below this, or a keyframe of it.
    pub(crate) have: u64,
    pub(crate) typed: u64,
    pub(crate) keyframes: usize,
    pub(crate) text: Vec<u8>,
    pub(crate) checks_flood: bool,
}

impl Attached {
    pub(crate) async fn ask(&self, request: v1::attach_request::Request) {
        let request = Some(request);
        self.up.send(v1::AttachRequest { request }).await.unwrap();
    }

    pub(crate) async fn typing(&mut self, text: &[u8]) {
        self.typed += 1;
        self.ask(v1::attach_request::Request::Input(v1::Input {
            input_seq: self.typed,
            data: text.to_vec().into(),
        }))
        .await;
    }

    pub(crate) async fn try_next(&mut self) -> Result<Option<Response>, Status> {
        let Some(message) = soon("a message", self.down.message()).await? else {
            return Ok(None);
        };
        let response = message.response.unwrap();
        match &response {
            Response::Output(output) => {
                assert_eq!(output.offset, self.have, "a gap, or bytes that came twice");
                assert!(output.data.len() <= limits::MAX_OUTPUT);
                if self.checks_flood {
                    for (at, byte) in (self.have..).zip(&output.data) {
                        assert_eq!(*byte, flood_byte(at));
                    }
                } else {
                    self.text.extend_from_slice(&output.data);
                }
                self.have += output.data.len() as u64;
            }
            Response::Keyframe(keyframe) => {
                self.keyframes += 1;
                self.have = keyframe.offset;
            }
            _ => {}
        }
        Ok(Some(response))
    }

    pub(crate) async fn next(&mut self) -> Response {
        self.try_next().await.unwrap().expect("the stream goes on")
    }

    /// Takes messages until one is what `wanted` looks for.
    pub(crate) async fn until<R>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Response) -> Option<R>,
    ) -> R {
        let look = async {
            loop {
                let response = self.next().await;
                if let Some(found) = wanted(&response) {
                    return found;
                }
            }
        };
        soon(what, look).await
    }

    pub(crate) async fn until_text(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.text).contains(text) {
            self.next().await;
        }
    }

    pub(crate) async fn until_offset(&mut self, offset: u64) {
        while self.have < offset {
            self.next().await;
        }
    }

    pub(crate) async fn until_refusal(&mut self) -> v1::AttachRefusal {
        self.until("a refusal", |response| match response {
            Response::Refusal(refusal) => Some(refusal.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn until_status(&mut self, status: v1::SessionStatus) {
        self.until(status.as_str_name(), |response| match response {
            Response::Changed(record) if record.status() == status => Some(()),
            _ => None,
        })
        .await;
    }

    /// Why the stream ends.
    pub(crate) async fn until_end(&mut self) -> String {
        loop {
            match self.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => return "end".into(),
                Err(status) => return crate::world::reason::<()>(Err(status)),
            }
        }
    }
}
