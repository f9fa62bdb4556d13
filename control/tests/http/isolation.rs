//! Workspaces do not meet over HTTP: every route that the server has, asked by somebody of another workspace with
//! everything that they can show.

use std::collections::BTreeSet;
use std::time::Duration;

use cmdop_control::store::{Logins, SecondFactorRule};
use cmdop_proto::token::Role;
use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::attempts::{self, Attempt, Ours, Shown};
use crate::calls;
use crate::pages::{Browser, PASSWORD, with_ada};
use crate::relays::relay;
use crate::second_factor::{enrolled, enrolled_as};
use crate::socket::Socket;
use crate::world::{Key, World, text};

const HOUR: Duration = Duration::from_secs(3600);

/// The stranger's password.
const THEIRS: &str = "another horse, another battery";

/// Somebody of the workspace `other`, with one credential of each kind.
struct Stranger {
    login: Value,
    key: String,
    machine: Value,
    /// An enrolled machine's key, and its id.
    machine_key: Key,
    page: Browser,
    halfway: Browser,
    enrolling: Browser,
}

impl Ours {
    async fn of(world: &World, ada: &mut Browser) -> Self {
        let owner = world.owner().await;
        let (relay, _) = relay(world, &Key::new()).await;
        let me = world.who_am_i(&owner["access_token"]).await.unwrap();
        let claims = introspected(world, &owner, text(&owner["access_token"])).await;
        Self {
            things: world.things(&owner, &relay, "here").await,
            workspace: me.workspace_id,
            key: world.key(&owner, &["exec"], HOUR).await.secret,
            user_code: approved(world, ada).await,
            recovery: enrolled(world).await.1.remove(0),
            login: text(&claims["sid"]).to_owned(),
            owner,
        }
    }

    /// What no answer to a stranger has in it.
    fn marks(&self) -> Vec<&str> {
        let things = &self.things;
        vec![
            "marked-",
            &self.workspace,
            &things.machine,
            &things.member,
            &things.fleet,
            &things.session,
            &things.schedule,
            &things.run,
            "\"active\":true",
            "<strong>ada</strong>",
            "<strong>owner</strong>",
        ]
    }

    /// All that its owner and ada see of it, but for what changes by itself.
    async fn state(&self, world: &World, ada: &mut Browser) -> Vec<String> {
        let mut seen = Vec::new();
        for call in calls::all() {
            let lists = call.name.contains("/List") && !call.about;
            if lists && !["AuditService/List", "SchedulesService/List"].contains(&call.name) {
                seen.push(self.asked(world, call.name).await);
            }
        }
        ada.open(world, "/account").await;
        assert_eq!(ada.status, StatusCode::OK);
        seen.push(ada.html.clone());
        for token in [text(&self.owner["refresh_token"]), &self.key] {
            let known = introspected(world, &self.owner, token).await;
            assert_eq!(known["active"], true);
            seen.push(known.to_string());
        }
        seen
    }

    async fn asked(&self, world: &World, name: &str) -> String {
        let call = calls::all().into_iter().find(|call| call.name == name);
        let token = self.owner["access_token"].clone();
        let things = self.things.clone();
        let answer = (call.unwrap().make)(world.channel().await, token, things).await;
        answer.unwrap()
    }
}

impl Stranger {
    async fn of(world: &World) -> Self {
        let admin = world.admin().await;
        admin.create_workspace("other").await.unwrap();
        for name in ["mallory", "trudy"] {
            let made = admin.create_account(name, "other", Role::Member, Some(THEIRS));
            made.await.unwrap();
        }
        enrolled_as(world, "trudy", THEIRS).await;
        let login = world.person("eve", "other", Role::Owner).await;
        let set = admin.set_password("eve", THEIRS, Logins::Keep);
        set.await.unwrap();
        let rule = async |rule| admin.set_second_factor_rule("other", rule).await.unwrap();
        rule(SecondFactorRule::Required).await;
        let enrolling = logged_in(world, "mallory").await;
        rule(SecondFactorRule::Optional).await;
        let token = admin.enroll_token("other", HOUR, []).await.unwrap();
        let machine_key = Key::new();
        let joined = world.enroll(token.expose(), "their-machine", &machine_key);
        let id = joined.await.unwrap().machine_id;
        Self {
            key: world
                .key(&login, &["admin", "machines:read", "sessions:read"], HOUR)
                .await
                .secret,
            machine: world.assert(&machine_key, &id, 0).await.unwrap(),
            page: logged_in(world, "eve").await,
            halfway: logged_in(world, "trudy").await,
            machine_key,
            enrolling,
            login,
        }
    }

