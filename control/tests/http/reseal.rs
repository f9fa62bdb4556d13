//! The key for secrets is replaced while people log in, and the old one is thrown away.

use std::path::Path;
use std::time::Duration;

use cmdop_control::admin::{Admin, Error, KeyState, SecretsKey};
use cmdop_control::store::SealedKind;
use http::StatusCode;

use crate::pages::with_ada;
use crate::second_factor::{STEP, code, enrolled, enter, halfway};
use crate::world::World;

const NEW: &str = "a2V5IG9mIDMyIGJ5dGVzLCBmb3IgYWxsIHRlc3RzICA=";

fn read(place: &Path) -> String {
    std::fs::read_to_string(place.join("secrets.key")).unwrap()
}

fn put(place: &Path, keys: &str) {
    cmdop_service::private_file::write(&place.join("secrets.key"), keys.as_bytes()).unwrap();
}

/// The same control plane with these keys for secrets.
async fn with_keys(world: World, keys: &str) -> World {
    let clock = world.clock.clone();
    let place = world.place().data_dir.unwrap();
    let (data, database) = world.stopped().await;
    put(&place, keys);
    World::start_with(data, database, clock, |_| {}).await
}

/// How many secrets of each kind a key has sealed: the CA, signing keys, second factors.
fn counts(key: &SecretsKey) -> [u64; 3] {
    SealedKind::ALL.map(|kind| key.sealed.get(&kind).copied().unwrap_or(0))
}

/// Seals anew; how many of each kind.
async fn reseal(admin: &Admin) -> Vec<u64> {
    let done = admin.reseal(None).await.unwrap();
    done.into_iter().map(|(_, count)| count).collect()
}

async fn listed(world: &World) -> Vec<(KeyState, [u64; 3])> {
    let admin = world.admin().await;
    let keys = admin.secrets_keys(None).await.unwrap();
    let listed = keys.iter().map(|key| (key.state, counts(key))).collect();
    admin.close().await;
    listed
}

#[tokio::test]
async fn everything_is_sealed_anew_while_people_log_in_and_the_old_key_can_go() {
    let world = with_ada().await;
    let ca = world.running.ca_fingerprint.clone();
    let (authenticator, _) = enrolled(&world).await;
    let log_in = async |world: &World| {
        let mut browser = halfway(world).await;
        enter(world, &mut browser, &code(world, &authenticator)).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.html);
        world.clock.advance(STEP);
    };
    let admin = world.admin().await;
    admin.rotate_key(Duration::ZERO, None).await.unwrap();
    admin.close().await;
    assert_eq!(listed(&world).await, [(KeyState::Seals, [1, 2, 1])]);

    let old = read(&world.place().data_dir.unwrap());
    let world = with_keys(world, &format!("{NEW}\n{old}")).await;
    let both = listed(&world).await;
    let expected = [(KeyState::Seals, [0, 0, 0]), (KeyState::Opens, [1, 2, 1])];
    assert_eq!(both, expected);
    let admin = world.admin().await;
    let (done, ()) = tokio::join!(reseal(&admin), log_in(&world));
    assert_eq!(done, [1, 2, 1]);
    log_in(&world).await;
    assert_eq!(reseal(&admin).await, [0, 0, 0], "nothing is left to do");
    admin.close().await;
    let after = listed(&world).await;
    let expected = [(KeyState::Seals, [1, 2, 1]), (KeyState::Opens, [0, 0, 0])];
    assert_eq!(after, expected);

    let world = with_keys(world, NEW).await;
    assert_eq!(world.running.ca_fingerprint, ca);
    log_in(&world).await;
    world.owner().await;
    world.stop().await;
}

#[tokio::test]
async fn what_a_lost_key_sealed_stays_as_it_is_and_is_named() {
    let world = with_ada().await;
    enrolled(&world).await;
    let admin = world.admin().await;
    let other = cmdop_control::Secret::given(NEW);
    let keys = admin.secrets_keys(Some(&other)).await.unwrap();
    let states: Vec<_> = keys.iter().map(|key| (key.state, counts(key))).collect();
    let expected = [(KeyState::Seals, [0, 0, 0]), (KeyState::Missing, [1, 1, 1])];
    assert_eq!(states, expected);
    let refused = admin.reseal(Some(&other)).await.unwrap_err();
    let is_counted = matches!(
        refused,
        Error::NotOpened {
            resealed: 0,
            left: 3,
            ..
        }
    );
    assert!(is_counted, "{refused}");
    assert!(refused.to_string().contains("secrets.key"), "{refused}");
    admin.close().await;
    assert_eq!(listed(&world).await, [(KeyState::Seals, [1, 1, 1])]);
    world.stop().await;
}
