//! Machines: joining, proving who they are, being changed and removed.

use std::time::Duration;

use cmdop_control::lifetimes;
use cmdop_proto::Refusal;
use cmdop_proto::token::Role;
use cmdop_proto::v1::account_service_client::AccountServiceClient;
use cmdop_proto::v1::machine_service_client::MachineServiceClient;
use cmdop_proto::v1::session_service_client::SessionServiceClient;
use cmdop_proto::v1::{
    CreateEnrollTokenRequest, ListEnrolledRequest, ListSessionsRequest, RemoveMachineRequest,
    RenameMachineRequest, WhoAmIRequest,
};
use tonic::Code;

use crate::world::{Key, World, bearer};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_machine_joins_once_and_proves_itself_with_its_key() {
    let world = World::start().await;
    let admin = world.admin().await;
    let labels = [("site".to_owned(), "lab".to_owned())];
    let token = admin.enroll_token("default", HOUR, labels).await.unwrap();
    let key = Key::new();
    let joined = world.enroll(token.expose(), "Web-1", &key).await.unwrap();
    assert_eq!(joined.ca_pem, world.running.ca_pem);
    let again = world.enroll(token.expose(), "Web-1", &key).await.unwrap();
    assert_eq!(
        again.machine_id, joined.machine_id,
        "a lost answer is given again"
    );
    let used = world
        .enroll(token.expose(), "web-2", &Key::new())
        .await
        .unwrap_err();
    assert_eq!(used.reason, "enroll-token-used");

    let second = admin.enroll_token("default", HOUR, []).await.unwrap();
    let taken = world
        .enroll(second.expose(), "web-1", &Key::new())
        .await
        .unwrap_err();
    assert_eq!(taken.reason, "machine-name-taken");
    assert!(taken.hint.contains("--hostname"), "{taken:?}");
    world
        .enroll(second.expose(), "web-2", &Key::new())
        .await
        .expect("a refusal uses nothing up");

    let granted = world.assert(&key, &joined.machine_id, 0).await.unwrap();
    assert!(granted.get("refresh_token").is_none());
    assert_eq!(granted["expires_in"], lifetimes::MACHINE_TOKEN.as_secs());
    let wrong = world.who_am_i(&granted["access_token"]).await.unwrap_err();
    assert_eq!(wrong.reason, "wrong-bearer");
    let forged = world
        .assert(&Key::new(), &joined.machine_id, 0)
        .await
        .unwrap_err();
    assert_eq!(forged.reason, "token-bad-signature");
    let machines = admin.machines(None).await.unwrap();
    assert_eq!(machines[0].machine.labels["site"], "lab");
    world.stop().await;
}

