//! Who is refused, and that each is told which of their credentials is wrong and why.

use cmdop_proto::token::{Bearer, Claims, Role};
use cmdop_tests::World;
use cmdop_tests::forge::{self, Forge};
use cmdop_tests::wire::Wire;

/// A world, a raw connection, a genuine token and its claims, and the control plane's own key.
struct Court {
    world: World,
    wire: Wire,
    genuine: String,
    claims: Claims,
    forge: Forge,
}

impl Court {
    async fn start() -> Self {
        let world = World::start().await;
        let genuine = world.owner.access_token().await;
        let wire = Wire::dial(&world.relay.url(), &world.control.ca_pem(), &genuine).await;
        let claims = forge::claims(&genuine);
        let forge = Forge::of_control(world.control.data(), &genuine);
        Self {
            world,
            wire,
            genuine,
            claims,
            forge,
        }
    }

    async fn reason(&self, token: &str) -> String {
        match self.wire.with_token(token).knock().await {
            Ok(()) => "allowed".into(),
            Err(refusal) => {
                assert!(
                    !refusal.message.is_empty() && !refusal.hint.is_empty(),
                    "{refusal:?}"
                );
                refusal.reason
            }
        }
    }

    async fn reason_for(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.reason(&self.forge.sign(&claims)).await
    }
}

#[tokio::test]
async fn every_wrong_token_is_refused_with_its_own_reason() {
    let court = Court::start().await;
    assert_eq!(court.reason(&court.genuine).await, "allowed");
    assert_eq!(court.reason_for(|_| ()).await, "allowed", "the forge works");
    assert_eq!(court.reason("").await, "not-logged-in");
    assert_eq!(court.reason("nonsense").await, "token-malformed");
    assert_eq!(court.reason(&"x".repeat(12_000)).await, "token-malformed");
    let impostor = Forge::impostor(&court.genuine);
    assert_eq!(
        court.reason(&impostor.sign(&court.claims)).await,
        "token-bad-signature"
    );
    let unknown = Forge::impostor(&court.genuine).named("another-key");
    assert_eq!(
        court.reason(&unknown.sign(&court.claims)).await,
        "token-unknown-key"
    );
    let now = forge::now();
    assert_eq!(
        court.reason_for(|claims| claims.exp = now - 65).await,
        "token-expired"
    );
    let tomorrow = now + 86_400;
    assert_eq!(
        court
            .reason_for(|claims| (claims.nbf, claims.iat) = (tomorrow, tomorrow))
            .await,
        "token-not-yet-valid"
    );
    assert_eq!(
        court
            .reason_for(|claims| claims.aud = vec!["elsewhere".into()])
            .await,
        "token-wrong-audience"
    );
    assert_eq!(
        court
            .reason_for(|claims| claims.bearer = Bearer::Machine)
            .await,
        "wrong-bearer"
    );
    assert_eq!(
        court
            .reason_for(|claims| claims.bearer = Bearer::Relay)
            .await,
        "wrong-bearer"
    );
}

#[tokio::test]
async fn a_token_whose_content_was_changed_is_refused() {
    let court = Court::start().await;
    let parts: Vec<_> = court.genuine.split('.').collect();
    let other = court.forge.sign(&Claims {
        role: Some(Role::Admin),
        ..court.claims.clone()
    });
    let other: Vec<_> = other.split('.').collect();
    let mixed = format!("{}.{}.{}", parts[0], other[1], parts[2]);
    assert_eq!(court.reason(&mixed).await, "token-bad-signature");
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert_ne!(court.reason(&unsigned).await, "allowed");
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    assert_eq!(court.reason(&none).await, "token-malformed");
}

#[tokio::test]
async fn another_workspace_sees_nothing_and_learns_nothing() {
    let world = World::start().await;
    world.add_workspace("rivals").await;
    let rival = world.add_account_in("rivals", "rita", "owner").await;
    let session = world
        .new_session(&["web-1", "--name", "secret", "--", "/bin/cat"])
        .await;
    assert_eq!(rival.cli.run(&["machines"]).await.ok(), "");
    assert_eq!(rival.cli.run(&["sessions"]).await.ok(), "");
    // Exactly as if it did not exist: no word differs but the name.
    let theirs = rival.cli.run(&["exec", "web-1", "--", "true"]).await;
    let nothing = rival.cli.run(&["exec", "web-9", "--", "true"]).await;
    theirs.refused(69, &["web-1"]);
    assert_eq!(theirs.err().replace("web-1", "web-9"), nothing.err());
    for reference in [session.as_str(), "secret", &session[..8]] {
        let refused = rival.cli.run(&["send", reference, "x"]).await;
        refused.refused(69, &[reference]);
    }
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &rival.access_token().await,
    )
    .await;
    let get = |session: &str| cmdop_proto::v1::GetSessionRequest {
        session: session.into(),
    };
    let theirs = wire.sessions().get(get(&session)).await.unwrap_err();
    let nothing = wire
        .sessions()
        .get(get("0199aaaa-0000-7000-8000-000000000000"))
        .await
        .unwrap_err();
    let reason = |status| cmdop_proto::Refusal::from(status).reason;
    assert_eq!(
        (reason(theirs), reason(nothing)),
        ("session-unknown".into(), "session-unknown".into())
    );
}

