//! Members of fleets: what confines, what opens, and which tokens that makes void.

use cmdop_proto::token::{Bearer, Claims};
use cmdop_proto::{LoginId, WorkspaceId};

use super::*;
use crate::store::NewInvitation;
use crate::store::scratch::{NOW, Scratch};

fn anybody(_: Role) -> bool {
    true
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn keep(here: &Workspace<'_>, fleet: &str, member: &str) -> Result<Fleet, FleetError> {
    here.change_fleet_members(fleet, &names(&[member]), Membership::Added, anybody, NOW)
        .await
}

async fn fleet(here: &Workspace<'_>, name: &str) -> FleetId {
    let made = here.add_fleet(name, NOW).await.unwrap();
    made.id.parse().unwrap()
}

/// A token of ada's that was signed at `iat_s`.
fn token(scratch: &Scratch, workspace: WorkspaceId, iat_s: u64) -> Claims {
    Claims {
        iss: String::new(),
        sub: scratch.account.to_string(),
        aud: Vec::new(),
        exp: i64::MAX,
        iat: iat_s as i64,
        nbf: 0,
        jti: String::new(),
        wid: workspace,
        bearer: Bearer::Account,
        role: Some(Role::Member),
        scope: None,
        reach: Reach::All,
        sid: Some(LoginId::new()),
        name: String::new(),
    }
}

#[tokio::test]
async fn a_fleet_confines_its_members_and_nobody_else() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let (eu, us) = (fleet(&here, "eu").await, fleet(&here, "us").await);
        let grace = here.add_account("grace", Role::Guest, NOW).await.unwrap();
        let reach = async |account, role| here.reach(account, role).await.unwrap();
        assert_eq!(reach(scratch.account, Role::Member).await, Reach::All);
        let changed = keep(&here, "EU", "Ada").await.unwrap();
        assert_eq!((changed.member_count, changed.name.as_str()), (1, "eu"));
        let only_eu = Reach::Fleets(vec![eu]);
        assert_eq!(reach(scratch.account, Role::Member).await, only_eu);
        assert_eq!(reach(scratch.account, Role::Guest).await, only_eu);
        assert_eq!(reach(grace, Role::Guest).await, Reach::All);
        // Who governs reaches all, and is kept to the fleet again when they govern no more.
        assert_eq!(reach(scratch.account, Role::Admin).await, Reach::All);
        keep(&here, "us", "ada").await.unwrap();
        let mut both = vec![eu, us];
        both.sort();
        assert_eq!(
            reach(scratch.account, Role::Member).await,
            Reach::Fleets(both)
        );
        // Somebody who is not there reaches nothing.
        let nobody = reach(AccountId::new(), Role::Member).await;
        assert_eq!(nobody, Reach::Fleets(Vec::new()));
    }
}

#[tokio::test]
async fn what_ends_a_membership_opens_nothing() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        fleet(&here, "eu").await;
        fleet(&here, "us").await;
        keep(&here, "eu", "ada").await.unwrap();
        keep(&here, "us", "ada").await.unwrap();
        let reach = async || here.reach(scratch.account, Role::Member).await.unwrap();
        let ada = names(&["ada"]);
        here.change_fleet_members("us", &ada, Membership::Removed, anybody, NOW)
            .await
            .unwrap();
        here.remove_fleet("eu", NOW).await.unwrap();
        assert_eq!(reach().await, Reach::Fleets(Vec::new()));
        // Only somebody who says so.
        let opened = here.set_reach("ada", Reaching::All, anybody, NOW).await;
        assert_eq!(opened.unwrap().reaching, Reaching::All);
        assert_eq!(reach().await, Reach::All);
    }
}

#[tokio::test]
async fn what_takes_a_machine_from_somebody_voids_the_tokens_that_they_have() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        fleet(&here, "eu").await;
        let mut at_s = NOW / 1000;
        let mut is_void_after = async |what: &str, done: bool| {
            let held = token(&scratch, scratch.workspace, at_s);
            let is_void = scratch.store.is_revoked(&held).await.unwrap();
            assert_eq!(is_void, done, "{what}");
            at_s += 3600;
            at_s * 1000
        };
        let now = is_void_after("nothing", false).await;
        let ada = names(&["ada"]);
        let add = Membership::Added;
        here.change_fleet_members("eu", &ada, add, anybody, now)
            .await
            .unwrap();
        let now = is_void_after("a fleet", true).await;
        // Once more is nothing.
        here.change_fleet_members("eu", &ada, add, anybody, now)
            .await
            .unwrap();
        let now = is_void_after("the same fleet", false).await;
        here.remove_fleet("eu", now).await.unwrap();
        let now = is_void_after("the fleet's end", true).await;
        here.set_reach("ada", Reaching::All, anybody, now)
            .await
            .unwrap();
        is_void_after("another reach", true).await;
    }
}