    /// One of their machines, saying that it is `machine`.
    fn assertion(&self, world: &World, machine: &str) -> String {
        world.assertion(&self.machine_key, machine, 0, &world.running.url)
    }

    /// Logged in on the pages again, where an attempt has ended that, with nothing counted against them.
    async fn refreshed(&mut self, world: &World) {
        let admin = world.admin().await;
        for name in ["eve", "mallory", "trudy"] {
            admin.unlock(name).await.unwrap();
        }
        admin.close().await;
        self.page.open(world, "/account").await;
        if self.page.status != StatusCode::OK {
            self.page = logged_in(world, "eve").await;
            self.page.open(world, "/account").await;
        }
        self.halfway.open(world, "/login/code").await;
        self.enrolling.open(world, "/login/second-factor").await;
        for browser in [&self.halfway, &self.enrolling] {
            assert_eq!(browser.status, StatusCode::OK, "{}", browser.html);
        }
    }

    /// What their browser, or their program, sends.
    fn request(&self, world: &World, attempt: &Attempt, shown: Shown) -> RequestBuilder {
        let mut fields = attempt.fields.clone();
        if let Some(browser) = self.browser(shown) {
            fields.push(("csrf", browser.hidden("csrf")));
        }
        let fields = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let url = world.url(attempt.path);
        let request = if attempt.method == Method::GET {
            world.http.get(format!("{url}?{fields}"))
        } else {
            let form = world.http.post(url).body(fields);
            form.header("content-type", "application/x-www-form-urlencoded")
        };
        let request = request.timeout(Duration::from_secs(10));
        let token = match shown {
            Shown::AccessToken => text(&self.login["access_token"]),
            Shown::RefreshToken => text(&self.login["refresh_token"]),
            Shown::Machine => text(&self.machine["access_token"]),
            Shown::ApiKey => &self.key,
            Shown::Page | Shown::Halfway | Shown::Enrolling => {
                let cookie = self.browser(shown).and_then(|one| one.cookie.as_deref());
                return request.header("cookie", cookie.unwrap());
            }
        };
        request.bearer_auth(token)
    }

    fn browser(&self, shown: Shown) -> Option<&Browser> {
        match shown {
            Shown::Page => Some(&self.page),
            Shown::Halfway => Some(&self.halfway),
            Shown::Enrolling => Some(&self.enrolling),
            _ => None,
        }
    }
}

async fn logged_in(world: &World, name: &str) -> Browser {
    let mut browser = Browser::default();
    browser.log_in(world, "", name, THEIRS).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.html);
    browser
}

/// The code of a device that ada approves. Its program has not asked again yet.
async fn approved(world: &World, ada: &mut Browser) -> String {
    let form = [("client_id", "cmdop-cli")];
    let device = world.post("/oauth/device_authorization", &form).await;
    let device: Value = device.json().await.unwrap();
    let code = text(&device["user_code"]).to_owned();
    let mut browser = Browser::default();
    browser.log_in(world, &code, "ada", PASSWORD).await;
    let question = browser.location.clone().unwrap();
    browser.open(world, &question).await;
    let csrf = browser.hidden("csrf");
    let form = [
        ("csrf", &*csrf),
        ("user_code", &*code),
        ("decision", "approve"),
    ];
    browser.submit(world, "/device", &form).await;
    assert_eq!(browser.status, StatusCode::OK);
    ada.log_in(world, "", "ada", PASSWORD).await;
    code
}

