//! What the keyboard promises, alone and in front of the input queue.

use std::collections::BTreeSet;

use bytes::Bytes;
use cmdop_proto::InputSeq;
use proptest::prelude::*;

use super::super::input::{Accepted, Inputs};
use super::*;

fn typist(n: u8) -> Typist {
    Typist {
        client: ClientId::from(uuid::Uuid::from_bytes([n; 16])),
        account: format!("account-{n}"),
        name: format!("person-{n}"),
    }
}

fn actor(n: u8) -> Actor {
    Actor {
        client: Some(typist(n)),
        governs: false,
    }
}

fn admin() -> Actor {
    Actor {
        client: None,
        governs: true,
    }
}

fn everybody(_: ClientId) -> bool {
    true
}

fn nobody(_: ClientId) -> bool {
    false
}

fn held(now: Instant) -> Keyboard {
    let mut keyboard = Keyboard::default();
    let locked = keyboard.change(Change::Exclusive, actor(1), now, &everybody);
    assert_eq!(locked, Ok(true));
    keyboard
}

fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.unwrap_err().reason
}

#[tokio::test(start_paused = true)]
async fn a_free_keyboard_is_everybodys_and_an_exclusive_one_its_holders() {
    let mut keyboard = Keyboard::default();
    assert!(keyboard.may_type(typist(2).client));
    keyboard = held(Instant::now());
    assert!(keyboard.may_type(typist(1).client));
    assert!(!keyboard.may_type(typist(2).client));
    assert_eq!(keyboard.refusal().reason, "keyboard-held");
    assert!(keyboard.refusal().message.contains("person-1"));
}

