//! Members: roles that change at once, the last owner, and invitations from the link to the login.

use std::time::Duration;

use cmdop_proto::Refusal;
use cmdop_proto::token::Role;
use cmdop_proto::v1::member_service_client::MemberServiceClient;
use cmdop_proto::v1::{InviteRequest, InviteResponse, RemoveMemberRequest, SetRoleRequest};
use http::StatusCode;
use serde_json::Value;

use crate::pages::Browser;
use crate::world::{World, bearer};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn set_role(world: &World, by: &Value, member: &str, role: &str) -> Result<(), Refusal> {
    let mut members = MemberServiceClient::new(world.channel().await);
    let request = SetRoleRequest {
        member: member.into(),
        role: role.into(),
    };
    let answer = members.set_role(bearer(request, &by["access_token"])).await;
    answer.map(drop).map_err(Refusal::from)
}

async fn remove(world: &World, by: &Value, member: &str) -> Result<(), Refusal> {
    let mut members = MemberServiceClient::new(world.channel().await);
    let request = RemoveMemberRequest {
        member: member.into(),
    };
    let answer = members.remove(bearer(request, &by["access_token"])).await;
    answer.map(drop).map_err(Refusal::from)
}

async fn invite(world: &World, by: &Value, role: &str) -> Result<InviteResponse, Refusal> {
    let mut members = MemberServiceClient::new(world.channel().await);
    let request = InviteRequest {
        role: role.into(),
        note: "grace".into(),
        ..InviteRequest::default()
    };
    let answer = members.invite(bearer(request, &by["access_token"])).await;
    Ok(answer.map_err(Refusal::from)?.into_inner())
}

#[tokio::test]
async fn a_new_role_holds_at_once_and_the_login_goes_on_with_it() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    set_role(&world, &owner, "ADA", "admin").await.unwrap();
    let refused = world.who_am_i(&ada["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    let renewed = world.refresh(&ada["refresh_token"]).await.unwrap();
    let me = world.who_am_i(&renewed["access_token"]).await.unwrap();
    assert_eq!(me.role, "admin");
    world.stop().await;
}

#[tokio::test]
async fn each_new_role_voids_the_tokens_of_the_one_before_however_fast_they_follow() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut ada = world.person("ada", "default", Role::Member).await;
    for role in ["admin", "guest", "admin", "member"] {
        set_role(&world, &owner, "ada", role).await.unwrap();
        let refused = world.who_am_i(&ada["access_token"]).await.unwrap_err();
        assert_eq!(refused.reason, "token-revoked", "{role}");
        ada = world.refresh(&ada["refresh_token"]).await.unwrap();
        let me = world.who_am_i(&ada["access_token"]).await.unwrap();
        assert_eq!(me.role, role);
    }
    world.stop().await;
}

#[tokio::test]
async fn nobody_reaches_above_themselves_and_the_last_owner_stays() {
    let world = World::start().await;
    let owner = world.owner().await;
    let admin = world.person("grace", "default", Role::Admin).await;
    world.person("ada", "default", Role::Member).await;
    let reason = |answer: Result<(), Refusal>| answer.unwrap_err().reason;
    assert_eq!(
        reason(set_role(&world, &admin, "ada", "owner").await),
        "role-too-low"
    );
    assert_eq!(
        reason(set_role(&world, &admin, "owner", "guest").await),
        "role-too-low"
    );
    assert_eq!(
        reason(remove(&world, &admin, "owner").await),
        "role-too-low"
    );
    assert_eq!(
        invite(&world, &admin, "owner").await.unwrap_err().reason,
        "role-too-low"
    );
    assert_eq!(
        reason(set_role(&world, &owner, "owner", "admin").await),
        "last-owner"
    );
    assert_eq!(reason(remove(&world, &owner, "owner").await), "last-owner");
    assert_eq!(
        reason(set_role(&world, &owner, "ada", "king").await),
        "bad-request"
    );
    assert_eq!(
        reason(remove(&world, &owner, "nobody").await),
        "member-unknown"
    );
    set_role(&world, &admin, "ada", "admin").await.unwrap();
    set_role(&world, &owner, "grace", "owner").await.unwrap();
    remove(&world, &owner, "owner").await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn who_is_removed_is_out_and_the_name_is_free() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    remove(&world, &owner, "ada").await.unwrap();
    assert!(world.who_am_i(&ada["access_token"]).await.is_err());
    assert!(world.refresh(&ada["refresh_token"]).await.is_err());
    let again = world.person("ada", "default", Role::Guest).await;
    let me = world.who_am_i(&again["access_token"]).await.unwrap();
    assert_eq!(me.role, "guest");
    world.stop().await;
}

