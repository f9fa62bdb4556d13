//! Following the control plane: its snapshot, then every change; kept on disk after each.

use std::time::Duration;

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::v1::relay_service_client::RelayServiceClient;
use cmdop_proto::{Refusal, v1};
use cmdop_service::data_dir::DataDir;
use cmdop_service::private_file;
use tonic::metadata::MetadataValue;
use v1::control_event::Event;

use super::{CACHE, Identity, token};
use crate::directory::Directory;

/// The control plane says something every 20 s: this long a silence means that it is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// Why the connection to the control plane ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Token(#[from] token::TokenError),
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the control plane ended the stream: {0}")]
    Ended(Refusal),
    #[error("the control plane said nothing for {} s", SILENCE.as_secs())]
    Silent,
    #[error("the token that the control plane gave cannot be sent")]
    UnusableToken,
}

/// Follows for ever, with back-off.
pub(crate) async fn follow(identity: Identity, directory: Directory, data_dir: DataDir) {
    let mut backoff = Backoff::new();
    let mut was_up = true;
    loop {
        let mut is_synced = false;
        let Err(error) = follow_once(&identity, &directory, &data_dir, &mut is_synced).await;
        if is_synced {
            backoff.reset();
        }
        // Once, not with every attempt: nothing is wrong for those who are served.
        if is_synced || was_up {
            tracing::warn!(%error, "the control plane is out of reach; serving with what it last told");
        }
        was_up = false;
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

async fn follow_once(
    identity: &Identity,
    directory: &Directory,
    data_dir: &DataDir,
    is_synced: &mut bool,
) -> Result<std::convert::Infallible, FollowError> {
    let token = token::fetch(identity).await?;
    let trust = Trust::Ca(identity.ca_pem.clone());
    let channel = dial::dial(&identity.control_url, &trust, Lane::Interactive).await?;
    let mut request = tonic::Request::new(v1::FollowRequest {
        relay_id: identity.relay_id.to_string(),
    });
    let bearer: MetadataValue<_> = format!("Bearer {token}")
        .parse()
        .map_err(|_| FollowError::UnusableToken)?;
    request.metadata_mut().insert("authorization", bearer);
    let ended = |status: tonic::Status| FollowError::Ended(status.into());
    let mut events = RelayServiceClient::new(channel)
        .follow(request)
        .await
        .map_err(ended)?
        .into_inner();
    directory.begin();
    loop {
        let message = tokio::time::timeout(SILENCE, events.message());
        let message = message
            .await
            .map_err(|_| FollowError::Silent)?
            .map_err(ended)?;
        let message = message.ok_or_else(|| {
            FollowError::Ended(Refusal::unavailable("unreachable", "it closed the stream"))
        })?;
        let Some(event) = message.event else {
            continue;
        };
        let is_end_of_snapshot = matches!(event, Event::Synced(_));
        let is_change = !matches!(event, Event::Keepalive(_));
        if let Err(refusal) = directory.apply(event) {
            tracing::error!(%refusal, "the control plane sent what this relay does not understand");
        }
        if is_end_of_snapshot && !*is_synced {
            *is_synced = true;
            tracing::info!("in step with the control plane");
        }
        if *is_synced && is_change {
            keep(directory, data_dir).await;
        }
    }
}

/// Writes what is known now to disk.
async fn keep(directory: &Directory, data_dir: &DataDir) {
    let path = data_dir.join(CACHE);
    let snapshot = directory.snapshot();
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&snapshot).expect("a snapshot is plain strings");
        private_file::write(&path, &text)
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "what the control plane told is not kept"),
        Err(error) => tracing::error!(%error, "what the control plane told is not kept"),
    }
}