#[tokio::test(start_paused = true)]
async fn a_holder_hands_over_to_who_asked() {
    let now = Instant::now();
    let mut keyboard = held(now);
    let ask = keyboard.change(Change::Request, actor(2), now, &everybody);
    assert_eq!(ask, Ok(true));
    let again = keyboard.change(Change::Request, actor(2), now, &everybody);
    assert_eq!(again, Ok(false));
    assert_eq!(keyboard.message(&everybody).requests.len(), 1);
    let others = keyboard.change(Change::Give(typist(3)), actor(3), now, &everybody);
    assert_eq!(reason(others), "keyboard-held");
    let given = keyboard.change(Change::Give(typist(2)), actor(1), now, &everybody);
    assert_eq!(given, Ok(true));
    assert!(keyboard.may_type(typist(2).client) && !keyboard.may_type(typist(1).client));
    assert!(keyboard.message(&everybody).requests.is_empty());
    let absent = keyboard.change(Change::Give(typist(3)), actor(2), now, &nobody);
    assert_eq!(reason(absent), "client-observes");
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_from_a_holder_who_is_idle_or_gone_and_from_no_other() {
    let now = Instant::now();
    let mut keyboard = held(now);
    let soon = now + IDLE - Duration::from_secs(1);
    let early = keyboard.change(Change::Take, actor(2), soon, &everybody);
    assert_eq!(reason(early), "keyboard-held");
    keyboard.typed(soon);
    let still = keyboard.change(Change::Take, actor(2), now + IDLE, &everybody);
    assert_eq!(reason(still), "keyboard-held");
    let free = keyboard.change(Change::Free, actor(2), now + IDLE, &everybody);
    assert_eq!(reason(free), "keyboard-held");
    let idle = keyboard.change(Change::Take, actor(2), soon + IDLE, &everybody);
    assert_eq!(idle, Ok(true));
    // Gone: at once. Until then it is kept for its return.
    assert!(keyboard.left(typist(2).client));
    assert!(keyboard.may_type(typist(2).client));
    let gone = keyboard.change(Change::Take, actor(3), soon + IDLE, &nobody);
    assert_eq!(gone, Ok(true));
    assert!(!keyboard.may_type(typist(2).client));
}

#[tokio::test(start_paused = true)]
async fn only_an_administrator_makes_others_watch() {
    let now = Instant::now();
    let mut keyboard = held(now);
    let observe = Change::Observe(typist(1).client);
    let refused = keyboard.change(observe.clone(), actor(2), now, &everybody);
    assert_eq!(reason(refused), "role-too-low");
    assert_eq!(keyboard.change(observe, admin(), now, &everybody), Ok(true));
    assert!(keyboard.must_watch(typist(1).client) && !keyboard.may_type(typist(1).client));
    assert_eq!(keyboard.refusal().reason, "keyboard-vacant");
    let given = keyboard.change(Change::Request, actor(2), now, &everybody);
    assert_eq!(given, Ok(true));
    assert!(keyboard.may_type(typist(2).client));
    for n in 0..=255 {
        let observe = Change::Observe(typist(n).client);
        keyboard.change(observe, admin(), now, &everybody).unwrap();
    }
    assert_eq!(keyboard.watchers.len(), MAX_WATCHERS);
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_kept_gives_the_holder_its_keyboard_back() {
    let now = Instant::now();
    let kept = held(now).message(&everybody);
    let mut keyboard = Keyboard::restored(Some(&kept), now);
    assert!(keyboard.may_type(typist(1).client) && !keyboard.may_type(typist(2).client));
    let taken = keyboard.change(Change::Take, actor(2), now, &everybody);
    assert_eq!(reason(taken), "keyboard-held");
    assert!(!Keyboard::restored(None, now).is_exclusive());
    let hostile = v1::Keyboard {
        holder: Some(v1::Typist {
            client_id: "../x".into(),
            ..v1::Typist::default()
        }),
        ..kept
    };
    assert!(Keyboard::restored(Some(&hostile), now).holder().is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_are_bounded() {
    let now = Instant::now();
    let mut keyboard = held(now);
    for n in 2..2 + MAX_REQUESTS as u8 {
        let ask = keyboard.change(Change::Request, actor(n), now, &everybody);
        assert_eq!(ask, Ok(true));
    }
    let more = keyboard.change(Change::Request, actor(99), now, &everybody);
    assert_eq!(reason(more), "too-many-requests");
}

#[derive(Clone, Debug)]
enum Step {
    Key(u8),
    Attach(u8),
    Leave(u8),
    Pass(u64),
    Free(u8),
    Exclusive(u8),
    Request(u8),
    Take(u8),
    Give(u8, u8),
    Observe(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0u8..5;
    prop_oneof![
        6 => who.clone().prop_map(Step::Key),
        2 => who.clone().prop_map(Step::Attach),
        1 => who.clone().prop_map(Step::Leave),
        2 => (1u64..40).prop_map(Step::Pass),
        1 => who.clone().prop_map(Step::Free),
        2 => who.clone().prop_map(Step::Exclusive),
        2 => who.clone().prop_map(Step::Request),
        2 => who.clone().prop_map(Step::Take),
        2 => (who.clone(), who.clone()).prop_map(|(from, to)| Step::Give(from, to)),
        1 => who.prop_map(Step::Observe),
    ]
}

proptest! {
    /// Whatever five clients do to each other: what reaches the queue while the keyboard is exclusive
    /// was typed by its holder, there is never more than one, and it passes from a holder who is there
    /// and active by nobody's will but theirs or an administrator's.
    #[test]
    fn no_input_of_a_non_holder_reaches_the_queue_while_the_keyboard_is_exclusive(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut now = Instant::now();
        let mut keyboard = Keyboard::default();
        let mut inputs = Inputs::default();
        let mut attached: BTreeSet<ClientId> = (0..5).map(|n| typist(n).client).collect();
        let mut seqs = [0u64; 5];
        let mut active: Option<(ClientId, Instant)> = None;
        for step in steps {
            let before = keyboard.holder().map(|who| who.client);
            let was_attached = attached.clone();
            let is_attached = |client: ClientId| was_attached.contains(&client);
            let mut by = None;
            let mut ask = |change, who: u8, keyboard: &mut Keyboard| {
                by = Some(typist(who).client);
                if is_attached(typist(who).client) {
                    let _ = keyboard.change(change, actor(who), now, &is_attached);
                }
            };
            match step {
                Step::Key(n) => {
                    let who = typist(n).client;
                    seqs[n as usize] += 1;
                    // As the session does it.
                    let seq = InputSeq(seqs[n as usize]);
                    if attached.contains(&who) && keyboard.may_type(who) {
                        let taken = inputs.accept(who, seq, Bytes::from_static(b"x"));
                        prop_assert!(matches!(taken, Accepted::Queued(_)));
                        keyboard.typed(now);
                    }
                    while let Some(queued) = inputs.next_to_send().cloned() {
                        if keyboard.is_exclusive() {
                            prop_assert_eq!(Some(queued.client), before);
                            active = Some((queued.client, now));
                        }
                        inputs.written(queued.client, queued.seq);
                    }
                }
                Step::Attach(n) => { attached.insert(typist(n).client); }
                Step::Leave(n) => {
                    attached.remove(&typist(n).client);
                    keyboard.left(typist(n).client);
                }
                Step::Pass(seconds) => now += Duration::from_secs(seconds),
                Step::Free(n) => ask(Change::Free, n, &mut keyboard),
                Step::Exclusive(n) => ask(Change::Exclusive, n, &mut keyboard),
                Step::Request(n) => ask(Change::Request, n, &mut keyboard),
                Step::Take(n) => ask(Change::Take, n, &mut keyboard),
                Step::Give(from, to) => ask(Change::Give(typist(to)), from, &mut keyboard),
                Step::Observe(n) => {
                    let observe = Change::Observe(typist(n).client);
                    keyboard.change(observe, admin(), now, &is_attached).unwrap();
                    attached.remove(&typist(n).client);
                    by = before;
                }
            }
            let after = keyboard.holder().map(|who| who.client);
            if let Some(holder) = before
                && after != before
                && by != before
            {
                let is_active = active
                    .is_some_and(|(who, at)| who == holder && now < at + IDLE);
                prop_assert!(!(was_attached.contains(&holder) && is_active));
            }
            if after != before {
                active = after.map(|holder| (holder, now));
            }
            prop_assert!((0..5).filter(|n| keyboard.may_type(typist(*n).client)).count() <= 1
                || !keyboard.is_exclusive());
        }
    }
}
