//! One keyboard and several operators: who holds it types, and it passes on as people agree.

use cmdop_proto::v1::{AttachMode, keyboard_change::Change};
use cmdop_proto::v1::{KeyboardChange, KeyboardMode, SendRequest, attach_request};
use cmdop_tests::wire::{self, Wire};
use cmdop_tests::world::Account;
use cmdop_tests::{Person, World, wait};

/// Shows each line it reads in brackets and echoes nothing itself.
const QUIET: &str = "stty -echo; echo ready; while read line; do echo \"<$line>\"; done";

struct Room {
    world: World,
    bert: Account,
    session: String,
}

impl Room {
    async fn open() -> Self {
        let world = World::start().await;
        let bert = world.add_account("bert", "member").await;
        let session = world
            .new_session(&["web-1", "--name", "pair", "--", "/bin/sh", "-c", QUIET])
            .await;
        Self {
            world,
            bert,
            session,
        }
    }

    async fn attach(&self, who: &Account) -> Person {
        let person = who.at_a_terminal(&["attach", "pair"]);
        person.sees("ready").await;
        person
    }

    async fn keyboard(&self, args: &[&str]) -> serde_json::Value {
        let args = [&["keyboard", "pair", "--json"], args].concat();
        let text = self.world.cmdop(&args).await.ok();
        serde_json::from_str(&text).expect("the keyboard is JSON")
    }

    async fn screen(&self) -> String {
        self.world.cmdop(&["capture", "pair"]).await.ok()
    }

    async fn wire(&self, who: &Account) -> Wire {
        let token = who.access_token().await;
        Wire::dial(
            &self.world.relay.url(),
            &self.world.control.ca_pem(),
            &token,
        )
        .await
    }
}

/// Waits until the person was told this in the terminal's title.
async fn is_told(person: &Person, text: &str) {
    let what = format!("the title says {text:?}");
    person
        .pty
        .wait_until(&what, 1, |pty| wire::contains(&pty.raw(), text.as_bytes()))
        .await;
}

#[tokio::test]
async fn the_keyboard_is_locked_requested_and_handed_over_with_keys() {
    let room = Room::open().await;
    let anna = room.attach(&room.world.owner).await;
    let bert = room.attach(&room.bert).await;
    room.keyboard(&["--mode", "exclusive"]).await;
    is_told(&anna, "cmdop: you hold the keyboard").await;
    is_told(&bert, "holds the keyboard: r after the escape key").await;
    bert.enter("not-yet");
    is_told(&bert, "holds the keyboard of the session").await;
    anna.enter("from-anna");
    bert.sees_line("<from-anna>").await;
    bert.type_keys("\x1dr");
    is_told(&anna, "cmdop: bert asks for the keyboard").await;
    anna.type_keys("\x1dg");
    is_told(&bert, "cmdop: you hold the keyboard").await;
    bert.enter("from-bert");
    anna.sees_line("<from-bert>").await;
    anna.enter("too-late");
    is_told(&anna, "bert holds the keyboard of the session").await;
    let screen = room.screen().await;
    assert!(
        !screen.contains("not-yet") && !screen.contains("too-late"),
        "{screen}"
    );
    bert.type_keys("\x1d?");
    is_told(&bert, "d detaches").await;
    assert_eq!(bert.detach().await, 0);
}

#[tokio::test]
async fn who_is_gone_can_be_relieved_and_who_is_active_cannot() {
    let room = Room::open().await;
    let anna = room.attach(&room.world.owner).await;
    let bert = room.attach(&room.bert).await;
    room.keyboard(&["--mode", "exclusive"]).await;
    anna.enter("mine");
    bert.sees_line("<mine>").await;
    let taken = room.bert.cli.run(&["keyboard", "pair", "--take"]).await;
    taken.refused(77, &["holds the keyboard", "30 s", "--request"]);
    let freed = room.bert.cli.run(&["keyboard", "pair", "--mode", "free"]);
    freed.await.refused(77, &["holds the keyboard"]);
    assert_eq!(anna.detach().await, 0);
    wait::until_true_async("the holder is away", || async {
        room.keyboard(&[]).await["holder_attached"] == false
    })
    .await;
    bert.type_keys("\x1dt");
    is_told(&bert, "cmdop: you hold the keyboard").await;
    bert.enter("bert-now");
    bert.sees_line("<bert-now>").await;
    let state = room.keyboard(&[]).await;
    assert_eq!(state["mode"], "exclusive");
    assert_eq!(state["holder"]["account_name"], "bert");
    let record = room.world.session("pair").await;
    assert_eq!(record["keyboard_mode"], "exclusive");
    assert_eq!(record["keyboard_holder"], "bert");
}