#[tokio::test]
async fn enrolment_tokens_that_are_over_or_foreign_are_refused_by_name() {
    let (world, other) = tokio::join!(World::start(), World::start());
    let admin = world.admin().await;
    let late = admin.enroll_token("default", HOUR, []).await.unwrap();
    world.clock.advance(HOUR);
    let refused = world
        .enroll(late.expose(), "web-1", &Key::new())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "enroll-token-expired");
    let foreign = other
        .admin()
        .await
        .enroll_token("default", HOUR, [])
        .await
        .unwrap();
    let refused = world
        .enroll(foreign.expose(), "web-1", &Key::new())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "enroll-token-invalid");
    assert!(
        refused.message.contains("another control plane"),
        "{refused}"
    );
    let fake = format!(
        "cmdop_enroll_{}_{}",
        "0".repeat(64),
        world.running.ca_fingerprint
    );
    let refused = world.enroll(&fake, "web-1", &Key::new()).await.unwrap_err();
    assert_eq!(refused.reason, "enroll-token-invalid");
    let good = admin.enroll_token("default", HOUR, []).await.unwrap();
    for name in ["", "a b", "\u{1b}[2J", "-x"] {
        let refused = world
            .enroll(good.expose(), name, &Key::new())
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "bad-request", "{name:?}");
    }
    world.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much_and_an_assertion_works_once() {
    let world = World::start().await;
    let key = Key::new();
    let machine = world.machine("web-1", &key).await;
    let off = world.assert(&key, &machine, 120).await.unwrap_err();
    assert_eq!(off.reason, "clock-skew");
    assert!(
        off.error_description.contains("web-1 is 120 s ahead of"),
        "{off:?}"
    );
    let behind = world.assert(&key, &machine, -90).await.unwrap_err();
    let said = &behind.error_description;
    assert!(
        said.contains("90 s behind") || said.contains("91 s behind"),
        "{behind:?}"
    );
    let assertion = world.assertion(&key, &machine, 0, &world.running.url);
    world.present(&assertion).await.unwrap();
    assert!(
        world
            .present(&assertion)
            .await
            .unwrap_err()
            .error_description
            .contains("before")
    );
    let elsewhere = world.assertion(&key, &machine, 0, "https://evil.example");
    assert_eq!(
        world.present(&elsewhere).await.unwrap_err().reason,
        "token-wrong-audience"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_removed_machine_is_refused_and_its_name_is_free() {
    let world = World::start().await;
    let key = Key::new();
    let machine = world.machine("web-1", &key).await;
    let owner = world.owner().await;
    let mut machines = MachineServiceClient::new(world.channel().await);
    let remove = RemoveMachineRequest {
        machine: "web-1".into(),
    };
    machines
        .remove(bearer(remove.clone(), &owner["access_token"]))
        .await
        .unwrap();
    let gone = machines
        .remove(bearer(remove, &owner["access_token"]))
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(gone).reason, "machine-unknown");
    assert_eq!(
        world.assert(&key, &machine, 0).await.unwrap_err().reason,
        "machine-unknown"
    );
    world.machine("web-1", &Key::new()).await;
    world.stop().await;
}

#[tokio::test]
async fn members_may_look_and_only_admins_may_change() {
    let world = World::start().await;
    world.machine("web-1", &Key::new()).await;
    world.machine("web-2", &Key::new()).await;
    let admin = world.admin().await;
    admin
        .create_account("guest", "default", Role::Guest, None)
        .await
        .unwrap();
    let secret = admin.login_secret("guest", HOUR).await.unwrap();
    let guest = world.local_secret(secret.expose()).await.unwrap();
    let mut machines = MachineServiceClient::new(world.channel().await);
    let list = bearer(ListEnrolledRequest {}, &guest["access_token"]);
    assert_eq!(
        machines
            .list(list)
            .await
            .unwrap()
            .into_inner()
            .machines
            .len(),
        2
    );
    let rename = RenameMachineRequest {
        machine: "web-1".into(),
        name: "web-2".into(),
    };
    let refused = machines
        .rename(bearer(rename.clone(), &guest["access_token"]))
        .await;
    assert_eq!(Refusal::from(refused.unwrap_err()).reason, "role-too-low");
    let create = CreateEnrollTokenRequest::default();
    let refused = machines
        .create_enroll_token(bearer(create.clone(), &guest["access_token"]))
        .await;
    assert_eq!(Refusal::from(refused.unwrap_err()).reason, "role-too-low");

    let owner = world.owner().await;
    let taken = machines
        .rename(bearer(rename, &owner["access_token"]))
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(taken).reason, "machine-name-taken");
    let made = machines
        .create_enroll_token(bearer(create, &owner["access_token"]))
        .await
        .unwrap();
    world
        .enroll(&made.into_inner().token, "web-3", &Key::new())
        .await
        .unwrap();
    let nobody = machines.list(ListEnrolledRequest {}).await.unwrap_err();
    assert_eq!(nobody.code(), Code::PermissionDenied);
    assert_eq!(Refusal::from(nobody).reason, "not-logged-in");
    world.stop().await;
}

#[tokio::test]
async fn another_workspaces_machine_is_answered_as_one_that_does_not_exist() {
    let world = World::start().await;
    let admin = world.admin().await;
    admin.create_workspace("other").await.unwrap();
    admin
        .create_account("eve", "other", Role::Owner, None)
        .await
        .unwrap();
    let machine = world.machine("web-1", &Key::new()).await;
    let secret = admin.login_secret("eve", HOUR).await.unwrap();
    let eve = world.local_secret(secret.expose()).await.unwrap();
    let mut machines = MachineServiceClient::new(world.channel().await);
    let list = bearer(ListEnrolledRequest {}, &eve["access_token"]);
    assert!(
        machines
            .list(list)
            .await
            .unwrap()
            .into_inner()
            .machines
            .is_empty()
    );
    let mut refusals = Vec::new();
    for named in ["web-1", &machine, "nothing"] {
        let remove = RemoveMachineRequest {
            machine: named.into(),
        };
        let refused = machines
            .remove(bearer(remove, &eve["access_token"]))
            .await
            .unwrap_err();
        let refusal = Refusal::from(refused);
        refusals.push((refusal.reason, refusal.message.replace(named, "M")));
    }
    assert_eq!(refusals[0], refusals[2]);
    assert_eq!(refusals[1], refusals[2]);
    // The same hostname in two workspaces is two machines.
    let token = admin.enroll_token("other", HOUR, []).await.unwrap();
    world
        .enroll(token.expose(), "web-1", &Key::new())
        .await
        .unwrap();
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented_to_grpc() {
    let world = World::start().await;
    let mut client = AccountServiceClient::new(world.channel().await);
    let refused = client.who_am_i(WhoAmIRequest {}).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason, "not-logged-in");
    let mut relay = SessionServiceClient::new(world.channel().await);
    let refused = relay.list(ListSessionsRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    world.stop().await;
}
