//! The catalogue: every session that there was, for as long as the control plane keeps its record, and the steps of
//! its life. What lives is seen at the relay at once (`sessions`); here a moment later.

use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// Sessions that are asked for at once.
const PAGE: u32 = 500;

/// Which sessions: all that is given must match.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A machine's name or id; empty: any.
    pub machine: String,
    /// Only those in this state; unspecified: any.
    pub status: v1::SessionStatus,
    /// Who asked for them, an account's name; empty: anybody.
    pub created_by: String,
    /// Made from then on, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Made before; 0: no end.
    pub until_ms: u64,
}

/// Sessions, and whether there are more.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The newest first, by their making.
    pub sessions: Vec<v1::Session>,
    /// More match than were asked for.
    pub has_more: bool,
}

/// The newest `limit` sessions that match, a page after the other.
pub async fn list(connection: &Connection, filter: &Filter, limit: usize) -> Result<Found, Error> {
    let mut found = Found::default();
    let mut page = String::new();
    loop {
        let missing = limit.saturating_sub(found.sessions.len());
        let request = v1::ListCatalogueRequest {
            machine: filter.machine.clone(),
            status: filter.status.into(),
            created_by: filter.created_by.clone(),
            since_ms: filter.since_ms,
            until_ms: filter.until_ms,
            limit: PAGE.min(u32::try_from(missing).unwrap_or(PAGE)),
            page,
        };
        let answer = connection
            .call(
                Target::Control,
                "reading the catalogue of sessions",
                Repeat::Harmless,
                request,
                |control, request| async move { control.catalogue().list(request).await },
            )
            .await?;
        // An answer without a session that names a next page would have no end.
        let is_empty = answer.sessions.is_empty();
        found.sessions.extend(answer.sessions);
        page = answer.next_page;
        found.has_more = !page.is_empty();
        if !found.has_more || is_empty || found.sessions.len() >= limit {
            found.sessions.truncate(limit);
            return Ok(found);
        }
    }
}

/// One session, by its whole id, with the steps of its life.
pub async fn get(connection: &Connection, id: &str) -> Result<v1::GetCatalogueResponse, Error> {
    let request = v1::GetCatalogueRequest {
        session_id: id.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "looking the session up in the catalogue",
            Repeat::Harmless,
            request,
            |control, request| async move { control.catalogue().get(request).await },
        )
        .await
}
