//! The audit log as its readers get it: what is in it, in order, whole, and while it grows.

use std::time::Duration;

use cmdop_proto::audit::Chain;
use cmdop_proto::token::Role;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;
use cmdop_proto::v1::{
    AuditFilter, AuditRecord, FollowAuditRequest, ListAuditRequest, ListAuditResponse,
};
use serde_json::Value;

use crate::world::{Key, World, bearer, text};

async fn read(world: &World, by: &Value, request: ListAuditRequest) -> ListAuditResponse {
    let mut audit = AuditServiceClient::new(world.channel().await);
    let answer = audit.list(bearer(request, &by["access_token"])).await;
    answer.unwrap().into_inner()
}

pub async fn all(world: &World, by: &Value) -> ListAuditResponse {
    read(world, by, ListAuditRequest::default()).await
}

pub fn told(record: &AuditRecord) -> String {
    let actor = record.actor.as_ref().unwrap();
    format!("{} {} {}", actor.kind, record.action, record.outcome)
}

#[tokio::test]
async fn every_decision_is_told_with_who_made_it() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Guest).await;
    world.machine("web-1", &Key::new()).await;
    let key = world.key(&owner, &["exec"], Duration::ZERO).await;
    world.exchange(&key.secret, None).await.unwrap();
    let mut audit = AuditServiceClient::new(world.channel().await);
    let nosy = bearer(ListAuditRequest::default(), &ada["access_token"]);
    assert!(audit.list(nosy).await.is_err());
    let revoked = [("token", text(&ada["refresh_token"]))];
    world.post("/oauth/revoke", &revoked).await;
    let page = all(&world, &owner).await;
    let lines: Vec<String> = page.records.iter().map(told).collect();
    for expected in [
        "control workspace-created allowed",
        "admin member-added allowed",
        "admin login-secret-made allowed",
        "account login allowed",
        "admin machine-token-made allowed",
        "machine machine-enrolled allowed",
        "account key-issued allowed",
        "key key-first-used allowed",
        "account denied denied",
        "account login-ended allowed",
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected}: {lines:#?}"
        );
    }
    let mut chain = Chain::new(page.workspace_id.as_str());
    page.records
        .iter()
        .for_each(|record| chain.take(record).unwrap());
    chain.ends_at(page.head_seq, &page.head_hash).unwrap();
    // No secret is in it.
    let everything = format!("{:?}", page.records);
    for secret in [&key.secret[..], text(&ada["refresh_token"]), "cmdop_login_"] {
        assert!(!everything.contains(secret));
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_worth_nothing_any_more_is_told_of_when_somebody_shows_it() {
    let world = World::start().await;
    let secret = std::fs::read_to_string(&world.running.owner_login).unwrap();
    let owner = world.local_secret(&secret).await.unwrap();
    assert!(world.local_secret(&secret).await.is_err());
    let key = world.key(&owner, &["exec"], Duration::ZERO).await;
    world.post("/oauth/revoke", &[("token", &key.secret)]).await;
    assert!(world.exchange(&key.secret, None).await.is_err());
    let admin = world.admin().await;
    let hour = Duration::from_secs(3600);
    let token = admin.enroll_token("default", hour, []).await.unwrap();
    let join = |name| {
        let (token, key) = (token.expose(), Key::new());
        let world = &world;
        async move { world.enroll(token, name, &key).await }
    };
    join("web-1").await.unwrap();
    assert!(join("web-2").await.is_err());
    let page = all(&world, &owner).await;
    let refused = page
        .records
        .iter()
        .filter(|record| record.action == "credential-refused");
    let refused: Vec<_> = refused
        .map(|record| format!("{} {}", record.outcome, record.detail["reason"]))
        .collect();
    assert_eq!(
        refused,
        [
            "failed login-secret-used",
            "failed key-revoked",
            "failed enroll-token-used"
        ]
    );
    for secret in [secret.trim(), &key.secret, token.expose()] {
        assert!(!format!("{:?}", page.records).contains(secret));
    }
    admin.close().await;
    world.stop().await;
}

#[tokio::test]
async fn a_follower_gets_each_record_once_and_what_another_process_writes_too() {
    let world = World::start().await;
    let owner = world.owner().await;
    let head = all(&world, &owner).await.head_seq;
    let mut audit = AuditServiceClient::new(world.channel().await);
    let request = FollowAuditRequest {
        after_seq: head,
        filter: Some(AuditFilter {
            action: "member-added".into(),
            ..AuditFilter::default()
        }),
    };
    let request = bearer(request, &owner["access_token"]);
    let mut stream = audit.follow(request).await.unwrap().into_inner();
    for name in ["ada", "grace", "mary"] {
        // `admin` has a database handle of its own, as in another process.
        let admin = world.admin().await;
        admin
            .create_account(name, "default", Role::Guest, None)
            .await
            .unwrap();
        let record = tokio::time::timeout(Duration::from_secs(10), stream.message());
        let record = record.await.unwrap().unwrap().unwrap();
        assert_eq!(record.target, name);
    }
    drop(stream);
    world.stop().await;
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let world = World::start().await;
    let owner = world.owner().await;
    for n in 0..12 {
        let admin = world.admin().await;
        admin
            .create_account(&format!("a{n}"), "default", Role::Guest, None)
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    loop {
        let request = ListAuditRequest {
            after_seq: seen.last().copied().unwrap_or(0),
            limit: 5,
            ..ListAuditRequest::default()
        };
        let page = read(&world, &owner, request).await;
        seen.extend(page.records.iter().map(|record| record.seq));
        if !page.has_more {
            assert_eq!(seen, (1..=page.head_seq).collect::<Vec<_>>());
            break;
        }
    }
    let newest = ListAuditRequest {
        limit: 2,
        newest: true,
        ..ListAuditRequest::default()
    };
    let newest = read(&world, &owner, newest).await;
    let numbers: Vec<_> = newest.records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, [newest.head_seq - 1, newest.head_seq]);
    world.stop().await;
}
