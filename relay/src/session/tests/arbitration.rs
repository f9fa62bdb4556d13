//! Several clients at one session: who types, whose terminal counts, who is whom.

use cmdop_proto::v1::keyboard_change::Change as Ask;
use v1::attach_response::Response;
use v1::session_down::Message as Down;

use super::*;

fn ask(change: Ask) -> v1::KeyboardChange {
    v1::KeyboardChange {
        change: Some(change),
    }
}

fn exclusive() -> v1::KeyboardChange {
    ask(Ask::Mode(v1::KeyboardMode::Exclusive.into()))
}

fn account(name: &str, governs: bool) -> Asking {
    Asking {
        account: name.into(),
        governs,
        client: String::new(),
    }
}

fn size(cols: u32, rows: u32) -> Size {
    Size::new(rows, cols).unwrap()
}

impl Bench {
    async fn types(&self, who: AttachmentId, seq: u64) -> Result<(), Refusal> {
        let input = v1::Input {
            input_seq: seq,
            data: Bytes::from_static(b"x"),
        };
        self.session.typed(who, input).await
    }

    fn wrote(&self, client: ClientId, seq: u64) {
        let ack = v1::AgentInputAck {
            client_id: client.to_string(),
            input_seq: seq,
            command_id: seq,
        };
        let up = v1::session_up::Message::InputAck(ack);
        assert_eq!(self.session.hear(self.fence, up), Heard::Bytes(0));
    }

    fn sized(&self, cols: u32, rows: u32) -> AttachmentId {
        let who = Attaching {
            size: Some(size(cols, rows)),
            ..attaching(Mode::Operator, ClientId::new(), "ada")
        };
        self.session.attach(&who).unwrap()
    }

    /// The size that the agent is told, if it is told one; it takes that.
    fn told_size(&self) -> Option<String> {
        let downs = self.downs();
        let sizes = downs.into_iter().filter_map(|down| match down {
            Down::Resize(size) => Some(size),
            _ => None,
        });
        let size = sizes.last()?;
        let up = v1::session_up::Message::Resized(size);
        assert_eq!(self.session.hear(self.fence, up), Heard::Bytes(0));
        Some(format!("{}x{}", size.cols, size.rows))
    }

