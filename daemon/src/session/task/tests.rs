//! Whole sessions with real terminals, against a relay that the test plays.

mod end;
mod input;
mod output;
mod terminal;

use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as AgentUp;
use cmdop_proto::v1::control_message::Message as Order;
use cmdop_proto::v1::exit::Outcome;
use cmdop_proto::v1::session_down::Message as Down;
use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{SessionId, v1};
use rustix::process::{Pid, test_kill_process};

use crate::fake_relay::{SessionStream, World, start_session, within};

#[allow(clippy::unnecessary_wraps, reason = "as it stands in the message")]
fn code(code: u32) -> Option<v1::Exit> {
    Some(v1::Exit {
        outcome: Some(Outcome::Code(code)),
    })
}

#[allow(clippy::unnecessary_wraps, reason = "as it stands in the message")]
fn signal(signal: u32) -> Option<v1::Exit> {
    Some(v1::Exit {
        outcome: Some(Outcome::Signal(signal)),
    })
}

async fn gone(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    within("the end of a process", async {
        while test_kill_process(pid).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The name of the program that leads the foreground group of `shell`'s terminal (proc(5)).
fn foreground_command(shell: i32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{shell}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let group = fields.split_ascii_whitespace().nth(5).unwrap();
    std::fs::read_to_string(format!("/proc/{group}/comm")).unwrap_or_default()
}

/// The number after `word` in the output.
fn number_after(session: &SessionStream, word: &str) -> i32 {
    let text = session.text();
    let digits = text.split(word).nth(1).expect("the word was printed");
    digits
        .trim_start()
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
