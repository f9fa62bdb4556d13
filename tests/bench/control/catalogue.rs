//! A page of a catalogue of a million sessions, over the wire: the newest, one in the middle, and those that
//! somebody looks for.

use cmdop_proto::v1::catalogue_service_client::CatalogueServiceClient;
use cmdop_proto::v1::{self, ListCatalogueRequest, ListCatalogueResponse, SessionStatus};
use cmdop_proto::{MachineId, SessionId};
use prost::Message as _;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::line;
use super::plane::{Kind, Plane};
use crate::figures::Samples;

const SESSIONS: u64 = 1_000_000;

/// The making of the first, in milliseconds since the Unix epoch; each is a second younger than the next.
const FIRST_MS: u64 = 1_700_000_000_000;

/// Pages that are turned before one in the middle is measured.
const TURNED: usize = 40;

pub(super) async fn measure(kind: Kind, rounds: usize) {
    let plane = Plane::start(kind).await;
    let begun = Instant::now();
    fill(&plane).await;
    let filled_s = begun.elapsed().as_secs();
    println!(
        "  {:<11} {SESSIONS} sessions, made in {filled_s} s",
        kind.name()
    );
    let mut reader = Reader {
        client: CatalogueServiceClient::new(plane.channel.clone()),
        plane: &plane,
    };
    let newest = ListCatalogueRequest::default();
    reader.row("the newest 100", &newest, rounds).await;
    let mut deep = ListCatalogueRequest {
        limit: 500,
        ..ListCatalogueRequest::default()
    };
    for _ in 0..TURNED {
        deep.page = reader.page(&deep).await.next_page;
    }
    deep.limit = 100;
    reader.row("100 after 20,000", &deep, rounds).await;
    let old = ListCatalogueRequest {
        until_ms: FIRST_MS + SESSIONS / 2 * 1000,
        ..ListCatalogueRequest::default()
    };
    reader
        .row("100 from the middle, by time", &old, rounds)
        .await;
    let machine = ListCatalogueRequest {
        machine: "web-42".into(),
        ..ListCatalogueRequest::default()
    };
    reader
        .row("100 of one machine in 100", &machine, rounds)
        .await;
    let live = ListCatalogueRequest {
        status: SessionStatus::Connected.into(),
        ..ListCatalogueRequest::default()
    };
    reader
        .row("the live ones, one in 1,000", &live, rounds)
        .await;
    let rare = ListCatalogueRequest {
        created_by: "grace".into(),
        ..ListCatalogueRequest::default()
    };
    reader.row("somebody's, one in 10,000", &rare, rounds).await;
    let both = ListCatalogueRequest {
        machine: "web-42".into(),
        status: SessionStatus::Connected.into(),
        ..ListCatalogueRequest::default()
    };
    reader
        .row("one machine's live ones: there are none", &both, rounds)
        .await;
    plane.stop().await;
}

struct Reader<'a> {
    client: CatalogueServiceClient<Channel>,
    plane: &'a Plane,
}

impl Reader<'_> {
    async fn page(&mut self, request: &ListCatalogueRequest) -> ListCatalogueResponse {
        let request = self.plane.request(request.clone());
        let page = self.client.list(request).await;
        page.expect("a page").into_inner()
    }

    async fn row(&mut self, what: &str, request: &ListCatalogueRequest, rounds: usize) {
        let mut samples = Samples::default();
        for _ in 0..rounds {
            let begun = Instant::now();
            let page = self.page(request).await;
            samples.push(begun.elapsed());
            let is_full = page.sessions.len() == 100;
            assert!(
                is_full || what.ends_with("none"),
                "{what}: {}",
                page.sessions.len()
            );
        }
        line(self.plane.kind, what, &samples, "20 ms");
    }
}

/// Puts a million rows in as the database itself does it fastest.
async fn fill(plane: &Plane) {
    let address = plane.address();
    let (workspace, record) = (plane.workspace, record(plane));
    let columns = "workspace_id, id, machine_id, machine_name, status, created_by, created_at_ms, \
                   ended_at_ms, changed_at_ms, record";
    let row = |id: &str, machine: &str| {
        format!(
            "'{workspace}', {id}, {machine}, 'web-' || (i % 100), \
             CASE WHEN i % 1000 = 7 THEN 2 ELSE 5 END, \
             CASE WHEN i % 10000 = 0 THEN 'grace' ELSE 'ada' END, \
             {FIRST_MS} + i * 1000, \
             CASE WHEN i % 1000 = 7 THEN NULL ELSE {FIRST_MS} + i * 1000 + 500 END, \
             {FIRST_MS} + i * 1000 + 500, '{record}'"
        )
    };
    if plane.kind == Kind::Sqlite {
        let row = row(
            "printf('%08x-0000-7000-8000-%012x', i, i)",
            "printf('%08x-0000-7000-8000-000000000000', i % 100)",
        );
        let numbers = format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {SESSIONS})"
        );
        let insert = format!("{numbers} INSERT INTO sessions ({columns}) SELECT {row} FROM n");
        let opened = sqlx::SqliteConnection::connect(&address).await;
        let mut connection = opened.expect("the database");
        for statement in ["PRAGMA synchronous = OFF", &insert, "ANALYZE"] {
            let sql = AssertSqlSafe(statement.to_owned());
            let done = sqlx::raw_sql(sql).execute(&mut connection).await;
            done.expect("rows");
        }
        connection.close().await.expect("the end");
        return;
    }
    let hex = |number: &str, width: usize| format!("lpad(to_hex({number}), {width}, '0')");
    let row = row(
        &format!("{} || '-0000-7000-8000-' || {}", hex("i", 8), hex("i", 12)),
        &format!("{} || '-0000-7000-8000-000000000000'", hex("i % 100", 8)),
    );
    let insert = format!(
        "INSERT INTO sessions ({columns}) SELECT {row} FROM generate_series(0::bigint, {SESSIONS} - 1) AS n(i)"
    );
    let opened = sqlx::PgConnection::connect(&address).await;
    let mut connection = opened.expect("the database");
    for statement in ["SET cmdop.workspace = '*'", &insert, "ANALYZE sessions"] {
        let sql = AssertSqlSafe(statement.to_owned());
        let done = sqlx::raw_sql(sql).execute(&mut connection).await;
        done.expect("rows");
    }
    connection.close().await.expect("the end");
}

/// A record as a relay reports it, in hexadecimal digits.
fn record(plane: &Plane) -> String {
    let session = v1::Session {
        id: SessionId::new().to_string(),
        workspace_id: plane.workspace.to_string(),
        machine_id: MachineId::new().to_string(),
        machine_name: "web-42.internal.example".into(),
        name: "deploy".into(),
        status: SessionStatus::Disconnected.into(),
        command: vec![
            "/bin/sh".into(),
            "-c".into(),
            "make all test install".into(),
        ],
        size: Some(v1::Size { rows: 24, cols: 80 }),
        created_at_ms: FIRST_MS,
        connected_at_ms: FIRST_MS,
        ended_at_ms: FIRST_MS + 500,
        end_offset: 123_456,
        created_by: "ada".into(),
        ..v1::Session::default()
    };
    let bytes = session.encode_to_vec();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
