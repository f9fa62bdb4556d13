//! The audit log: pages of it, the whole of it, what is added to it, and whether its chain holds.
//!
//! The chain is checked here, not by the server that keeps it: see `cmdop_proto::audit`.

use cmdop_proto::audit::{Chain, Fault, Mark};
use cmdop_proto::v1;

use crate::backoff::Backoff;
use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;
use crate::follow::is_passing;

/// The newest `limit` records that match, the oldest of them first; more than a page of the server's are
/// not answered.
pub async fn newest(
    connection: &Connection,
    filter: v1::AuditFilter,
    limit: u32,
) -> Result<v1::ListAuditResponse, Error> {
    let request = v1::ListAuditRequest {
        filter: Some(filter),
        limit,
        newest: true,
        ..v1::ListAuditRequest::default()
    };
    page(connection, request).await
}

/// The records after number `after_seq` that match, a page of them.
pub async fn after(
    connection: &Connection,
    filter: v1::AuditFilter,
    after_seq: u64,
) -> Result<v1::ListAuditResponse, Error> {
    let request = v1::ListAuditRequest {
        filter: Some(filter),
        after_seq,
        ..v1::ListAuditRequest::default()
    };
    page(connection, request).await
}

async fn page(
    connection: &Connection,
    request: v1::ListAuditRequest,
) -> Result<v1::ListAuditResponse, Error> {
    connection
        .call(
            Target::Control,
            "reading the audit log",
            Repeat::Harmless,
            request,
            |control, request| async move { control.audit().list(request).await },
        )
        .await
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Records that hold, from the first that is there.
    pub held: u64,
    /// The last of them.
    pub end: Mark,
    /// The first that does not, if any.
    pub fault: Option<Fault>,
}

/// Reads the whole chain and checks each record of it, and that the one that is expected is among them.
pub async fn verify(connection: &Connection, expected: Option<Mark>) -> Result<Verdict, Error> {
    let mut walked: Option<Chain> = None;
    loop {
        let seen = walked.as_ref().map_or(0, Chain::seq);
        let page = after(connection, v1::AuditFilter::default(), seen).await?;
        let chain = walked.get_or_insert_with(|| {
            Chain::new(page.workspace_id.as_str()).expecting(expected.clone())
        });
        let taken = page
            .records
            .iter()
            .try_for_each(|record| chain.take(record));
        // What was added since the first page was read is beyond the head of that page, and no fault.
        let is_end = !page.has_more || page.records.is_empty();
        let whole = taken.and_then(|()| {
            if is_end {
                chain.ends_at(page.head_seq, &page.head_hash)
            } else {
                Ok(())
            }
        });
        if is_end || whole.is_err() {
            return Ok(Verdict {
                held: chain.held(),
                end: chain.end(),
                fault: whole.err(),
            });
        }
    }
}

/// Records as they are written, over reconnects, each once and in order.
#[derive(Debug)]
pub struct Follow {
    connection: Connection,
    filter: v1::AuditFilter,
    seen: u64,
    stream: Option<tonic::Streaming<v1::AuditRecord>>,
    backoff: Backoff,
}

impl Follow {
    /// Those after number `after_seq`.
    pub fn new(connection: &Connection, filter: v1::AuditFilter, after_seq: u64) -> Self {
        Self {
            connection: connection.clone(),
            filter,
            seen: after_seq,
            stream: None,
            backoff: Backoff::new(),
        }
    }

    /// The next one. An error is final: not logged in, or not allowed.
    pub async fn next(&mut self) -> Result<v1::AuditRecord, Error> {
        loop {
            let told = match self.stream.as_mut() {
                None => self.open().await,
                Some(stream) => match stream.message().await {
                    Ok(Some(record)) => {
                        self.backoff.reset();
                        self.seen = record.seq;
                        return Ok(record);
                    }
                    Ok(None) => Err(Error::Lost("the control plane ended the stream".into())),
                    Err(status) => Err(Error::from(status)),
                },
            };
            if let Err(error) = told {
                self.stream = None;
                if !is_passing(&error) {
                    return Err(error);
                }
                tokio::time::sleep(self.backoff.next_wait()).await;
            }
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let request = v1::FollowAuditRequest {
            filter: Some(self.filter.clone()),
            after_seq: self.seen,
        };
        let opened = self
            .connection
            .stream_from(Target::Control, "following the audit log", |control| {
                let request = request.clone();
                async move { control.audit().follow(request).await }
            })
            .await;
        self.stream = Some(opened?.1);
        Ok(())
    }
}
