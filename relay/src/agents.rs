//! What agents call: the control stream of a machine, and the streams of its sessions, runs and files.

mod connect;
mod exec;
mod files;
mod session;
mod welcome;

use std::pin::Pin;
use std::sync::Arc;

use cmdop_proto::v1::agent_service_server::AgentService;
use cmdop_proto::{Refusal, limits, v1};
use futures_util::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::relay::Relay;
pub(crate) use welcome::{shown_command, start, terms};

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    pub(crate) relay: Arc<Relay>,
}

#[tonic::async_trait]
impl AgentService for Agents {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<v1::ControlMessage, Status>> + Send>>;
    type SessionStream = session::Down;
    type ExecStream = exec::Requests;
    type FilesStream = files::Requests;

    async fn connect(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let connected = connect::connect(&self.relay, request).await;
        connected
            .map(Response::new)
            .map_err(|refusal| self.relay.refuse(refusal))
    }

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionUp>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let opened = session::open(&self.relay, request).await;
        opened
            .map(Response::new)
            .map_err(|refusal| self.relay.refuse(refusal))
    }

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecUp>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let opened = exec::open(&self.relay, request).await;
        opened
            .map(Response::new)
            .map_err(|refusal| self.relay.refuse(refusal))
    }

    async fn files(
        &self,
        request: Request<Streaming<v1::FilesUp>>,
    ) -> Result<Response<Self::FilesStream>, Status> {
        let opened = files::open(&self.relay, request).await;
        opened
            .map(Response::new)
            .map_err(|refusal| self.relay.refuse(refusal))
    }
}

/// The secret with which a stream is opened.
fn stream_token(metadata: &MetadataMap) -> Result<String, Refusal> {
    metadata
        .get(limits::STREAM_TOKEN_KEY)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .ok_or_else(|| {
            Refusal::denied(
                "stream-token-wrong",
                "the stream was opened without a stream token",
            )
        })
}