#[tokio::test]
async fn a_patched_client_types_nothing_while_another_holds_the_keyboard() {
    let room = Room::open().await;
    let anna = room.attach(&room.world.owner).await;
    room.keyboard(&["--mode", "exclusive"]).await;
    anna.enter("first");
    anna.sees_line("<first>").await;
    let wire = room.wire(&room.bert).await;
    let mut operator = wire
        .attach(&room.session, AttachMode::Operator)
        .await
        .unwrap();
    operator.until("the record", wire::opened).await;
    operator.type_keys(b"evil\n").await;
    let refusal = operator.until("the refusal", wire::refusal).await;
    assert_eq!(refusal.reason, "keyboard-held");
    let change = |change| {
        attach_request::Request::Keyboard(KeyboardChange {
            change: Some(change),
        })
    };
    let holder = room.keyboard(&[]).await["holder"]["client_id"].clone();
    let holder = holder.as_str().unwrap().to_owned();
    for (attempt, reason) in [
        (Change::Take(true), "keyboard-held"),
        (Change::Give(holder.clone()), "keyboard-held"),
        (Change::Mode(KeyboardMode::Free.into()), "keyboard-held"),
        (Change::Observe(holder.clone()), "role-too-low"),
        (Change::Mode(99), "bad-request"),
    ] {
        operator.send(change(attempt.clone())).await;
        let refusal = operator.until("the refusal", wire::refusal).await;
        assert_eq!(refusal.reason, reason, "{attempt:?}");
    }
    let mut observer = wire
        .attach(&room.session, AttachMode::Observer)
        .await
        .unwrap();
    observer.send(change(Change::Request(true))).await;
    let refusal = observer.until("the refusal", wire::refusal).await;
    assert_eq!(refusal.reason, "observer-read-only");
    // Nor by a call that pretends to be the holder.
    for client_id in [holder, uuid::Uuid::new_v4().to_string()] {
        let send = SendRequest {
            session: room.session.clone(),
            data: b"evil\n".as_slice().into(),
            client_id,
            input_seq: 1000,
        };
        let refused = wire.sessions().send(send).await.unwrap_err();
        let reason = cmdop_proto::Refusal::from(refused).reason;
        assert!(
            ["keyboard-held", "client-id-taken"].contains(&reason.as_str()),
            "{reason}"
        );
    }
    anna.enter("good");
    anna.sees_line("<good>").await;
    assert!(!room.screen().await.contains("evil"));
}

#[tokio::test]
async fn an_administrator_makes_an_operator_watch() {
    let room = Room::open().await;
    let anna = room.attach(&room.world.owner).await;
    let bert = room.attach(&room.bert).await;
    let refused = room
        .bert
        .cli
        .run(&["keyboard", "pair", "--observe", "bert"]);
    refused.await.refused(77, &["administrator"]);
    room.keyboard(&["--observe", "bert"]).await;
    is_told(&bert, "an administrator made this client an observer").await;
    bert.enter("evil");
    anna.enter("good");
    bert.sees_line("<good>").await;
    assert!(!room.screen().await.contains("evil"));
    let clients = room.keyboard(&[]).await["clients"].clone();
    let modes: Vec<_> = clients.as_array().unwrap().iter().collect();
    assert_eq!(modes.len(), 2);
    assert!(
        modes
            .iter()
            .any(|c| c["account_name"] == "bert" && c["mode"] == "observer")
    );
}

#[tokio::test]
async fn the_holder_keeps_the_keyboard_over_a_crash_of_the_relay() {
    let mut room = Room::open().await;
    let anna = room.attach(&room.world.owner).await;
    let bert = room.attach(&room.bert).await;
    room.keyboard(&["--mode", "exclusive"]).await;
    anna.enter("before");
    bert.sees_line("<before>").await;
    room.world.crash_relay().await;
    anna.enter("after");
    anna.sees_line("<after>").await;
    wait::until_true_async("both are back", || async {
        let state = room.keyboard(&[]).await;
        state["clients"].as_array().unwrap().len() == 2
    })
    .await;
    bert.enter("evil");
    is_told(&bert, "holds the keyboard of the session").await;
    anna.enter("good");
    bert.sees_line("<good>").await;
    assert!(!room.screen().await.contains("evil"));
    let state = room.keyboard(&[]).await;
    assert_eq!(state["mode"], "exclusive");
    assert_eq!(state["holder_attached"], true);
}
