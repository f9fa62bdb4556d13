//! What clients call: sessions, runs, files, and the fleet.

mod attach;
mod create;
mod exec;
mod feed;
mod files;
mod fleet;
mod one_shot;
mod records;

use std::pin::Pin;
use std::sync::Arc;

use cmdop_proto::v1::exec_service_server::ExecService;
use cmdop_proto::v1::file_service_server::FileService;
use cmdop_proto::v1::fleet_service_server::FleetService;
use cmdop_proto::v1::session_service_server::SessionService;
use cmdop_proto::{Refusal, v1};
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::relay::Relay;

/// The four services; each call goes to the file of its name.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) relay: Arc<Relay>,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Clients {
    fn answer<T>(&self, result: Result<T, Refusal>) -> Result<Response<T>, Status> {
        result
            .map(Response::new)
            .map_err(|refusal| self.relay.refuse(refusal))
    }
}

#[tonic::async_trait]
impl SessionService for Clients {
    type WatchStream = Events<v1::SessionEvent>;
    type AttachStream = attach::Attached;

    async fn create(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        self.answer(create::create(&self.relay, request).await)
    }

    async fn list(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        self.answer(records::list(&self.relay, &request))
    }

    async fn get(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        self.answer(records::get(&self.relay, &request))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.answer(records::watch(&self.relay, &request))
    }

    async fn attach(
        &self,
        request: Request<Streaming<v1::AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.answer(attach::attach(&self.relay, request).await)
    }

    async fn rename(
        &self,
        request: Request<v1::RenameSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        self.answer(records::rename(&self.relay, &request))
    }

    async fn send(
        &self,
        request: Request<v1::SendRequest>,
    ) -> Result<Response<v1::SendResponse>, Status> {
        self.answer(one_shot::send(&self.relay, request).await)
    }

    async fn capture(
        &self,
        request: Request<v1::CaptureRequest>,
    ) -> Result<Response<v1::CaptureResponse>, Status> {
        self.answer(one_shot::capture(&self.relay, request).await)
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        self.answer(one_shot::history(&self.relay, request).await)
    }

    async fn resize(
        &self,
        request: Request<v1::ResizeRequest>,
    ) -> Result<Response<v1::ResizeResponse>, Status> {
        self.answer(one_shot::resize(&self.relay, &request))
    }

    async fn keyboard(
        &self,
        request: Request<v1::KeyboardRequest>,
    ) -> Result<Response<v1::KeyboardResponse>, Status> {
        self.answer(one_shot::keyboard(&self.relay, request))
    }

    async fn signal(
        &self,
        request: Request<v1::SignalRequest>,
    ) -> Result<Response<v1::SignalResponse>, Status> {
        self.answer(one_shot::signal(&self.relay, &request))
    }

    async fn close(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        self.answer(one_shot::close(&self.relay, request).await)
    }
}

#[tonic::async_trait]
impl ExecService for Clients {
    type RunStream = exec::Output;

    async fn run(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        self.answer(exec::run(&self.relay, request).await)
    }
}

#[tonic::async_trait]
impl FileService for Clients {
    type OpenStream = files::Answers;
    type FeedStream = feed::Feeding;

    async fn open(
        &self,
        request: Request<Streaming<v1::FileRequest>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        self.answer(files::open(&self.relay, request).await)
    }

    async fn feed(
        &self,
        request: Request<Streaming<v1::FeedUp>>,
    ) -> Result<Response<Self::FeedStream>, Status> {
        self.answer(feed::feed(&self.relay, request).await)
    }
}

#[tonic::async_trait]
impl FleetService for Clients {
    type WatchStream = Events<v1::FleetEvent>;

    async fn list(
        &self,
        request: Request<v1::ListMachinesRequest>,
    ) -> Result<Response<v1::ListMachinesResponse>, Status> {
        self.answer(fleet::list(&self.relay, &request))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchFleetRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.answer(fleet::watch(&self.relay, &request))
    }

    async fn hello(
        &self,
        request: Request<v1::HelloRequest>,
    ) -> Result<Response<v1::HelloResponse>, Status> {
        self.answer(fleet::hello(&self.relay, &request))
    }
}

/// `events` until the bearer's token is revoked or the relay leaves, then which of the two.
fn until_over<T: Send + 'static>(
    relay: &Arc<Relay>,
    events: impl Stream<Item = Result<T, Status>> + Send + 'static,
    revoked: CancellationToken,
) -> Events<T> {
    let ended = relay.ended.clone();
    let is_ended = ended.clone();
    let over = async move {
        // Both only wait.
        tokio::select! { () = revoked.cancelled() => {}, () = ended.cancelled() => {} }
    };
    let why = async move {
        let refusal = if is_ended.is_cancelled() {
            crate::relay::draining()
        } else {
            crate::directory::revoked()
        };
        Err(Status::from(refusal))
    };
    Box::pin(events.take_until(Box::pin(over)).chain(stream::once(why)))
}