    fn settings(&self) -> Option<v1::SessionSettings> {
        let downs = self.downs();
        let kept = downs.into_iter().filter_map(|down| match down {
            Down::Settings(settings) => Some(settings),
            _ => None,
        });
        kept.last()
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_type_is_refused_with_the_holders_name_and_never_queued() {
    let bench = Bench::new();
    let ada = bench
        .attach_as(Mode::Operator, ClientId::new(), "ada")
        .unwrap();
    let bert = bench
        .attach_as(Mode::Operator, ClientId::new(), "bert")
        .unwrap();
    bench.types(bert, 1).await.unwrap();
    bench.session.client_keyboard(ada, exclusive()).unwrap();
    bench.downs();
    let refused = bench.types(bert, 2).await.unwrap_err();
    assert_eq!(refused.reason, "keyboard-held");
    assert!(refused.message.contains("ada"));
    let data = Bytes::from_static(b"x");
    let limit = Duration::from_secs(1);
    let script = bench
        .session
        .send(("bert", ClientId::new()), InputSeq(1), data, limit);
    assert_eq!(script.await.unwrap_err().reason, "keyboard-held");
    assert!(
        !bench
            .downs()
            .iter()
            .any(|down| matches!(down, Down::Input(_)))
    );
    bench.types(ada, 1).await.unwrap();
    assert!(
        bench
            .downs()
            .iter()
            .any(|down| matches!(down, Down::Input(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_before_the_keyboard_passed_is_acknowledged_and_not_refused() {
    let bench = Bench::new();
    let bert_id = ClientId::new();
    let ada = bench.attach(Mode::Operator);
    let bert = bench.attach_as(Mode::Operator, bert_id, "bert").unwrap();
    bench.types(bert, 1).await.unwrap();
    bench.session.client_keyboard(ada, exclusive()).unwrap();
    bench.downs();
    bench.wrote(bert_id, 1);
    // Its link broke before it heard.
    bench.session.detach(bert);
    let bert = bench.attach_as(Mode::Operator, bert_id, "bert").unwrap();
    bench.types(bert, 1).await.unwrap();
    assert_eq!(
        bench.types(bert, 2).await.unwrap_err().reason,
        "keyboard-held"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_who_reconnects_has_the_keyboard_still() {
    let bench = Bench::new();
    let id = ClientId::new();
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    let bert = bench
        .attach_as(Mode::Operator, ClientId::new(), "bert")
        .unwrap();
    bench.session.client_keyboard(ada, exclusive()).unwrap();
    bench.session.detach(ada);
    let keyboard = bench.session.record().keyboard.unwrap();
    assert_eq!(keyboard.holder.unwrap().client_id, id.to_string());
    assert!(!keyboard.holder_attached);
    assert!(bench.types(bert, 1).await.is_err());
    // Nobody else passes for it.
    let eve = bench.attach_as(Mode::Operator, id, "eve").unwrap_err();
    assert_eq!(eve.reason, "client-id-taken");
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    bench.types(ada, 1).await.unwrap();
    // While it is away, who operates may take it.
    bench.session.detach(ada);
    bench
        .session
        .client_keyboard(bert, ask(Ask::Take(true)))
        .unwrap();
    bench.types(bert, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_made_to_watch_watches_also_when_it_comes_again() {
    let bench = Bench::new();
    let id = ClientId::new();
    let bert = bench.attach_as(Mode::Operator, id, "bert").unwrap();
    bench.drain(bert);
    let observe = || ask(Ask::Observe(id.to_string()));
    let member = bench
        .session
        .keyboard(Some(observe()), &account("ada", false));
    assert_eq!(member.unwrap_err().reason, "role-too-low");
    let state = bench
        .session
        .keyboard(Some(observe()), &account("root", true))
        .unwrap();
    assert_eq!(state.clients[0].mode(), v1::AttachMode::Observer);
    let told = bench.next(bert);
    assert!(
        matches!(&told, ClientNext::Send(Message::Plain(Response::Refusal(refusal)))
            if refusal.detail.as_ref().unwrap().reason == "made-observer"),
        "{told:?}"
    );
    assert_eq!(
        bench.types(bert, 1).await.unwrap_err().reason,
        "observer-read-only"
    );
    bench.session.detach(bert);
    let bert = bench.attach_as(Mode::Operator, id, "bert").unwrap();
    assert!(matches!(
        bench.next(bert),
        ClientNext::Send(Message::Opened(_, Mode::Observer))
    ));
    assert!(bench.types(bert, 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_account_means_its_only_client_and_names_one_of_several() {
    let bench = Bench::new();
    let first = ClientId::new();
    bench.attach_as(Mode::Operator, first, "ada").unwrap();
    let ada = account("ada", false);
    let change = |change, asking: &Asking| bench.session.keyboard(Some(ask(change)), asking);
    bench.session.keyboard(Some(exclusive()), &ada).unwrap();
    let holder = || bench.session.record().keyboard.unwrap().holder.unwrap();
    assert_eq!(holder().client_id, first.to_string());
    let second = ClientId::new();
    bench.attach_as(Mode::Operator, second, "ada").unwrap();
    let which = change(Ask::Request(true), &ada).unwrap_err();
    assert_eq!(which.reason, "client-ambiguous");
    let asking = Asking {
        client: second.to_string(),
        ..ada.clone()
    };
    change(Ask::Request(true), &asking).unwrap();
    // For the holder no name is needed.
    change(Ask::Give(second.to_string()), &ada).unwrap();
    assert_eq!(holder().client_id, second.to_string());
    let stranger = change(Ask::Take(true), &account("bert", false)).unwrap_err();
    assert_eq!(stranger.reason, "not-attached");
    let nobody = change(Ask::Give("nobody".into()), &ada).unwrap_err();
    assert_eq!(nobody.reason, "client-unknown");
}

#[tokio::test(start_paused = true)]
async fn the_agent_keeps_the_keyboard_and_the_policy_for_the_next_relay() {
    let bench = Bench::new();
    let id = ClientId::new();
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    assert_eq!(bench.settings(), None);
    bench.session.client_keyboard(ada, exclusive()).unwrap();
    bench.session.resize(None, Some(Policy::Smallest)).unwrap();
    let kept = bench.settings().unwrap();
    let record = v1::Session {
        keyboard: kept.keyboard,
        size_policy: kept.size_policy,
        ..bench.session.record()
    };
    let summary = v1::SessionSummary {
        session: Some(record),
        ..v1::SessionSummary::default()
    };
    let ids = (SessionId::new(), MachineId::new());
    let facts = bench.session.lock().facts.clone();
    let terms = bench.session.lock().terms;
    let workspace = &bench.workspace;
    let found = Session::found(&bench.context, workspace, ids, facts, terms, &summary);
    let record = found.record();
    assert_eq!(record.size_policy(), v1::SizePolicy::Smallest);
    assert_eq!(
        record.keyboard.unwrap().holder.unwrap().client_id,
        id.to_string()
    );
    // A worker of the agent that was killed is told again.
    let token = bench.session.invite(LinkEpoch(2)).expose();
    let fence = bench.session.open(&token, &v1::SessionSummary::default());
    let bench = Bench {
        fence: fence.unwrap(),
        ..bench
    };
    assert!(bench.settings().is_some());
    // What changes while it is away reaches it too.
    bench.session.stream_lost(bench.fence);
    let free = ask(Ask::Mode(v1::KeyboardMode::Free.into()));
    bench.session.client_keyboard(ada, free).unwrap();
    bench.session.resize(None, Some(Policy::Latest)).unwrap();
    let token = bench.session.invite(LinkEpoch(3)).expose();
    let bench = Bench {
        fence: bench.session.open(&token, &summary).unwrap(),
        ..bench
    };
    let kept = bench.settings().unwrap();
    assert_eq!(
        kept.keyboard.clone().unwrap().mode(),
        v1::KeyboardMode::Free
    );
    assert_eq!(kept.size_policy(), v1::SizePolicy::Latest);
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_cannot_use_the_client_id_of_another_account() {
    let bench = Bench::new();
    let id = ClientId::new();
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    bench.session.detach(ada);
    let data = Bytes::from_static(b"x");
    let limit = Duration::from_secs(1);
    let eve = bench.session.send(("eve", id), InputSeq(1000), data, limit);
    assert_eq!(eve.await.unwrap_err().reason, "client-id-taken");
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    bench.types(ada, 1).await.unwrap();
    assert!(
        bench
            .downs()
            .iter()
            .any(|down| matches!(down, Down::Input(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_word_decides_the_size_and_when_its_client_leaves_the_one_before() {
    let bench = Bench::new();
    let ada = bench.sized(120, 40);
    assert_eq!(bench.told_size().as_deref(), Some("120x40"));
    let bert = bench.sized(90, 30);
    assert_eq!(bench.told_size().as_deref(), Some("90x30"));
    bench
        .session
        .client_resized(ada, size(100, 50).into())
        .unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("100x50"));
    // Who had not the last word leaves it as it is.
    bench.session.detach(bert);
    assert_eq!(bench.told_size(), None);
    let cleo = bench.sized(70, 20);
    assert_eq!(bench.told_size().as_deref(), Some("70x20"));
    bench.session.detach(cleo);
    assert_eq!(bench.told_size().as_deref(), Some("100x50"));
    // A script has the last word too.
    bench.session.resize(Some(size(61, 17)), None).unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("61x17"));
    bench.session.detach(ada);
    assert_eq!(bench.told_size(), None);
}

#[tokio::test(start_paused = true)]
async fn each_policy_decides_and_an_observer_never_does() {
    let bench = Bench::new();
    bench.sized(120, 20);
    let bert = bench.sized(80, 50);
    let observer = Attaching {
        size: Some(size(10, 10)),
        ..attaching(Mode::Observer, ClientId::new(), "eve")
    };
    let eve = bench.session.attach(&observer).unwrap();
    assert!(
        bench
            .session
            .client_resized(eve, size(9, 9).into())
            .is_err()
    );
    bench.downs();
    let policy = |policy| bench.session.resize(None, Some(policy));
    policy(Policy::Smallest).unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("80x20"));
    let decided = bench.session.resize(Some(size(99, 9)), None).unwrap_err();
    assert_eq!(decided.reason, "size-policy");
    policy(Policy::Largest).unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("120x50"));
    bench.session.detach(bert);
    assert_eq!(bench.told_size().as_deref(), Some("120x20"));
    bench
        .session
        .resize(Some(size(61, 17)), Some(Policy::Manual))
        .unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("61x17"));
    bench.sized(80, 24);
    assert_eq!(bench.told_size(), None);
}

#[tokio::test(start_paused = true)]
async fn where_the_keyboard_is_exclusive_the_size_is_its_holders() {
    let bench = Bench::new();
    let ada = bench.sized(120, 40);
    bench.session.client_keyboard(ada, exclusive()).unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("120x40"));
    bench.sized(80, 24);
    assert_eq!(bench.told_size(), None);
    let second = bench.session.lock().clients[1].id;
    let give = ask(Ask::Give(second.to_string()));
    bench.session.client_keyboard(ada, give).unwrap();
    assert_eq!(bench.told_size().as_deref(), Some("80x24"));
}
