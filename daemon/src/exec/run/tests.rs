//! How a run ends when its caller does, whatever the program does meanwhile.

use super::*;
use crate::exec::program::{Input, Program};
use crate::exec::talk::tests::{nowhere, opening};
use crate::fake_relay::within;
use rustix::process::Signal;

/// What a caller who does not come back asks for.
fn job() -> Job {
    let (_, visits) = mpsc::channel(1);
    let (link, _) = mpsc::channel(1);
    let (lane, tokens) = nowhere();
    Job {
        command_id: 1,
        start: v1::StartExec::default(),
        lane,
        tokens,
        user: Arc::new(crate::user::User::current(&[])),
        link,
        stop: CancellationToken::new(),
        caller_gone: CancellationToken::new(),
        visits,
        has_ended: Arc::default(),
        notice: Duration::ZERO,
        holder: crate::holder::client::Holder::Own,
    }
}

#[tokio::test]
async fn the_time_to_kill_comes_before_the_output_of_a_flood() {
    let program = Program {
        argv: vec!["yes".into()],
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        stdin: Input::Nothing,
    };
    let started = program.start().unwrap();
    let talk = opening(tonic::Status::unavailable("nobody hears it"));
    let mut run = Run::new(talk, started, job()).unwrap();
    run.abandon();
    // Nobody reads: from now on there is always something to read.
    within("output", run.living.stdout.readable()).await;
    run.living.kill_at(Instant::now());
    let event = within("the deadline", async {
        loop {
            // The end of the stream and of the program come first; output does not.
            match run.next().await {
                Event::Talk(_) => {}
                Event::Ended => run.living.process_ended(),
                event => break event,
            }
        }
    })
    .await;
    assert!(matches!(event, Event::Deadline));
    run.living.signal(Signal::KILL);
}
