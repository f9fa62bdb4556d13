//! `true` on 50 machines with one command: 50 agents in this process, 50 names of one sshd.

use std::process::{Command, Stdio};

use cmdop_client::dial::{Lane, Trust, dial};
use cmdop_daemon::{Config, Enrollment, LinkState};
use cmdop_proto::v1::CreateEnrollTokenRequest;
use cmdop_proto::v1::machine_service_client::MachineServiceClient;
use cmdop_tests::{World, binaries, wait};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::figures::{Race, Shuffle, Table};
use crate::sshd::Sshd;

const HOSTS: usize = 50;

/// Measures both in turn, `rounds` times.
pub(crate) async fn measure(world: &World, sshd: Option<&Sshd>, rounds: usize, table: &mut Table) {
    let stop = CancellationToken::new();
    let mut agents = start_agents(world, &stop).await;
    let mut runners = vec![("cmdop", cmdop(world))];
    let what = match sshd {
        Some(sshd) if have("pdsh") => {
            runners.push(("ssh", pdsh(sshd)));
            "exec true on 50 (pdsh as ssh)"
        }
        Some(sshd) => {
            runners.push(("ssh", thirty_two_at_a_time(sshd)));
            "exec true on 50 (32 × ssh at once)"
        }
        None => "exec true on 50",
    };
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    for _ in 0..rounds {
        shuffle.shuffle(&mut runners);
        for (name, words) in &runners {
            let before = Instant::now();
            run(words, world).await;
            race.entry(name).or_default().push(before.elapsed());
        }
    }
    table.row(what, "≤ 0.1 × pdsh", &race, 0.5);
    stop.cancel();
    let ended = async { while agents.join_next().await.is_some() {} };
    wait::within("the agents end", ended).await;
}

/// Enrols and links 50 agents of this process.
async fn start_agents(world: &World, stop: &CancellationToken) -> JoinSet<()> {
    let trust = Trust::Ca(world.control.ca_pem());
    let channel = dial(&world.control.url(), &trust, Lane::Interactive)
        .await
        .expect("the control plane");
    let bearer = format!("Bearer {}", world.owner.access_token().await);
    let mut machines = MachineServiceClient::new(channel);
    let mut agents = JoinSet::new();
    for number in 1..=HOSTS {
        let mut request = Request::new(CreateEnrollTokenRequest::default());
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().expect("a token is ASCII"));
        let token = machines
            .create_enroll_token(request)
            .await
            .expect("a token")
            .into_inner()
            .token;
        let data_dir = world.directory().join(format!("agent-{number}"));
        let enrollment = Enrollment {
            control_url: world.control.url(),
            token,
            hostname: Some(format!("h{number}")),
            labels: [("bench".to_owned(), "yes".to_owned())].into(),
            data_dir: data_dir.clone(),
        };
        cmdop_daemon::enroll(enrollment)
            .await
            .expect("an agent enrols");
        let config = Config {
            environment: std::env::vars_os().collect(),
            ..Config::new(data_dir)
        };
        let mut link = config.link.subscribe();
        let stop = stop.clone();
        agents.spawn(async move {
            if let Err(error) = cmdop_daemon::run(config, stop).await {
                println!("an agent gave up: {error}");
            }
        });
        let linked = link.wait_for(|state| matches!(state, LinkState::Linked { .. }));
        wait::within("an agent links", linked)
            .await
            .expect("the agent runs");
    }
    agents
}

fn cmdop(_world: &World) -> Vec<String> {
    let cmdop = binaries::path("cmdop").display().to_string();
    let words = ["exec", "-q", "-l", "bench=yes", "--", "true"].map(str::to_owned);
    std::iter::once(cmdop).chain(words).collect()
}

fn pdsh(sshd: &Sshd) -> Vec<String> {
    let hosts = format!("h[1-{HOSTS}]");
    let append = format!("PDSH_SSH_ARGS_APPEND=-F {}", sshd.config().display());
    ["env", &append, "pdsh", "-R", "ssh", "-w", &hosts, "true"]
        .map(str::to_owned)
        .into()
}

/// What pdsh does, for machines without it.
fn thirty_two_at_a_time(sshd: &Sshd) -> Vec<String> {
    let command = sshd.command().join(" ");
    let script = format!("seq 1 {HOSTS} | xargs -P 32 -I N {command} hN true");
    ["sh", "-c", &script].map(str::to_owned).into()
}

fn have(program: &str) -> bool {
    Command::new(program)
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// The agents of this process work meanwhile.
async fn run(words: &[String], world: &World) {
    let run = tokio::process::Command::new(&words[0])
        .args(&words[1..])
        .envs(world.owner.cli.env().iter().cloned())
        .stdin(Stdio::null())
        .output();
    let output = wait::within_times("a fan-out", 3, run)
        .await
        .expect("the candidate starts");
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
