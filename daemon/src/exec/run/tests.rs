//! How a run ends when its caller does, whatever the program does meanwhile.

use super::*;
use crate::exec::program::{Input, Program};
use crate::exec::talk::tests::opening;
use crate::fake_relay::within;

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
    let mut run = Run::new(talk, started, Duration::ZERO).unwrap();
    run.force(Why::CallerGone);
    // Nobody reads: from now on there is always something to read.
    within("output", run.stdout.readable()).await;
    run.forced = Some(Forced {
        why: Why::CallerGone,
        kill_at: Some(Instant::now()),
    });
    let stop = CancellationToken::new();
    let event = within("the deadline", async {
        loop {
            // The end of the stream and of the program come first; output does not.
            match run.next(&stop, &stop).await {
                Event::Talk(_) => {}
                Event::Ended => run.ended(),
                event => break event,
            }
        }
    })
    .await;
    assert!(matches!(event, Event::Deadline));
    run.process.signal_group(Signal::KILL);
}
