//! The second factor, as people meet it: setting it up, logging in with it, recovery codes, a workspace that
//! requires it, and who guesses.

use std::time::Duration;

use cmdop_control::store::SecondFactorRule;
use http::StatusCode;
use totp_rs::{Builder, Secret, Totp};

use crate::audit;
use crate::pages::{Browser, PASSWORD, with_ada};
use crate::world::World;

pub const STEP: Duration = Duration::from_secs(30);

/// What a person scans.
fn authenticator(html: &str) -> Totp {
    let uri = html.split("secret=").nth(1).unwrap();
    let base32 = uri.split(['&', '"']).next().unwrap();
    let secret = Secret::try_from_base32(base32).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

pub fn code(world: &World, authenticator: &Totp) -> String {
    authenticator
        .generate(world.clock.now_ms() / 1000)
        .to_string()
}

/// What the page of recovery codes shows.
fn recovery(html: &str) -> Vec<String> {
    let items = html.split("<li><code>").skip(1);
    items
        .map(|item| item.split('<').next().unwrap().to_owned())
        .collect()
}

async fn at_account(world: &World) -> Browser {
    at_account_of(world, "ada", PASSWORD).await
}

async fn at_account_of(world: &World, name: &str, password: &str) -> Browser {
    let mut browser = Browser::default();
    browser.log_in(world, "", name, password).await;
    browser.open(world, "/account").await;
    browser
}

async fn press(world: &World, browser: &mut Browser, fields: &[(&str, &str)]) {
    let csrf = browser.hidden("csrf");
    let form = [&[("csrf", &*csrf)], fields].concat();
    browser.submit(world, "/account/second-factor", &form).await;
}

/// Sets one up for ada; the clock is then in a later step.
pub async fn enrolled(world: &World) -> (Totp, Vec<String>) {
    enrolled_as(world, "ada", PASSWORD).await
}

/// The same for somebody else.
pub async fn enrolled_as(world: &World, name: &str, password: &str) -> (Totp, Vec<String>) {
    let mut browser = at_account_of(world, name, password).await;
    press(world, &mut browser, &[("step", "propose")]).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);
    let shown = format!("otpauth://totp/cmdop:{name}");
    assert!(browser.html.contains("<svg") && browser.html.contains(&shown));
    let shown = authenticator(&browser.html);
    press(
        world,
        &mut browser,
        &[("step", "confirm"), ("code", "000000")],
    )
    .await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    let right = code(world, &shown);
    press(
        world,
        &mut browser,
        &[("step", "confirm"), ("code", &right)],
    )
    .await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);
    let codes = recovery(&browser.html);
    assert_eq!(codes.len(), 10);
    world.clock.advance(STEP);
    (shown, codes)
}

pub async fn halfway(world: &World) -> Browser {
    let mut browser = Browser::default();
    browser.log_in(world, "", "ada", PASSWORD).await;
    assert_eq!(browser.location.as_deref(), Some("/login/code"));
    browser.open(world, "/login/code").await;
    browser
}

pub async fn enter(world: &World, browser: &mut Browser, code: &str) {
    let csrf = browser.hidden("csrf");
    let form = [("csrf", &*csrf), ("code", code)];
    browser.submit(world, "/login/code", &form).await;
}