#[tokio::test]
async fn nobody_is_confined_by_those_who_may_not_or_halfway() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        fleet(&here, "eu").await;
        here.add_account("olga", Role::Owner, NOW).await.unwrap();
        let below = |role: Role| role <= Role::Admin;
        let change = async |members: &[&str]| {
            here.change_fleet_members("eu", &names(members), Membership::Added, below, NOW)
                .await
        };
        let above = change(&["ada", "olga"]).await.unwrap_err();
        assert!(matches!(
            above,
            FleetError::Member { name, error: MemberError::Above } if name == "olga"
        ));
        let unknown = change(&["ada", "nobody"]).await.unwrap_err();
        assert!(matches!(
            unknown,
            FleetError::Member { name, error: MemberError::Unknown } if name == "nobody"
        ));
        assert!(matches!(
            here.set_reach("olga", Reaching::Fleets, below, NOW).await,
            Err(MemberError::Above)
        ));
        let reach = here.reach(scratch.account, Role::Member).await.unwrap();
        assert_eq!(reach, Reach::All, "all of them or none");
        let elsewhere = scratch.elsewhere().await;
        assert!(matches!(
            keep(&elsewhere, "eu", "ada").await,
            Err(FleetError::Unknown)
        ));
    }
}

#[tokio::test]
async fn an_account_is_in_no_more_fleets_than_a_token_holds() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        for n in 0..=MAX_FLEETS_OF_ACCOUNT {
            fleet(&here, &format!("f{n}")).await;
            let kept = keep(&here, &format!("f{n}"), "ada").await;
            let fits = n < MAX_FLEETS_OF_ACCOUNT;
            assert_eq!(kept.is_ok(), fits, "{n}");
        }
        let members = here.members_after("", 10).await.unwrap();
        assert_eq!(members[0].fleets.len(), MAX_FLEETS_OF_ACCOUNT);
        assert_eq!(members[0].reaching, Reaching::Fleets);
    }
}

#[tokio::test]
async fn who_is_invited_into_fleets_never_reaches_more() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let eu = fleet(&here, "eu").await;
        fleet(&here, "gone").await;
        let ada = here.account(scratch.account).await.unwrap().unwrap();
        let invite = async |hash: &str, fleets: &[&str]| {
            let new = NewInvitation {
                hash,
                role: Role::Guest,
                note: "",
                invited_by: &ada,
                expires_at_ms: NOW + 1000,
                fleets: &names(fleets),
            };
            here.invite(new, NOW).await
        };
        let made = invite("a", &["EU", "gone", "eu"]).await.unwrap();
        assert_eq!(made.fleets, ["eu", "gone"]);
        invite("b", &["gone"]).await.unwrap();
        invite("c", &[]).await.unwrap();
        assert!(invite("d", &["eu", "nowhere"]).await.is_err());
        here.remove_fleet("gone", NOW).await.unwrap();
        let waiting = here.invitations(NOW).await.unwrap();
        let waiting: Vec<_> = waiting.iter().map(|one| one.fleets.join(" ")).collect();
        assert_eq!(waiting, ["eu", "", ""]);
        let may = |_, _| true;
        for (hash, name, reach) in [
            ("a", "grace", Reach::Fleets(vec![eu])),
            // What it was kept to is gone: it is not everything now.
            ("b", "heidi", Reach::Fleets(Vec::new())),
            ("c", "ivan", Reach::All),
        ] {
            let joined = here.accept_invitation(hash, name, "$x", may, NOW).await;
            let account = joined.unwrap();
            assert_eq!(here.reach(account, Role::Guest).await.unwrap(), reach);
        }
        assert!(here.invitations(NOW).await.unwrap().is_empty());
    }
}