fn link(invited: &InviteResponse) -> &str {
    let at = invited.url.find("/invitation").unwrap();
    &invited.url[at..]
}

async fn join(world: &World, browser: &mut Browser, name: &str, password: &str) {
    let (csrf, token) = (browser.hidden("csrf"), browser.hidden("token"));
    let form = [
        ("csrf", &*csrf),
        ("token", &*token),
        ("name", name),
        ("password", password),
    ];
    browser.submit(world, "/invitation", &form).await;
}

#[tokio::test]
async fn an_invitation_makes_one_account_with_its_role() {
    let world = World::start().await;
    let owner = world.owner().await;
    let invited = invite(&world, &owner, "guest").await.unwrap();
    assert!(
        invited.url.starts_with(&world.running.url),
        "{}",
        invited.url
    );
    let mut browser = Browser::default();
    browser.open(&world, link(&invited)).await;
    let page = &browser.html;
    assert!(
        page.contains("owner invites you") && page.contains("guest"),
        "{page}"
    );
    join(&world, &mut browser, "grace", "short").await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST);
    assert!(browser.html.contains("at least 8"), "{}", browser.html);
    join(&world, &mut browser, "OWNER", "a long password").await;
    assert!(browser.html.contains("is taken"), "{}", browser.html);
    join(&world, &mut browser, "grace", "a long password").await;
    assert_eq!(browser.status, StatusCode::OK);
    assert!(browser.html.contains("cmdop login"), "{}", browser.html);
    let accounts = world.admin().await.accounts(None).await.unwrap();
    let grace = accounts
        .iter()
        .find(|placed| placed.account.name == "grace");
    let grace = &grace.unwrap().account;
    assert_eq!((grace.role, grace.has_password), (Role::Guest, true));
    let again = world.get(link(&invited)).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test]
async fn an_invitation_that_is_over_or_taken_back_opens_nothing() {
    let world = World::start().await;
    let owner = world.owner().await;
    let old = invite(&world, &owner, "member").await.unwrap();
    world.clock.advance(3 * DAY);
    let owner = world.refresh(&owner["refresh_token"]).await.unwrap();
    assert_eq!(world.get(link(&old)).await.status(), StatusCode::NOT_FOUND);
    let void = invite(&world, &owner, "member").await.unwrap();
    let mut members = MemberServiceClient::new(world.channel().await);
    let request = cmdop_proto::v1::RevokeInvitationRequest {
        id: void.invitation.clone().unwrap().id,
    };
    members
        .revoke_invitation(bearer(request, &owner["access_token"]))
        .await
        .unwrap();
    assert_eq!(world.get(link(&void)).await.status(), StatusCode::NOT_FOUND);
    let guess = world.get("/invitation?token=cmdop_invite_x").await;
    assert_eq!(guess.status(), StatusCode::NOT_FOUND);
    let forged = world
        .post(
            "/invitation",
            &[
                ("token", "x"),
                ("name", "eve"),
                ("password", "a long password"),
            ],
        )
        .await;
    assert_eq!(forged.status(), StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test]
async fn an_invitation_does_not_outlive_what_its_inviter_was() {
    let world = World::start().await;
    let owner = world.owner().await;
    let admin = world.admin().await;
    let kept = invite(&world, &owner, "guest").await.unwrap();
    for name in ["removed", "lowered", "disabled"] {
        let inviter = world.person(name, "default", Role::Admin).await;
        let invited = invite(&world, &inviter, "admin").await.unwrap();
        assert_eq!(world.get(link(&invited)).await.status(), StatusCode::OK);
        match name {
            "removed" => remove(&world, &owner, name).await.unwrap(),
            "lowered" => set_role(&world, &owner, name, "member").await.unwrap(),
            _ => admin.disable_account(name).await.unwrap(),
        }
        let gone = world.get(link(&invited)).await.status();
        assert_eq!(gone, StatusCode::NOT_FOUND, "{name}");
    }
    assert_eq!(world.get(link(&kept)).await.status(), StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn a_form_that_another_site_sent_makes_no_account() {
    let world = World::start().await;
    let owner = world.owner().await;
    let invited = invite(&world, &owner, "member").await.unwrap();
    let token = link(&invited).split('=').nth(1).unwrap();
    let form = [
        ("token", token),
        ("name", "eve"),
        ("password", "a long password"),
    ];
    let answer = world.post("/invitation", &form).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(world.get(link(&invited)).await.status(), StatusCode::OK);
    world.stop().await;
}
