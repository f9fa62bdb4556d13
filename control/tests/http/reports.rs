//! What relays report, and who gets to see it.

#![allow(
    clippy::wildcard_imports,
    reason = "it names most messages that there are"
)]

use cmdop_proto::token::Role;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;
use cmdop_proto::v1::catalogue_service_client::CatalogueServiceClient;
use cmdop_proto::v1::relay_service_client::RelayServiceClient;
use cmdop_proto::v1::report::What;
use cmdop_proto::v1::*;
use cmdop_proto::{Refusal, SessionId};
use serde_json::Value;

use crate::relays::relay;
use crate::world::{Key, World, bearer};

fn reports(workspace: &str, id: SessionId) -> Vec<Report> {
    let session = Session {
        id: id.to_string(),
        machine_id: cmdop_proto::MachineId::new().to_string(),
        machine_name: "web-1".into(),
        status: SessionStatus::Connected.into(),
        created_at_ms: 1_800_000_000_000,
        created_by: "ada".into(),
        ..Session::default()
    };
    let event = ReportedEvent {
        action: "session-attached".into(),
        actor: Some(AuditActor {
            kind: "account".into(),
            id: "a".into(),
            name: "ada".into(),
        }),
        target: id.to_string(),
        outcome: "allowed".into(),
        detail: [("mode".to_owned(), "operator".to_owned())].into(),
    };
    [What::Session(session), What::Event(event)]
        .into_iter()
        .enumerate()
        .map(|(n, what)| Report {
            key: format!("{id}-{n}"),
            workspace_id: workspace.into(),
            at_ms: 1_800_000_000_000,
            what: Some(what),
        })
        .collect()
}

/// Tells the control plane, as a relay does.
pub async fn report(world: &World, token: &Value, reports: Vec<Report>) -> Result<(), Refusal> {
    let mut client = RelayServiceClient::new(world.channel().await);
    let answer = client
        .report(bearer(ReportRequest { reports }, token))
        .await;
    answer.map(drop).map_err(Refusal::from)
}

#[tokio::test]
async fn a_report_is_kept_once_and_seen_in_its_own_workspace() {
    let world = World::start().await;
    let owner = world.owner().await;
    world.admin().await.create_workspace("other").await.unwrap();
    let stranger = world.person("eve", "other", Role::Owner).await;
    let me = world.who_am_i(&owner["access_token"]).await.unwrap();
    let (token, relay_id) = relay(&world, &Key::new()).await;
    let id = SessionId::new();
    for _ in 0..2 {
        report(&world, &token, reports(&me.workspace_id, id))
            .await
            .unwrap();
    }
    let mut catalogue = CatalogueServiceClient::new(world.channel().await);
    let list = bearer(ListCatalogueRequest::default(), &owner["access_token"]);
    let listed = catalogue.list(list).await.unwrap().into_inner();
    assert_eq!(listed.sessions.len(), 1);
    let get = GetCatalogueRequest {
        session_id: id.to_string(),
    };
    let one = catalogue
        .get(bearer(get.clone(), &owner["access_token"]))
        .await;
    let one = one.unwrap().into_inner();
    assert_eq!(one.history.len(), 1);
    assert_eq!(one.history[0].relay_id, relay_id);
    let refused = catalogue.get(bearer(get, &stranger["access_token"])).await;
    assert_eq!(
        Refusal::from(refused.unwrap_err()).reason,
        "session-unknown"
    );
    let mut audit = AuditServiceClient::new(world.channel().await);
    let request = ListAuditRequest {
        filter: Some(AuditFilter {
            action: "session-attached".into(),
            ..AuditFilter::default()
        }),
        ..ListAuditRequest::default()
    };
    let told = audit.list(bearer(request, &owner["access_token"])).await;
    let told = told.unwrap().into_inner().records;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].source, relay_id);
    assert_eq!(told[0].detail["mode"], "operator");
    world.stop().await;
}

#[tokio::test]
async fn only_relays_report_and_not_more_than_fits() {
    let world = World::start().await;
    let owner = world.owner().await;
    let refused = report(&world, &owner["access_token"], Vec::new()).await;
    assert_eq!(refused.unwrap_err().reason, "wrong-bearer");
    let (token, _) = relay(&world, &Key::new()).await;
    let many = vec![Report::default(); 501];
    assert_eq!(
        report(&world, &token, many).await.unwrap_err().reason,
        "bad-request"
    );
    let nowhere = reports("not an id", SessionId::new());
    report(&world, &token, nowhere).await.unwrap();
    world.stop().await;
}