async fn introspected(world: &World, by: &Value, token: &str) -> Value {
    let asked = world.http.post(world.url("/oauth/introspect"));
    let asked = asked.bearer_auth(text(&by["access_token"]));
    let answer = asked.form(&[("token", token)]).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Status, headers and body: nothing may be in any of them.
async fn told(request: RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
    (status, headers + &answer.text().await.unwrap())
}

#[tokio::test]
async fn every_route_keeps_a_workspace_from_the_people_machines_and_keys_of_another() {
    let world = with_ada().await;
    let mut ada = Browser::default();
    let ours = Ours::of(&world, &mut ada).await;
    let mut stranger = Stranger::of(&world).await;
    let before = ours.state(&world, &mut ada).await;
    let assertion = stranger.assertion(&world, &ours.things.machine);
    let attempts = attempts::all(&ours, &assertion);

    let tried: BTreeSet<_> = attempts
        .iter()
        .map(|attempt| (attempt.path, attempt.method.to_string()))
        .collect();
    let served: BTreeSet<_> = cmdop_control::http_routes()
        .into_iter()
        .flat_map(|(path, methods)| methods.into_iter().map(move |m| (path, m.to_string())))
        .collect();
    assert_eq!(tried, served, "each route and method needs an attempt");

    let mut odd = Vec::new();
    for attempt in &attempts {
        for shown in Shown::ALL {
            stranger.refreshed(&world).await;
            let asked = format!("{} {} by {shown:?}", attempt.method, attempt.path);
            let (status, told) = told(stranger.request(&world, attempt, shown)).await;
            for mark in ours.marks() {
                assert!(!told.contains(mark), "{asked}: {mark} in {told}");
            }
            assert!(!status.is_server_error(), "{asked}: {status} {told}");
            if let Some((looked_at, expected)) = attempt.answers
                && looked_at == shown
                && status != expected
            {
                odd.push(format!("{asked}: {status}, not {expected}: {told}"));
            }
        }
        let after = ours.state(&world, &mut ada).await;
        assert_eq!(after, before, "{} {}", attempt.method, attempt.path);
    }
    assert!(odd.is_empty(), "not asked in earnest: {odd:#?}");
    no_trace_of_them(&world, &ours).await;
    world.stop().await;
}

/// Nothing was done by them, nor in their name.
async fn no_trace_of_them(world: &World, ours: &Ours) {
    for name in ["eve", "mallory", "trudy"] {
        let audit = ours.asked(world, "AuditService/List").await;
        assert!(!audit.contains(name), "{name}: {audit}");
    }
    let schedules = ours.asked(world, "SchedulesService/List").await;
    assert!(schedules.contains("marked-schedule-here"), "{schedules}");
}

#[tokio::test]
async fn what_is_heard_over_a_socket_is_of_ones_own_workspace_whatever_was_shown() {
    let world = with_ada().await;
    let mut ada = Browser::default();
    let ours = Ours::of(&world, &mut ada).await;
    let stranger = Stranger::of(&world).await;
    let tokens = [
        (text(&stranger.login["access_token"]), true),
        (&stranger.key, true),
        (text(&stranger.login["refresh_token"]), false),
        (text(&stranger.machine["access_token"]), false),
    ];
    for (token, is_let_in) in tokens {
        let mut socket = Socket::open(&world).await;
        socket
            .send(json!({"id": 1, "connect": {"token": token}}).to_string())
            .await;
        if !is_let_in {
            assert_eq!(socket.end().await.0, 3500, "{token} is no ticket");
            continue;
        }
        let reply = socket.replies(1).await.remove(0).to_string();
        let mut heard = vec![reply];
        let session = format!("session:{}", ours.things.session);
        for channel in [
            format!("workspace:{}", ours.workspace),
            format!("audit:{}", ours.workspace),
            session,
        ] {
            let refused = socket.subscribe(&channel).await;
            assert_eq!(refused["code"], 103, "{channel}: {refused}");
            let history = json!({"channel": channel, "limit": 9});
            let refused = socket.call("history", history).await;
            assert_eq!(refused["code"], 103, "{channel}: {refused}");
            heard.push(refused.to_string());
        }
        for mark in ours.marks() {
            assert!(heard.iter().all(|told| !told.contains(mark)), "{heard:?}");
        }
    }
    no_trace_of_them(&world, &ours).await;
    world.stop().await;
}

#[tokio::test]
async fn who_ends_their_own_logins_ends_nobody_elses_and_who_guesses_is_only_written_down() {
    let world = with_ada().await;
    let mut ada = Browser::default();
    let ours = Ours::of(&world, &mut ada).await;
    let stranger = Stranger::of(&world).await;
    let before = ours.state(&world, &mut ada).await;
    for token in ["access_token", "refresh_token"] {
        let form = [("token", text(&stranger.login[token]))];
        let answer = world.post("/oauth/revoke", &form).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let over = world.refresh(&stranger.login["refresh_token"]).await;
    assert!(over.is_err());
    let mut guess = Browser::default();
    guess.log_in(&world, "", "ada", THEIRS).await;
    assert_eq!(guess.status, StatusCode::FORBIDDEN);
    for mark in ours.marks() {
        assert!(!guess.html.contains(mark), "{mark}: {}", guess.html);
    }
    assert_eq!(ours.state(&world, &mut ada).await, before);
    let audit = ours.asked(&world, "AuditService/List").await;
    assert!(audit.contains("page-login"), "{audit}");
    world.stop().await;
}
