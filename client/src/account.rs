//! Who the bearer of a profile's tokens is, as the control plane knows it.

use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// The account, its workspace and role, and where its relays listen.
pub async fn whoami(connection: &Connection) -> Result<v1::WhoAmIResponse, Error> {
    connection
        .call(
            Target::Control,
            "asking the control plane",
            Repeat::Harmless,
            v1::WhoAmIRequest {},
            |control, request| async move { control.account().who_am_i(request).await },
        )
        .await
}
