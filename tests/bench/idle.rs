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
    let machine = world.machine("web-1");
    // One daemon is two processes: the holder, and the worker that it starts.
    let daemon = [machine.program().pid(), machine.worker().await];
    let token = world.owner.access_token().await;
    let wire = Wire::dial(&world.relay.url(), &world.control.ca_pem(), &token).await;
    let mut sessions = wire.sessions();
    // What the first session allocates for good is not counted.
    create(&mut sessions).await;
    settle().await;
    let programs: [(&str, &[u32], &str); 3] = [
        ("control plane", &[control], ""),
        ("relay", &[relay], "goal ≤ 64 a session"),
        ("daemon", &daemon, "goal ≤ 15360 with 1"),
    ];
    let first = programs.map(|(_, pids, _)| Memory::of(pids));
    for _ in 0..count {
        create(&mut sessions).await;
    }
    settle().await;
    println!("\nidle, memory in KiB: resident, and with pages that processes share counted once");
    for ((name, pids, goal), first) in programs.into_iter().zip(first) {
        let all = Memory::of(pids);
        let each = (all.proportional as f64 - first.proportional as f64) / count as f64;
        println!(
            "  {name:<14} 1 session {:>6} {:>6}   {count} more {:>6} {:>6}   {each:>5.1} a session   {goal}",
            first.resident, first.proportional, all.resident, all.proportional,
        );
    }
    let before = programs.map(|(_, pids, _)| cpu(pids));
    tokio::time::sleep(WATCHED).await;
    println!(
        "idle, processor time over {} s with {} sessions",
        WATCHED.as_secs(),
        count + 1
    );
    for ((name, pids, _), before) in programs.into_iter().zip(before) {
        let share = (cpu(pids) - before) / WATCHED.as_secs_f64() * 100.0;
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

/// The memory of some processes together, KiB.
#[derive(Clone, Copy)]
struct Memory {
    resident: u64,
    /// A page that several processes have is divided among them (PSS, proc_pid_smaps(5)).
    proportional: u64,
}

impl Memory {
    fn of(pids: &[u32]) -> Self {
        let sum = |name: &str| pids.iter().map(|pid| rollup(*pid, name)).sum();
        Self {
            resident: sum("Rss:"),
            proportional: sum("Pss:"),
        }
    }
}

/// A number of /proc/PID/smaps_rollup, KiB.
pub(crate) fn rollup(pid: u32, name: &str) -> u64 {
    let all = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = all.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The processor time that some processes took so far, seconds.
fn cpu(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in brackets may hold blanks; the fields after it do not.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let both = fields.split_whitespace().skip(11).take(2);
        both.filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
    };
    pids.iter().map(ticks).sum::<f64>() / TICKS
}
