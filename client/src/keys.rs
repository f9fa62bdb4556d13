//! API keys: with which programs act for an account.

use std::time::Duration;

use cmdop_proto::scope::Scopes;
use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// What keys begin with.
pub const PREFIX: &str = "cmdop_live_";

/// Whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's.
    Own,
    /// Those of all members. Needs an admin.
    Everybody,
}

/// The newest first.
pub async fn list(connection: &Connection, whose: Whose) -> Result<Vec<v1::ApiKey>, Error> {
    let request = v1::ListKeysRequest {
        of_everybody: whose == Whose::Everybody,
    };
    let response = connection
        .call(
            Target::Control,
            "listing keys",
            Repeat::Harmless,
            request,
            |control, request| async move { control.keys().list(request).await },
        )
        .await?;
    Ok(response.keys)
}

/// Makes a key of the caller's. Its secret is in the answer, this once. Without a lifetime it works until
/// it is revoked.
pub async fn issue(
    connection: &Connection,
    name: &str,
    scopes: Scopes,
    lifetime: Option<Duration>,
) -> Result<v1::IssueKeyResponse, Error> {
    let request = v1::IssueKeyRequest {
        name: name.to_owned(),
        scopes: scopes.iter().map(|s| s.as_str().to_owned()).collect(),
        lifetime_ms: lifetime.map_or(0, |lifetime| lifetime.as_millis() as u64),
    };
    connection
        .call(
            Target::Control,
            "issuing the key",
            Repeat::Never,
            request,
            |control, request| async move { control.keys().issue(request).await },
        )
        .await
}

/// Ends a key: relays refuse its tokens within a second.
pub async fn revoke(connection: &Connection, key: &str) -> Result<(), Error> {
    let request = v1::RevokeKeyRequest {
        key: key.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "revoking the key",
            Repeat::Never,
            request,
            |control, request| async move { control.keys().revoke(request).await },
        )
        .await
        .map(drop)
}
