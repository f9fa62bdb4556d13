//! A client that keeps none of our client's manners: raw stubs of `cmdop.v1` with any token.
//!
//! What a patched or hostile client could send, a test sends with this.

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::agent_service_client::AgentServiceClient;
use cmdop_proto::v1::exec_service_client::ExecServiceClient;
use cmdop_proto::v1::file_service_client::FileServiceClient;
use cmdop_proto::v1::fleet_service_client::FleetServiceClient;
use cmdop_proto::v1::session_service_client::SessionServiceClient;
use cmdop_proto::v1::{
    AttachMode, AttachOpen, AttachRequest, AttachResponse, Input, Session, attach_request,
    attach_response,
};
use cmdop_proto::{ClientId, Refusal, Size};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::wait;

/// A connection that sends one token with every call.
#[derive(Clone, Debug)]
pub struct Wire {
    channel: Channel,
    bearer: Bearer,
}

/// Adds `authorization: Bearer …`; nothing when there is no token.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Stub = InterceptedService<Channel, Bearer>;

impl Wire {
    /// Dials `url`, trusting `ca_pem`; an empty `token` is not sent at all.
    pub async fn dial(url: &str, ca_pem: &str, token: &str) -> Self {
        Self::try_dial(url, ca_pem, token)
            .await
            .expect("the server can be dialled")
    }

    /// The same for a server that may be away.
    pub async fn try_dial(url: &str, ca_pem: &str, token: &str) -> Result<Self, dial::Error> {
        let trust = Trust::Ca(ca_pem.to_owned());
        let channel = dial::dial(url, &trust, Lane::Interactive).await?;
        Ok(Self {
            channel,
            bearer: Bearer::new(token),
        })
    }

