//! Whatever happens in whatever order: nothing panics, the selection is a row, the rows are what the filter
//! says, and every size can be painted.

use bytes::Bytes;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::dashboard::filter::Marked;
use crate::dashboard::results::{End, Happened};
use crate::theme::{Depth, Theme};

#[derive(Clone, Debug)]
enum Step {
    Machine {
        number: u32,
        fleet: u8,
        cpu: f32,
        online: bool,
    },
    Removed(u32),
    Synced,
    Session(u32),
    Command(usize),
    Key(KeyCode),
    Paste(String),
    Run {
        machine: u32,
        what: u8,
        data: Vec<u8>,
    },
    Wait(u64),
    Size(u16, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let cpu = prop_oneof![
        0.0f32..120.0,
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(-1.0)
    ];
    let commands = Command::all().count();
    let code = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Backspace),
        Just(KeyCode::Left),
        Just(KeyCode::Home),
    ];
    prop_oneof![
        4 => (0..12u32, 0..4u8, cpu, any::<bool>()).prop_map(|(number, fleet, cpu, online)| {
            Step::Machine { number, fleet, cpu, online }
        }),
        1 => (0..12u32).prop_map(Step::Removed),
        1 => Just(Step::Synced),
        1 => (1..9u32).prop_map(Step::Session),
        8 => (0..commands).prop_map(Step::Command),
        3 => code.prop_map(Step::Key),
        2 => prop_oneof![
            Just("web".to_owned()), Just("cpu>50".to_owned()), Just("!fleet:f1 ".to_owned()),
            Just("state:offline".to_owned()), Just("is:marked".to_owned()), ".{0,9}",
        ].prop_map(Step::Paste),
        3 => (0..12u32, 0..6u8, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(machine, what, data)| Step::Run { machine, what, data }),
        1 => (0..400u64).prop_map(Step::Wait),
        2 => (0..90u16, 0..30u16).prop_map(|(width, height)| Step::Size(width, height)),
    ]
}

struct World {
    dashboard: Dashboard,
    run: u64,
    seconds: u64,
    size: Size,
}

impl World {
    fn take(&mut self, step: Step) {
        let now = at(self.seconds);
        let dashboard = &mut self.dashboard;
        match step {
            Step::Machine {
                number,
                fleet,
                cpu,
                online,
            } => {
                let name = format!("web-{number}\u{1b}[3漢");
                let mut machine = with_cpu(record(number, &name), cpu);
                machine.last_heartbeat_ms = now.wall_ms;
                if fleet > 0 {
                    machine.fleets = vec![format!("f{fleet}")];
                }
                if !online {
                    machine.presence = v1::Presence::Offline.into();
                }
                dashboard.machines(&Change::Changed(machine), now);
            }
            Step::Removed(number) => {
                let id = machine_id(number).to_string();
                dashboard.machines(&Change::Removed(id), now);
            }
            Step::Synced => dashboard.machines(&Change::Synced, now),
            Step::Session(number) => {
                dashboard.sessions(&Change::Changed(session(number, "build")), now);
            }
            Step::Command(number) => {
                let command = Command::all().nth(number).unwrap();
                for effect in dashboard.apply(command, now) {
                    if let Effect::Run(request) = effect {
                        assert!(request.run > self.run, "a run has a number of its own");
                        assert!(!request.machines.is_empty());
                        self.run = request.run;
                    }
                }
            }
            Step::Key(code) => drop(dashboard.press(&key(code), now)),
            Step::Paste(text) => drop(dashboard.paste(&text, now)),
            Step::Run {
                machine,
                what,
                data,
            } => {
                let end = |end| Happened::Ended {
                    end,
                    tail: data.clone().into(),
                    cut: u64::from(what),
                    took: Duration::from_secs(u64::from(what)),
                };
                let what = match what {
                    0 => Happened::Started,
                    1 | 2 => Happened::Output(Bytes::from(data)),
                    3 => end(End::Exited(0)),
                    4 => end(End::Exited(1)),
                    _ => end(End::Unreachable),
                };
                let machine = machine_id(machine);
                dashboard.run_event(RunEvent {
                    run: self.run,
                    machine,
                    what,
                });
            }
            Step::Wait(seconds) => self.seconds += seconds,
            Step::Size(width, height) => self.size = Size::new(width, height),
        }
    }

    fn check(&mut self) {
        let now = at(self.seconds).instant;
        self.dashboard.prepare(self.size, now);
        let dashboard = &self.dashboard;
        let rows = dashboard.rows().all();
        match dashboard.selected() {
            None => assert!(rows.is_empty()),
            Some(selected) => {
                let row = rows[dashboard.selection.place()];
                let is_it = match (row, selected) {
                    (Row::Machine(id), Target::Machine(selected)) => id == *selected,
                    (Row::Fleet(index), Target::Fleet(name)) => {
                        dashboard.rows().groups()[index].name == *name
                    }
                    _ => false,
                };
                assert!(is_it, "{selected:?} is not what stands at its place");
            }
        }
        let mut shown: Vec<_> = dashboard.rows().machines().collect();
        shown.sort();
        let marked = |host: &&Host| {
            let is_marked = dashboard.marks.contains(&host.machine.id);
            if is_marked { Marked::Yes } else { Marked::No }
        };
        let passing = dashboard.hosts.iter().filter(|host| {
            dashboard
                .filter
                .lets_pass(host, marked(host), dashboard.now)
        });
        let mut passing: Vec<_> = passing.map(|host| host.machine.id).collect();
        passing.sort();
        assert_eq!(shown, passing);
        self.paint();
    }

    fn paint(&self) {
        let area = Rect::new(0, 0, self.size.width, self.size.height);
        let mut buffer = Buffer::empty(area);
        let theme = Theme::named("dark", Depth::True).unwrap();
        let cursor = draw::draw(&self.dashboard, &theme, area, &mut buffer);
        assert!(cursor.is_none_or(|cursor| area.contains(cursor)));
        for cell in &buffer.content {
            assert!(
                !cell.symbol().contains(char::is_control),
                "{:?}",
                cell.symbol()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_happens_makes_it_panic_or_show_another_thing_than_it_says(
        steps in prop::collection::vec(step(), 1..120),
        ascii in any::<bool>(),
    ) {
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let settings = Settings { charset, ..Settings::default() };
        let mut world = World {
            dashboard: Dashboard::new(settings, at(0)),
            run: 0,
            seconds: 0,
            size: Size::new(80, 24),
        };
        for step in steps {
            world.take(step);
            world.check();
        }
    }

    #[test]
    fn a_filter_is_understood_or_refused_and_never_panics(text in ".{0,200}") {
        let _ = Filter::parse(&text);
    }
}
