//! A stream to this machine's files: opened to the relay for one client, served on a thread of its own.
//!
//! What is done with the files is the business of `cmdop_files`; here is only how it is reached, and
//! which directories a role may reach.

mod places;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cmdop_files::{Roots, Service};
use cmdop_proto::file_change::Trail;
use cmdop_proto::v1::files_up::Message as Up;
use cmdop_proto::{Refusal, limits, text, v1};
use cmdop_service::audit::{self, Actor};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::lane::{BulkLane, Lease};
use crate::relay_call;
use crate::token::Tokens;
use crate::user::User;
pub(crate) use places::Reaches;
pub use places::{Place, Places};

/// Once for an expired token, once for a connection that died while nobody used it.
const ATTEMPTS: u32 = 3;

/// One stream to open.
pub(crate) struct Job {
    /// The control message that asked for it.
    pub(crate) command_id: u64,
    pub(crate) start: v1::StartFiles,
    pub(crate) lane: BulkLane,
    pub(crate) tokens: Tokens,
    pub(crate) user: Arc<User>,
    /// This machine's, for the record of changes.
    pub(crate) hostname: String,
    pub(crate) reaches: Arc<Reaches>,
    /// Back to the link that asked.
    pub(crate) link: mpsc::Sender<v1::AgentMessage>,
    /// The agent is stopping.
    pub(crate) stop: CancellationToken,
}

/// Serves one client's stream to its end.
pub(crate) async fn run(job: Job) {
    if let Err(refusal) = serve(&job).await {
        tracing::info!(reason = refusal.reason, "no stream to the files: {refusal}");
        let failed = crate::exec::failure(job.command_id, &refusal);
        let message = v1::agent_message::Message::Failed(failed);
        // The link is gone: then the relay knows that all it asked for has failed.
        let _ = job
            .link
            .send(v1::AgentMessage {
                message: Some(message),
            })
            .await;
    }
}

async fn serve(job: &Job) -> Result<(), Refusal> {
    // What is not said is not allowed.
    let access = match job.start.access() {
        v1::FileAccess::Write => v1::FileAccess::Write,
        _ => v1::FileAccess::Read,
    };
    let (up, mut down) = open(job).await?;
    let (asked, requests) = mpsc::channel(cmdop_files::QUEUE);
    let (answers, mut answered) = mpsc::channel(cmdop_files::QUEUE);
    let (user, reach) = (job.user.clone(), job.reaches.of(&job.start.role));
    let make = move || {
        let roots = Roots::open(&user.home, &reach.scope).with_quota(reach.quota);
        Service::new(roots, access)
    };
    cmdop_files::serve(make, requests, answers).map_err(|error| {
        let message = format!("no thread for the files can be started: {error}");
        Refusal::unavailable("machine-busy", message).hint("try again later")
    })?;
    let changes = Changes::of(job);
    let asking = async {
        while let Ok(Some(message)) = down.message().await {
            let Some(request) = message.request else {
                continue;
            };
            if let Err(refusal) = changes.asked(&request) {
                tracing::info!(reason = refusal.reason, "no further request: {refusal}");
                break;
            }
            if asked.send(request).await.is_err() {
                break;
            }
        }
        drop(asked);
        // The rest of the answers is still wanted; the stream ends with them.
        down
    };
    let answering = async {
        // Both only wait. A caller that left ends what is under way: the thread sees that nobody listens.
        while let Some(response) = tokio::select! {
            response = answered.recv() => response,
            () = up.closed() => None,
        } {
            changes.answered(&response);
            let message = Some(Up::Response(response));
            if up.send(v1::FilesUp { message }).await.is_err() {
                break;
            }
        }
        drop(answered);
        drop(up);
    };
    // Either may be dropped: the thread ends when nobody asks or nobody listens.
    tokio::select! {
        (down, ()) = async { tokio::join!(asking, answering) } => goodbye(down).await,
        () = job.stop.cancelled() => {}
    }
    Ok(())
}

/// The record of what one stream changes; what was not answered is told when it is dropped.
struct Changes {
    actor: Actor,
    trail: Mutex<Trail>,
}

impl Changes {
    fn of(job: &Job) -> Self {
        let shown = |text: &str| text::shown(text, limits::MAX_NAME);
        Self {
            actor: Actor {
                account_id: shown(&job.start.account_id),
                account: shown(&job.start.account),
                machine: job.hostname.clone(),
                stream: shown(&job.start.stream_id),
            },
            trail: Mutex::default(),
        }
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, request: &v1::FileRequest) -> Result<(), Refusal> {
        self.trail().asked(request)
    }

    fn answered(&self, response: &v1::FileResponse) {
        let known = self.trail().answered(response);
        for record in known {
            audit::file_changed(&self.actor, &record);
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let left = self.trail().ended();
        for record in left {
            audit::file_changed(&self.actor, &record);
        }
    }
}

/// A stream that is dropped before the relay has ended its side is cut off with what is under way.
async fn goodbye(mut down: Streaming<v1::FilesDown>) {
    while let Ok(Some(_)) = down.message().await {}
}

type Opened = (mpsc::Sender<v1::FilesUp>, Streaming<v1::FilesDown>);

async fn open(job: &Job) -> Result<Opened, Refusal> {
    let mut broken: Option<Lease> = None;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let token = job.tokens.current();
        let lease = job.lane.lease(broken.as_ref()).await?;
        let (up, body) = mpsc::channel(cmdop_files::QUEUE);
        let hello = Up::Hello(v1::FilesHello {
            stream_id: job.start.stream_id.clone(),
        });
        // The channel is new, so it has room.
        let _ = up.try_send(v1::FilesUp {
            message: Some(hello),
        });
        let body = ReceiverStream::new(body);
        let request = relay_call::stream_request(body, &job.tokens, &job.start.stream_token)?;
        let status = match relay_call::client(lease.channel.clone())
            .files(request)
            .await
        {
            Ok(response) => return Ok((up, response.into_inner())),
            Err(status) => status,
        };
        if attempt == ATTEMPTS {
            return Err(Refusal::from(status));
        }
        if relay_call::is_expired(&status) {
            job.tokens.renewed_after(token).await;
        } else if is_transport(&status) {
            broken = Some(lease);
        } else {
            return Err(Refusal::from(status));
        }
    }
}

/// The relay itself names its reasons; what has none comes from the connection.
fn is_transport(status: &Status) -> bool {
    Refusal::from(status).reason.is_empty()
}
