//! What a control plane counts, as Prometheus reads it.

use cmdop_control::Clock;
use cmdop_proto::token::Role;
use cmdop_proto::v1::ListAuditRequest;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;

use crate::database::Database;
use crate::world::{Key, World, bearer};

async fn metrics(world: &World) -> String {
    let address = world.running.metrics_address.unwrap();
    let url = format!("http://{address}/metrics");
    let answer = world.http.get(url).send().await;
    answer.unwrap().text().await.unwrap()
}

/// The value of a line; 0 where it is not there yet.
fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn logins_tokens_refusals_and_the_databases_time_are_counted() {
    let (data, database) = (tempfile::tempdir().unwrap(), Database::new());
    let world = World::start_with(data, database, Clock::default(), |config| {
        config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    });
    let world = world.await;
    let before = metrics(&world).await;
    let grace = world.person("grace", "default", Role::Guest).await;
    let key = Key::new();
    let machine = world.machine("web-1", &key).await;
    world.assert(&key, &machine, 0).await.unwrap();
    world.local_secret("cmdop_login_wrong").await.unwrap_err();
    let mut audit = AuditServiceClient::new(world.channel().await);
    let nosy = bearer(ListAuditRequest::default(), &grace["access_token"]);
    audit.list(nosy).await.unwrap_err();
    let after = metrics(&world).await;
    let grown = |name: &str| value(&after, name) - value(&before, name);
    for (name, least) in [
        ("cmdop_control_logins_total{outcome=\"allowed\"}", 1),
        ("cmdop_control_tokens_issued_total{bearer=\"account\"}", 1),
        ("cmdop_control_tokens_issued_total{bearer=\"machine\"}", 1),
        ("cmdop_control_audit_records_total{outcome=\"denied\"}", 1),
        ("cmdop_control_refusals_total", 2),
        ("cmdop_control_requests_total", 5),
        ("cmdop_control_store_seconds_count{transaction=\"read\"}", 3),
        (
            "cmdop_control_store_seconds_count{transaction=\"write\"}",
            3,
        ),
    ] {
        assert!(grown(name) >= least, "{name}: {} < {least}", grown(name));
    }
    // No secret, no name, and nothing of it on the port that everybody reaches.
    assert!(!after.contains("grace") && !after.contains("cmdop_login_"));
    assert_eq!(
        world.get("/metrics").await.status(),
        http::StatusCode::NOT_FOUND
    );
    world.stop().await;
}