    /// The same connection with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            channel: self.channel.clone(),
            bearer: Bearer::new(token),
        }
    }

    /// `SessionService`; its own messages may be as large as it likes.
    pub fn sessions(&self) -> SessionServiceClient<Stub> {
        SessionServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_encoding_message_size(usize::MAX)
    }

    /// `ExecService`.
    pub fn exec(&self) -> ExecServiceClient<Stub> {
        ExecServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_encoding_message_size(usize::MAX)
    }

    /// `FileService`.
    pub fn files(&self) -> FileServiceClient<Stub> {
        FileServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_encoding_message_size(usize::MAX)
    }

    /// `FleetService`.
    pub fn fleet(&self) -> FleetServiceClient<Stub> {
        FleetServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// `AgentService`.
    pub fn agent(&self) -> AgentServiceClient<Stub> {
        AgentServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Whether the server has the call `Service/Method` of `cmdop.v1` at all, whatever it answers.
    pub async fn serves(&self, name: &str) -> bool {
        let path = format!("/cmdop.v1.{name}");
        let path = path
            .parse()
            .expect("names of services and methods are plain");
        let stub = InterceptedService::new(self.channel.clone(), self.bearer.clone());
        let mut grpc = tonic::client::Grpc::new(stub);
        grpc.ready().await.expect("the server is there");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        // One empty message: of whatever the call takes, it is one. Where there is no such service, the end
        // of the answer says so, and not its beginning.
        let answer = async {
            let opened = grpc.server_streaming(Request::new(()), path, codec).await;
            opened?.into_inner().message().await
        };
        let answer = wait::within("an answer of any kind", answer).await;
        !answer.is_err_and(|status| status.code() == tonic::Code::Unimplemented)
    }

    /// What the relay answers to the cheapest authenticated call.
    pub async fn knock(&self) -> Result<(), Refusal> {
        let request = cmdop_proto::v1::ListMachinesRequest::default();
        self.fleet()
            .list(request)
            .await
            .map(drop)
            .map_err(Refusal::from)
    }

    /// Opens a raw attach stream.
    pub async fn attach(&self, session: &str, mode: AttachMode) -> Result<Attached, Refusal> {
        let open = AttachOpen {
            session: session.to_owned(),
            mode: mode.into(),
            client_id: ClientId::new().to_string(),
            resume_from: None,
            size: (mode == AttachMode::Operator).then(|| Size::DEFAULT.into()),
            ..AttachOpen::default()
        };
        self.attach_with(open).await
    }

    /// Opens a raw attach stream with this first message.
    pub async fn attach_with(&self, open: AttachOpen) -> Result<Attached, Refusal> {
        // Tests send a handful of messages and read the answers between them.
        let (requests, outgoing) = mpsc::channel(64);
        let mut sessions = self.sessions();
        let attached = sessions.attach(ReceiverStream::new(outgoing));
        let first = AttachRequest {
            request: Some(attach_request::Request::Open(open)),
        };
        requests
            .send(first)
            .await
            .expect("the call holds its receiver");
        let responses = attached.await.map_err(Refusal::from)?.into_inner();
        Ok(Attached {
            requests,
            responses,
            output: Vec::new(),
            start: None,
            seq: 0,
        })
    }
}

impl Bearer {
    fn new(token: &str) -> Self {
        let header = format!("Bearer {token}");
        Self((!token.is_empty()).then(|| header.parse().expect("a token is ASCII")))
    }
}

/// An open attach stream, message by message.
#[derive(Debug)]
pub struct Attached {
    requests: mpsc::Sender<AttachRequest>,
    responses: Streaming<AttachResponse>,
    output: Vec<u8>,
    start: Option<u64>,
    seq: u64,
}

impl Attached {
    /// Sends any request.
    pub async fn send(&self, request: attach_request::Request) {
        let request = AttachRequest {
            request: Some(request),
        };
        // When the relay ended the stream, the next read says why.
        let _ = self.requests.send(request).await;
    }

    /// Types `data`; returns its sequence number.
    pub async fn type_keys(&mut self, data: &[u8]) -> u64 {
        self.seq += 1;
        let input = Input {
            input_seq: self.seq,
            data: data.to_vec().into(),
        };
        self.send(attach_request::Request::Input(input)).await;
        self.seq
    }

    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<attach_response::Response>, Refusal> {
        use futures_util::StreamExt as _;
        let message = wait::within("a message of the attach stream", self.responses.next()).await;
        let Some(message) = message.transpose().map_err(Refusal::from)? else {
            return Ok(None);
        };
        let response = message.response.expect("a message has a kind that we know");
        self.keep(&response);
        Ok(Some(response))
    }

    /// The first message that `wanted` maps to something.
    pub async fn until<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&attach_response::Response) -> Option<T>,
    ) -> T {
        let search = async {
            while let Some(response) = self.next().await.expect("the stream goes on") {
                if let Some(found) = wanted(&response) {
                    return Some(found);
                }
            }
            None
        };
        match wait::within_times(what, 3, search).await {
            Some(found) => found,
            None => panic!("the stream ended before: {what}"),
        }
    }

    /// Reads until the output since the attach ends up holding `text`.
    pub async fn until_output(&mut self, text: &[u8]) {
        let what = format!("output with {:?}", text.escape_ascii().to_string());
        let search = async {
            while !contains(&self.output, text) {
                if self.next().await.expect("the stream goes on").is_none() {
                    return false;
                }
            }
            true
        };
        assert!(
            wait::within_times(&what, 3, search).await,
            "the stream ended before: {what}"
        );
    }

    /// The output so far; keyframes are not in it. Its pieces were checked to be contiguous.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The offset of the first byte of [`Attached::output`].
    pub fn start(&self) -> Option<u64> {
        self.start
    }

    /// Where the stream must go on to lose and to double nothing.
    pub fn end(&self) -> Option<u64> {
        self.start.map(|start| start + self.output.len() as u64)
    }

    fn keep(&mut self, response: &attach_response::Response) {
        match response {
            attach_response::Response::Output(output) => {
                if let Some(end) = self.end() {
                    assert_eq!(output.offset, end, "output must go on where it ended");
                }
                self.start.get_or_insert(output.offset);
                self.output.extend_from_slice(&output.data);
            }
            attach_response::Response::Keyframe(keyframe) => {
                self.output.clear();
                self.start = Some(keyframe.offset);
            }
            _ => {}
        }
    }
}

/// The record in an `Opened` message.
pub fn opened(response: &attach_response::Response) -> Option<Session> {
    match response {
        attach_response::Response::Opened(opened) => opened.session.clone(),
        _ => None,
    }
}

/// The refusal in a message of the stream.
pub fn refusal(response: &attach_response::Response) -> Option<Refusal> {
    match response {
        attach_response::Response::Refusal(refusal) => Some(Refusal::from_parts(
            tonic::Code::from(refusal.grpc_code as i32),
            &refusal.message,
            refusal.detail.clone(),
        )),
        _ => None,
    }
}

/// Whether `text` occurs in `bytes`.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
