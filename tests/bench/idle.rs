//! What an idle cmdop costs: memory for each session, and processor time.

use std::time::Duration;

use cmdop_proto::v1::{CreateSessionRequest, session_service_client::SessionServiceClient};
use cmdop_tests::{World, wait, wire::Wire};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// Clock ticks a second in /proc (USER_HZ), the same on every Linux.
const TICKS: f64 = 100.0;

/// How long the processor time of idle programs is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// Measures with `count` idle sessions.
pub(crate) async fn measure(mut world: World, count: usize) {
    let relay = world.relay.program.pid();
    let control = world.control.program.pid();
    let daemon = world.machine("web-1").program().pid();
    let token = world.owner.access_token().await;
    let wire = Wire::dial(&world.relay.url(), &world.control.ca_pem(), &token).await;
    let mut sessions = wire.sessions();
    // What the first session allocates for good is not counted.
    create(&mut sessions).await;
    settle().await;
    let (relay_before, daemon_before) = (resident(relay), resident(daemon));
    for _ in 0..count {
        create(&mut sessions).await;
    }
    settle().await;
    let (relay_after, daemon_after) = (resident(relay), resident(daemon));
    println!("\nidle, resident memory in KiB");
    println!("  control plane          {:>8}", resident(control));
    println!("  relay, 1 session       {relay_before:>8}");
    println!(
        "  relay, {:>3} more        {relay_after:>8}   {:.1} a session   goal ≤ 64",
        count,
        each(relay_before, relay_after, count)
    );
    println!("  agent, 1 session       {daemon_before:>8}                  goal ≤ 15360");
    println!(
        "  agent, {:>3} more        {daemon_after:>8}   {:.1} a session",
        count,
        each(daemon_before, daemon_after, count)
    );
    let before = [relay, daemon, control].map(cpu);
    tokio::time::sleep(WATCHED).await;
    let after = [relay, daemon, control].map(cpu);
    println!(
        "idle, processor time over {} s with {count} sessions",
        WATCHED.as_secs()
    );
    for (index, name) in ["relay", "agent", "control plane"].into_iter().enumerate() {
        let share = (after[index] - before[index]) / WATCHED.as_secs_f64() * 100.0;
        println!("  {name:<14} {share:>6.1} %");
    }
}

async fn create<I>(sessions: &mut SessionServiceClient<InterceptedService<Channel, I>>)
where
    I: tonic::service::Interceptor,
{
    let request = CreateSessionRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        machine: "web-1".into(),
        command: vec!["/bin/cat".into()],
        size: Some(cmdop_proto::Size::DEFAULT.into()),
        ..Default::default()
    };
    let created = wait::within("a session", sessions.create(request)).await;
    created.expect("a session is made");
}

/// Until what the last sessions caused is done.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

fn each(before: u64, after: u64, count: usize) -> f64 {
    (after as f64 - before as f64) / count as f64
}

/// The resident memory of a process, KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The processor time that a process took so far, seconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold blanks; the fields after it do not.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / TICKS
}
