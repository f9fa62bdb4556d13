//! What reaches clients that come back, want little, or take nothing.

use cmdop_proto::limits::RELAY_WINDOW;
use v1::attach_response::Response;
use v1::session_down::Message as Down;

use super::*;

impl Bench {
    fn paced(&self, mode: Mode, rate: u32) -> AttachmentId {
        let who = Attaching {
            rate: Some(rate),
            ..attaching(mode, ClientId::new(), "ada")
        };
        self.session.attach(&who).unwrap()
    }

    /// The outputs and keyframes that the client gets now.
    fn updates(&self, attachment: AttachmentId) -> (usize, usize) {
        let (mut outputs, mut keyframes) = (0, 0);
        loop {
            match self.next(attachment) {
                ClientNext::Send(Message::Plain(Response::Output(_))) => outputs += 1,
                ClientNext::Send(Message::Plain(Response::Keyframe(_))) => keyframes += 1,
                ClientNext::Send(_) => {}
                ClientNext::Sleep => return (outputs, keyframes),
                other => panic!("{other:?}"),
            }
        }
    }

    fn resumed(&self, from: u64) -> AttachmentId {
        let who = Attaching {
            resume_from: Some(Offset(from)),
            ..attaching(Mode::Operator, ClientId::new(), "ada")
        };
        self.session.attach(&who).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_paced_client_gets_so_many_updates_a_second_and_then_the_newest_state() {
    let bench = Bench::new();
    let eve = bench.paced(Mode::Observer, 2);
    bench.prints(1 << 10);
    assert_eq!(bench.updates(eve), (1, 0));
    // Not before its time, however much comes; then what little there is, at once.
    bench.prints(2 << 10);
    bench.prints(3 << 10);
    assert_eq!(bench.updates(eve), (0, 0));
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(matches!(bench.updates(eve), (1..=2, 0)));
    // Much is not sent, but shown.
    bench.prints(64 << 10);
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(bench.updates(eve), (0, 0));
    assert_eq!(bench.keyframes_wanted(), 1);
    assert_eq!(bench.keyframe(9), Heard::Bytes(0));
    assert_eq!(bench.updates(eve), (0, 1));
    let state = bench.session.lock();
    assert!(state.clients[0].cursor.is_caught_up(&state.log));
}

#[tokio::test(start_paused = true)]
async fn a_paced_client_sleeps_until_its_update_is_due_and_is_woken_for_it() {
    let bench = Bench::new();
    let eve = bench.paced(Mode::Observer, 1);
    bench.prints(1 << 10);
    bench.updates(eve);
    bench.prints(2 << 10);
    assert!(bench.session.lock().clients[0].waker.is_some());
    assert_eq!(bench.context.deadlines.count(), 1);
    bench.pass(1).await;
    // Its waker was used.
    assert!(bench.session.lock().clients[0].waker.is_none());
    assert_eq!(bench.updates(eve), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_paced_operator_holds_no_session_back() {
    let bench = Bench::new();
    bench.paced(Mode::Operator, 1);
    let granted = |downs: Vec<Down>| {
        let grants = downs.into_iter().filter_map(|down| match down {
            Down::ReadUpTo(offset) => Some(offset),
            _ => None,
        });
        grants.last()
    };
    assert_eq!(granted(bench.downs()), Some(u64::MAX));
    bench.attach(Mode::Operator);
    assert_eq!(granted(bench.downs()), Some(RELAY_WINDOW as u64));
}

#[tokio::test(start_paused = true)]
async fn a_paced_client_of_a_session_that_ends_gets_its_last_bytes() {
    let bench = Bench::new();
    let eve = bench.paced(Mode::Observer, 10);
    bench.prints(64 << 10);
    // It waits for a picture that nobody will draw.
    assert_eq!(bench.updates(eve), (0, 0));
    bench.session.gone_on_agent(None, "its program ended");
    let mut bytes = 0;
    loop {
        match bench.next(eve) {
            ClientNext::Send(Message::Plain(Response::Output(output))) => {
                bytes += output.data.len();
            }
            ClientNext::Send(_) => {}
            ClientNext::Sleep => bench.pass(1).await,
            ClientNext::SendEnd => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, 64 << 10);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_goes_back_hears_first_how_far_it_may() {
    let bench = Bench::new();
    bench.prints(3 << 20);
    bench.downs();
    bench.resumed(1 << 20);
    let downs = bench.downs();
    let reach = (1 << 20) + RELAY_WINDOW as u64;
    assert_eq!(
        downs[..2],
        [Down::ReadUpTo(reach), Down::SendFrom(1 << 20)],
        "{downs:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_go_back_is_not_waited_for() {
    let bench = Bench::new();
    bench.prints(3 << 20);
    let ada = bench.resumed(1 << 20);
    assert_eq!(bench.updates(ada), (0, 0));
    bench.pass(9).await;
    assert_eq!((bench.updates(ada), bench.keyframes_wanted()), ((0, 0), 0));
    bench.pass(1).await;
    assert_eq!((bench.updates(ada), bench.keyframes_wanted()), ((0, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn what_an_ended_session_keeps_is_counted_until_its_time_is_up() {
    let bench = Bench::new();
    bench.prints(64 << 10);
    bench.session.gone_on_agent(None, "its program ended");
    assert_eq!(bench.context.lingering.bytes(), 64 << 10);
    bench.pass(29).await;
    assert_eq!(bench.context.lingering.bytes(), 64 << 10);
    bench.pass(1).await;
    assert_eq!(bench.context.lingering.bytes(), 0);
    let end = bench.session.record().end_offset;
    assert_eq!(bench.session.lock().log.start(), Offset(end));
}
