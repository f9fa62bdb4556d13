//! Sessions: one-shot calls to the relay. The live stream of one is `attach`.
//!
//! A session is named by its id, a unique prefix of it (4 characters and more), or its name.

use cmdop_proto::{ClientId, Size, v1};

use crate::connection::{Connection, Repeat, Target};
use crate::dial::Lane;
use crate::error::Error;
use crate::follow::{Change, Feed, Follow};

/// Pages of one list: far more than a workspace has, and an end to a relay that names ever more.
const MAX_PAGES: usize = 100;

const RELAY: Target = Target::Relay(Lane::Interactive);

/// Starts a session. Give the request a `request_id` (a UUID): the same one again returns the same session.
pub async fn create(
    connection: &Connection,
    request: v1::CreateSessionRequest,
) -> Result<v1::Session, Error> {
    connection
        .call(
            RELAY,
            "starting the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().create(request).await },
        )
        .await
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty, or a machine's name or id.
    pub machine: String,
    /// Also those that have ended.
    pub include_ended: bool,
}

/// The sessions of the workspace, in no order. Many come in pages, so that one may change meanwhile.
pub async fn list(connection: &Connection, filter: &Filter) -> Result<Vec<v1::Session>, Error> {
    let mut sessions = Vec::new();
    let mut page = String::new();
    for _ in 0..MAX_PAGES {
        let request = v1::ListSessionsRequest {
            machine: filter.machine.clone(),
            include_ended: filter.include_ended,
            page,
        };
        let response = connection
            .call(
                RELAY,
                "listing sessions",
                Repeat::Harmless,
                request,
                |relay, request| async move { relay.sessions().list(request).await },
            )
            .await?;
        sessions.extend(response.sessions);
        page = response.next_page;
        if page.is_empty() {
            return Ok(sessions);
        }
    }
    Err(Error::Protocol("the list of sessions has no end".into()))
}

/// One session's record.
pub async fn get(connection: &Connection, session: &str) -> Result<v1::Session, Error> {
    let request = v1::GetSessionRequest {
        session: session.to_owned(),
    };
    connection
        .call(
            RELAY,
            "looking up the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().get(request).await },
        )
        .await
}

/// Gives it another name; an empty one takes its name away.
pub async fn rename(
    connection: &Connection,
    session: &str,
    name: &str,
) -> Result<v1::Session, Error> {
    let request = v1::RenameSessionRequest {
        session: session.to_owned(),
        name: name.to_owned(),
    };
    connection
        .call(
            RELAY,
            "renaming the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().rename(request).await },
        )
        .await
}

/// Types into a session; returns once the agent has written it to the PTY. At most 64 KiB a call;
/// `input_seq` counts the calls of one `client_id` from 1.
pub async fn send(
    connection: &Connection,
    session: &str,
    client_id: ClientId,
    input_seq: u64,
    data: bytes::Bytes,
) -> Result<v1::SendResponse, Error> {
    let request = v1::SendRequest {
        session: session.to_owned(),
        data,
        client_id: client_id.to_string(),
        input_seq,
    };
    connection
        .call(
            RELAY,
            "typing into the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().send(request).await },
        )
        .await
}

/// What the screen shows. `scrollback_lines` above it, at most 10000; `ansi` keeps the colours.
pub async fn capture(
    connection: &Connection,
    request: v1::CaptureRequest,
) -> Result<v1::CaptureResponse, Error> {
    connection
        .call(
            RELAY,
            "capturing the screen",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().capture(request).await },
        )
        .await
}

/// A page of the lines that left the screen, as the agent sent it; [`crate::history::Pager`] says which to
/// ask for, and takes the answers.
pub async fn history(
    connection: &Connection,
    request: v1::HistoryRequest,
) -> Result<v1::HistoryResponse, Error> {
    connection
        .call(
            RELAY,
            "reading the session's history",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().history(request).await },
        )
        .await
}

/// Sets the size of its terminal, whose terminal decides it, or both.
pub async fn resize(
    connection: &Connection,
    session: &str,
    size: Option<Size>,
    policy: Option<v1::SizePolicy>,
) -> Result<(), Error> {
    let request = v1::ResizeRequest {
        session: session.to_owned(),
        size: size.map(Into::into),
        policy: policy.unwrap_or_default().into(),
    };
    connection
        .call(
            RELAY,
            "resizing the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().resize(request).await },
        )
        .await
        .map(drop)
}

/// Who is attached and who may type; a `change` in the request is made first.
pub async fn keyboard(
    connection: &Connection,
    request: v1::KeyboardRequest,
) -> Result<v1::KeyboardResponse, Error> {
    connection
        .call(
            RELAY,
            "asking for the keyboard",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().keyboard(request).await },
        )
        .await
}

/// Signals the session's foreground process group.
pub async fn signal(connection: &Connection, session: &str, signal: u32) -> Result<(), Error> {
    let request = v1::SignalRequest {
        session: session.to_owned(),
        signal,
    };
    connection
        .call(
            RELAY,
            "signalling the session",
            Repeat::Never,
            request,
            |relay, request| async move { relay.sessions().signal(request).await },
        )
        .await
        .map(drop)
}

/// Ends a session: HUP to its processes, KILL after 5 s.
pub async fn close(connection: &Connection, session: &str) -> Result<v1::Session, Error> {
    let request = v1::CloseSessionRequest {
        session: session.to_owned(),
    };
    connection
        .call(
            RELAY,
            "closing the session",
            Repeat::Harmless,
            request,
            |relay, request| async move { relay.sessions().close(request).await },
        )
        .await
}

/// All sessions, then each change as it happens; reconnects by itself.
pub fn watch(connection: &Connection) -> Follow<v1::Session> {
    Follow::start::<SessionFeed>(connection.clone())
}

struct SessionFeed;

impl Feed for SessionFeed {
    type Item = v1::Session;
    type Event = v1::SessionEvent;

    async fn open(
        connection: &Connection,
    ) -> Result<(crate::Relay, tonic::Streaming<v1::SessionEvent>), Error> {
        connection
            .stream(Lane::Interactive, "watching sessions", |relay| async move {
                relay.sessions().watch(v1::WatchSessionsRequest {}).await
            })
            .await
    }

    fn read(event: v1::SessionEvent) -> Vec<Change<v1::Session>> {
        match event.event {
            Some(v1::session_event::Event::Changed(session)) => vec![Change::Changed(session)],
            Some(v1::session_event::Event::Synced(_)) => vec![Change::Synced],
            None => Vec::new(),
        }
    }
}
