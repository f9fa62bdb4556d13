//! How far transfers are, to the control plane: the newest, if it is there; nothing waits, and nothing is sent twice.
//!
//! What could not be sent is worth nothing a moment later. So there is no queue and no spool: the newest takes the
//! place of what was not sent.

use std::time::Duration;

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::relay_service_client::RelayServiceClient;
use cmdop_proto::{Refusal, v1};
use tokio::sync::watch;
use tonic::metadata::MetadataValue;

use crate::control::{Identity, TokenError, token};
use crate::transfers::Progress;

/// The control plane has this long to pass it on.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why it was not told.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the control plane did not take how far transfers are: {0}")]
    Refused(Refusal),
    #[error("the token that the control plane gave cannot be sent")]
    UnusableToken,
}

/// Tells for ever. While the control plane is away, nothing is told.
pub(crate) async fn tell(identity: Identity, mut progress: watch::Receiver<Progress>) {
    let mut backoff = Backoff::new();
    loop {
        wait(&mut progress).await;
        let Err(error) = tell_on(&identity, &mut progress, &mut backoff).await;
        // The delivery of reports says it aloud.
        tracing::debug!(%error, "how far transfers are is not told for a moment");
        tokio::time::sleep(backoff.next_wait()).await;
        // What came meanwhile is old.
        progress.mark_unchanged();
    }
}

/// Until there is something new.
async fn wait(progress: &mut watch::Receiver<Progress>) {
    if progress.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// With one token over one connection, as long as that goes.
async fn tell_on(
    identity: &Identity,
    progress: &mut watch::Receiver<Progress>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, TellError> {
    let bearer: MetadataValue<_> = format!("Bearer {}", token::fetch(identity).await?)
        .parse()
        .map_err(|_| TellError::UnusableToken)?;
    let trust = Trust::Ca(identity.ca_pem.clone());
    let channel = dial::dial(&identity.control_url, &trust, Lane::Bulk).await?;
    let mut client = RelayServiceClient::new(channel);
    loop {
        let reports = progress.borrow_and_update().clone();
        let mut request = tonic::Request::new(v1::ProgressRequest { reports });
        request.set_timeout(TIMEOUT);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", bearer.clone());
        let answer = tokio::time::timeout(TIMEOUT, client.progress(request)).await;
        answer
            .map_err(|_| Refusal::unavailable("deadline", "it did not answer in time"))
            .and_then(|answer| answer.map_err(Refusal::from))
            .map_err(TellError::Refused)?;
        backoff.reset();
        wait(progress).await;
    }
}
