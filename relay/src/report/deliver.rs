//! From the spool to the control plane, whenever it is there: in order, at least once. What is refused is
//! tried again and nothing overtakes it; the control plane keeps each report once, by its key.

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::relay_service_client::RelayServiceClient;
use cmdop_proto::{Refusal, v1};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

use super::spool::{Batch, Spool};
use crate::control::{Identity, TokenError, token};

/// The control plane has this long to keep one delivery.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a delivery did not arrive.
#[derive(Debug, thiserror::Error)]
enum DeliverError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the control plane did not take the reports: {0}")]
    Refused(Refusal),
    #[error("the token that the control plane gave cannot be sent")]
    UnusableToken,
    #[error("the spool cannot be read: {0}")]
    Spool(#[from] std::io::Error),
}

/// Delivers for ever, with back-off.
pub(crate) async fn deliver(identity: Identity, spool: Spool) {
    let mut backoff = Backoff::new();
    let mut is_told = false;
    loop {
        spool.has_some().await;
        let mut delivered = 0;
        let Err(error) = deliver_on(&identity, &spool, &mut delivered).await;
        if delivered > 0 {
            backoff.reset();
            is_told = false;
        }
        let is_expected = matches!(&error, DeliverError::Refused(refusal)
            if refusal.reason == "token-expired");
        // Once, not with every attempt: nothing is lost, it waits on the disk.
        if !is_told && !is_expected {
            tracing::warn!(%error, "reports wait on the disk until the control plane takes them");
            is_told = true;
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// With one token over one connection, as long as that goes.
async fn deliver_on(
    identity: &Identity,
    spool: &Spool,
    delivered: &mut usize,
) -> Result<std::convert::Infallible, DeliverError> {
    let bearer: MetadataValue<_> = format!("Bearer {}", token::fetch(identity).await?)
        .parse()
        .map_err(|_| DeliverError::UnusableToken)?;
    let trust = Trust::Ca(identity.ca_pem.clone());
    let channel = dial::dial(&identity.control_url, &trust, Lane::Bulk).await?;
    let mut client = RelayServiceClient::new(channel);
    loop {
        let Some(batch) = on_disk(spool, Spool::next).await? else {
            spool.has_some().await;
            continue;
        };
        send(&mut client, &bearer, &batch).await?;
        *delivered += batch.reports.len();
        on_disk(spool, move |spool| spool.delivered(&batch)).await?;
    }
}

async fn send(
    client: &mut RelayServiceClient<Channel>,
    bearer: &MetadataValue<tonic::metadata::Ascii>,
    batch: &Batch,
) -> Result<(), DeliverError> {
    let mut request = tonic::Request::new(v1::ReportRequest {
        reports: batch.reports.clone(),
    });
    request.set_timeout(TIMEOUT);
    request
        .metadata_mut()
        .insert("authorization", bearer.clone());
    let answer = client.report(request).await;
    answer
        .map(drop)
        .map_err(|status| DeliverError::Refused(status.into()))
}

async fn on_disk<R: Send + 'static>(
    spool: &Spool,
    work: impl FnOnce(&Spool) -> std::io::Result<R> + Send + 'static,
) -> std::io::Result<R> {
    let spool = spool.clone();
    let done = tokio::task::spawn_blocking(move || work(&spool)).await;
    done.map_err(std::io::Error::other)?
}
