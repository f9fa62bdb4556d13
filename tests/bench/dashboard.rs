//! The dashboard of 2,000 machines in 50 fleets at 200×60, with a filter and an order: what one step of
//! scrolling takes, from the key to the cells that have to be sent. It needs no servers.

use std::time::Duration;

use cmdop_client::follow::Change;
use cmdop_proto::{MachineId, v1};
use cmdop_tui::app::Now;
use cmdop_tui::dashboard::{Column, Command, Dashboard, Settings, draw};
use cmdop_tui::theme::{Depth, Theme};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use tokio::time::Instant;

const MACHINES: u32 = 2_000;
const FLEETS: u32 = 50;
const SIZE: Size = Size {
    width: 200,
    height: 60,
};

/// Heartbeats that come in one second when each machine sends one every 30 s.
const HEARTBEATS: u32 = 67;

/// Prints a line for each way of scrolling.
pub(crate) fn measure(steps: usize) {
    println!("dashboard: {MACHINES} machines, {FLEETS} fleets, 200x60, filter and order by cpu");
    let mut bench = Bench::new();
    let still = bench.scroll(steps, 0);
    print("scroll one row and draw", still);
    let busy = bench.scroll(steps, HEARTBEATS);
    print("the same after a second's heartbeats", busy);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("  {what:<38} p50 {:.3} ms  p99 {:.3} ms", at(50), at(99));
}

struct Bench {
    dashboard: Dashboard,
    terminal: Terminal<TestBackend>,
    theme: Theme,
    now: Now,
    ids: Vec<MachineId>,
    next: u32,
}

impl Bench {
    fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            wall_ms: 1_800_000_000_000,
        };
        let backend = TestBackend::new(SIZE.width, SIZE.height);
        let mut bench = Self {
            dashboard: Dashboard::new(Settings::default(), now),
            terminal: Terminal::new(backend).expect("it writes to memory"),
            theme: Theme::named("dark", Depth::True).expect("it comes with the program"),
            now,
            ids: (0..MACHINES).map(|_| MachineId::new()).collect(),
            next: 0,
        };
        for _ in 0..60 {
            bench.now.instant += Duration::from_secs(30);
            bench.now.wall_ms += 30_000;
            bench.heartbeats(MACHINES);
        }
        bench.dashboard.machines(&Change::Synced, bench.now);
        bench.ask();
        bench
    }

    /// A filter that lets nearly all pass, and an order.
    fn ask(&mut self) {
        let filter = Command::Filter;
        self.dashboard.apply(filter, self.now);
        let keys = "linux label:env=prod !cpu>98".chars().map(KeyCode::Char);
        for code in keys.chain([KeyCode::Enter]) {
            let key = KeyEvent::new(code, KeyModifiers::NONE);
            self.dashboard.press(&key, self.now);
        }
        self.dashboard.apply(Command::Sort(Column::Cpu), self.now);
        self.dashboard.prepare(SIZE, self.now.instant);
        assert!(self.dashboard.rows().passed() > MACHINES as usize * 9 / 10);
    }

    fn heartbeats(&mut self, count: u32) {
        for _ in 0..count {
            self.next += 1;
            let record = record(self.next, &self.ids, self.now.wall_ms);
            self.dashboard.machines(&Change::Changed(record), self.now);
        }
    }

    fn scroll(&mut self, steps: usize, heartbeats: u32) -> Vec<Duration> {
        self.dashboard.apply(Command::First, self.now);
        let mut times = Vec::with_capacity(steps);
        for step in 0..steps {
            self.now.instant += Duration::from_millis(16);
            self.now.wall_ms += 16;
            let command = match step % 1_900 {
                0 => Command::First,
                _ => Command::Down,
            };
            let begun = Instant::now();
            self.heartbeats(heartbeats);
            self.dashboard.apply(command, self.now);
            self.paint();
            times.push(begun.elapsed());
        }
        times
    }

    fn paint(&mut self) {
        self.dashboard.prepare(SIZE, self.now.instant);
        let (dashboard, theme) = (&self.dashboard, &self.theme);
        let paint = |frame: &mut ratatui::Frame<'_>| {
            draw::draw(dashboard, theme, frame.area(), frame.buffer_mut());
        };
        self.terminal.draw(paint).expect("it writes to memory");
    }
}

/// The next heartbeat; machines take turns.
fn record(number: u32, ids: &[MachineId], wall_ms: u64) -> v1::Machine {
    let machine = number % MACHINES;
    let cpu = (number.wrapping_mul(7_919) % 1_000) as f32 / 10.0;
    v1::Machine {
        id: ids[machine as usize].to_string(),
        name: format!("web-{machine}.internal.example"),
        presence: v1::Presence::Online.into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        agent_version: "0.1.0".into(),
        labels: [
            ("env".into(), "prod".into()),
            ("rack".into(), format!("r{}", machine % 40)),
        ]
        .into(),
        fleets: vec![format!("fleet-{:02}", machine % FLEETS)],
        last_heartbeat_ms: wall_ms,
        session_count: machine % 5,
        metrics: Some(v1::Metrics {
            cpu_percent: cpu,
            cpu_cores: 8,
            memory_used_bytes: u64::from(number % 64) << 30,
            memory_total_bytes: 64 << 30,
            disk_used_bytes: 100 << 30,
            disk_total_bytes: 400 << 30,
            load_1: cpu / 20.0,
            ..v1::Metrics::default()
        }),
        ..v1::Machine::default()
    }
}