#[tokio::test]
async fn a_workspace_that_nobody_knows_opens_nothing() {
    let court = Court::start().await;
    let token = court.forge.sign(&forge::stranger(&court.claims));
    let mut fleet = court.wire.with_token(&token).fleet();
    match fleet
        .list(cmdop_proto::v1::ListMachinesRequest::default())
        .await
    {
        Ok(list) => assert!(list.into_inner().machines.is_empty()),
        Err(status) => assert_eq!(status.code(), tonic::Code::PermissionDenied),
    }
}

#[tokio::test]
async fn logging_out_voids_the_access_token_at_the_relay() {
    let court = Court::start().await;
    court.world.cmdop(&["logout"]).await.ok();
    cmdop_tests::wait::until_true_async("the relay hears of it", || async {
        court.reason(&court.genuine).await == "token-revoked"
    })
    .await;
    let after = court.world.cmdop(&["machines"]).await;
    after.refused(77, &["cmdop login"]);
}

#[tokio::test]
async fn a_disabled_account_is_out_and_its_open_session_with_it() {
    let world = World::start().await;
    let member = world.add_account("mona", "member").await;
    let person = member.at_a_terminal(&["new", "web-1", "--name", "hers", "--", "/bin/sh"]);
    person.sees_prompt().await;
    world.control.admin(&["disable-account", "mona"]).await.ok();
    cmdop_tests::wait::until_true_async("the relay hears of it", || async {
        member.cli.run(&["machines"]).await.status == 77
    })
    .await;
    member
        .cli
        .run(&["machines"])
        .await
        .refused(77, &["revoked"]);
    assert_eq!(person.pty.exit().await, 77, "an attached stream ends too");
    world.owner.cli.run(&["machines"]).await.ok();
}

#[tokio::test]
async fn a_removed_machine_is_refused_and_its_name_is_free() {
    let mut world = World::start().await;
    world.control.admin(&["remove-machine", "web-1"]).await.ok();
    cmdop_tests::wait::until_true_async("the machine is gone", || async {
        world.cmdop(&["machines"]).await.out().is_empty()
    })
    .await;
    world
        .cmdop(&["exec", "web-1", "--", "true"])
        .await
        .refused(69, &["web-1"]);
    let mut old = world.machines.remove(0);
    old.kill().await;
    old.forget();
    world.expect_errors();
    world.add_machine("web-1").await;
    world.machine_is("web-1", "online").await;
}

#[tokio::test]
async fn an_enrolment_token_works_once_and_a_wrong_one_never() {
    let world = World::start().await;
    let token = world.control.admin(&["enroll-token"]).await.ok();
    let enroll = |token: String, hostname: &'static str| {
        let data = world
            .directory()
            .join(format!("extra-{hostname}-{}", uuid::Uuid::new_v4()));
        let control = world.control.url();
        let cli = world.stranger("machine-user");
        async move {
            let data = data.to_str().unwrap().to_owned();
            let args = [
                "enroll",
                "--control",
                &control,
                "--token",
                &token,
                "--hostname",
                hostname,
                "--data-dir",
                &data,
            ];
            cli.run_program("cmdopd", &args).await
        }
    };
    let token = token.trim().to_owned();
    let taken = enroll(token.clone(), "web-1").await;
    assert_ne!(taken.status, 0);
    assert!(
        taken.err().contains("web-1"),
        "a name that is taken is named: {taken:?}"
    );
    let token = world
        .control
        .admin(&["enroll-token"])
        .await
        .ok()
        .trim()
        .to_owned();
    enroll(token.clone(), "web-2").await.ok();
    let used = enroll(token.clone(), "web-3").await;
    assert!(used.status != 0 && used.err().contains("used"), "{used:?}");
    let (secret, fingerprint) = token.rsplit_once('_').unwrap();
    let invented = format!("cmdop_enroll_{}_{fingerprint}", "0".repeat(64));
    let refused = enroll(invented, "web-4").await;
    assert!(
        refused.status != 0 && !refused.err().is_empty(),
        "{refused:?}"
    );
    let elsewhere = format!("{secret}_{}", "0".repeat(64));
    let untrusted = enroll(elsewhere, "web-5").await;
    assert!(
        untrusted.status != 0 && untrusted.err().to_lowercase().contains("trust"),
        "{untrusted:?}"
    );
    let garbage = enroll("garbage".into(), "web-6").await;
    assert!(
        garbage.status != 0 && garbage.err().contains("token"),
        "{garbage:?}"
    );
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_speak_to_us() {
    let world = World::start().await;
    let other = cmdop_tests::world::Ground::new();
    let foreign = cmdop_tests::world::Control::start(&other).await;
    let home = world.owner.home();
    let mut profiles = cmdop_client::Profiles::load(&home).unwrap();
    let profile = cmdop_client::Profile {
        ca_pem: foreign.ca_pem(),
        ..world.owner.profile()
    };
    profiles.put(profile).unwrap();
    profiles.save(&home).unwrap();
    world.cmdop(&["machines"]).await.refused(77, &["trust"]);
}