#[tokio::test]
async fn a_login_takes_the_password_and_a_code_that_was_not_used_before() {
    let world = with_ada().await;
    let (authenticator, _) = enrolled(&world).await;
    let mut browser = halfway(&world).await;
    for path in ["/account", "/device"] {
        browser.open(&world, path).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "halfway is not in");
    }
    browser.open(&world, "/login/code").await;
    let now = code(&world, &authenticator);
    enter(&world, &mut browser, &now).await;
    assert_eq!(browser.location.as_deref(), Some("/device"));
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::OK);
    assert!(browser.html.contains("It is on. 10 recovery codes"));

    let mut second = halfway(&world).await;
    enter(&world, &mut second, &now).await;
    assert_eq!(second.status, StatusCode::FORBIDDEN, "the same code again");
    world.clock.advance(STEP);
    enter(&world, &mut second, &now).await;
    assert_eq!(
        second.status,
        StatusCode::FORBIDDEN,
        "it is a step away, and used"
    );
    let next = code(&world, &authenticator);
    enter(&world, &mut second, &next).await;
    assert_eq!(second.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn a_recovery_code_lets_in_once_and_new_ones_replace_it() {
    let world = with_ada().await;
    let (authenticator, codes) = enrolled(&world).await;
    let mut browser = halfway(&world).await;
    let typed = codes[0].to_lowercase().replace('-', " ");
    enter(&world, &mut browser, &typed).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    let mut second = halfway(&world).await;
    enter(&world, &mut second, &codes[0]).await;
    assert_eq!(second.status, StatusCode::FORBIDDEN);
    browser.open(&world, "/account").await;
    assert!(
        browser.html.contains("9 recovery codes"),
        "{}",
        browser.html
    );
    let now = code(&world, &authenticator);
    press(
        &world,
        &mut browser,
        &[("step", "recovery-codes"), ("code", &now)],
    )
    .await;
    let renewed = recovery(&browser.html);
    assert_eq!(renewed.len(), 10);
    enter(&world, &mut second, &codes[1]).await;
    assert_eq!(second.status, StatusCode::FORBIDDEN, "an old one");
    enter(&world, &mut second, &renewed[1]).await;
    assert_eq!(second.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn turning_it_off_takes_the_password_and_a_code() {
    let world = with_ada().await;
    let (authenticator, _) = enrolled(&world).await;
    let mut browser = halfway(&world).await;
    let now = code(&world, &authenticator);
    enter(&world, &mut browser, &now).await;
    browser.open(&world, "/account").await;
    world.clock.advance(STEP);
    let now = code(&world, &authenticator);
    let off = |password: &'static str, code: &str| {
        [
            ("step", "disable".to_owned()),
            ("password", password.to_owned()),
            ("code", code.to_owned()),
        ]
    };
    for wrong in [
        off("wrong password", &now),
        off(PASSWORD, "000000"),
        off(PASSWORD, ""),
    ] {
        let fields = wrong
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        press(&world, &mut browser, &fields).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{fields:?}");
    }
    let right = off(PASSWORD, &now);
    let fields = right
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    press(&world, &mut browser, &fields).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);
    let mut browser = Browser::default();
    browser.log_in(&world, "", "ada", PASSWORD).await;
    assert_eq!(browser.location.as_deref(), Some("/device"));
    world.stop().await;
}

#[tokio::test]
async fn a_workspace_that_requires_one_lets_nobody_in_without() {
    let world = with_ada().await;
    let admin = world.admin().await;
    let required = SecondFactorRule::Required;
    let set = admin.set_second_factor_rule("default", required).await;
    set.unwrap();
    let mut browser = Browser::default();
    browser.log_in(&world, "BCDF-GHJK", "ada", PASSWORD).await;
    let page = "/login/second-factor?user_code=BCDF-GHJK";
    assert_eq!(browser.location.as_deref(), Some(page));
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    browser.open(&world, page).await;
    let shown = authenticator(&browser.html);
    let (csrf, user_code) = (browser.hidden("csrf"), browser.hidden("user_code"));
    let now = code(&world, &shown);
    let form = [
        ("csrf", &*csrf),
        ("user_code", &*user_code),
        ("code", &*now),
    ];
    browser.submit(&world, "/login/second-factor", &form).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);
    assert_eq!(recovery(&browser.html).len(), 10);
    assert!(browser.html.contains("/device?user_code=BCDF-GHJK"));
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::OK);

    // Who lost everything asks an administrator, and begins again.
    admin.reset_second_factor("ada").await.unwrap();
    assert!(admin.reset_second_factor("ada").await.is_err());
    let mut again = Browser::default();
    again.log_in(&world, "", "ada", PASSWORD).await;
    assert_eq!(again.location.as_deref(), Some("/login/second-factor"));
    world.stop().await;
}

#[tokio::test]
async fn who_guesses_codes_waits_ever_longer_until_an_administrator_helps() {
    let world = with_ada().await;
    let (authenticator, codes) = enrolled(&world).await;
    let mut browser = halfway(&world).await;
    let mut tries = 0;
    while browser.status != StatusCode::TOO_MANY_REQUESTS {
        enter(&world, &mut browser, "000000").await;
        tries += 1;
        assert!(tries < 10, "nobody guesses for ever");
    }
    let now = code(&world, &authenticator);
    for right in [&now, &codes[0]] {
        enter(&world, &mut browser, right).await;
        assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    }
    world.admin().await.unlock("ada").await.unwrap();
    enter(&world, &mut browser, &now).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn a_lockout_of_passwords_is_lifted_by_time_and_by_an_administrator() {
    let world = with_ada().await;
    let mut browser = Browser::default();
    let lock = async |browser: &mut Browser| {
        for _ in 0..12 {
            browser.log_in(&world, "", "ada", "wrong password").await;
        }
        assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
        browser.log_in(&world, "", "ada", PASSWORD).await;
        assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    };
    lock(&mut browser).await;
    let owner = world.owner().await;
    let records = audit::all(&world, &owner).await.records;
    let locked: Vec<_> = records
        .iter()
        .filter(|record| record.action == "guesses-locked")
        .collect();
    assert_eq!(locked.len(), 1, "once, however often somebody tries");
    assert_eq!(locked[0].detail["by"], "password");
    world.admin().await.unlock("ADA").await.unwrap();
    browser.log_in(&world, "", "ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    world.stop().await;
}

#[tokio::test]
async fn a_person_sees_and_ends_their_logins() {
    let world = with_ada().await;
    let secret = world.admin().await.login_secret("ada", STEP).await;
    let login = world.local_secret(secret.unwrap().expose()).await.unwrap();
    let mut browser = at_account(&world).await;
    assert!(browser.html.contains("local-secret"), "{}", browser.html);
    let (csrf, id) = (browser.hidden("csrf"), browser.hidden("login"));
    let without = [("csrf", "0"), ("login", &*id)];
    browser.submit(&world, "/account/logins", &without).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert!(world.who_am_i(&login["access_token"]).await.is_ok());
    let form = [("csrf", &*csrf), ("login", &*id)];
    browser.submit(&world, "/account/logins", &form).await;
    assert_eq!(browser.location.as_deref(), Some("/account"));
    let refused = world.who_am_i(&login["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    browser.open(&world, "/account").await;
    assert!(browser.html.contains("logged in nowhere else"));
    let leave = [("csrf", &*csrf)];
    browser.submit(&world, "/logout", &leave).await;
    browser.open(&world, "/account").await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER);
    world.stop().await;
}
