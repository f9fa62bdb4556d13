//! What people see, as snapshots at four sizes and in two themes.

use std::fmt::Write as _;

use bytes::Bytes;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::dashboard::results::{End, Happened};
use crate::theme::{Depth, Theme};

const SIZES: [(u16, u16); 4] = [(20, 5), (80, 24), (120, 40), (200, 60)];

/// A colour theme, and one in which signs and weights say everything.
const THEMES: [&str; 2] = ["dark", "mono"];

/// Two fleets and a machine in none, of every state there is, with half an hour behind them.
fn fleet() -> Dashboard {
    let mut dashboard = Dashboard::new(Settings::default(), at(0));
    for minute in 0..=60 {
        let seconds = minute * 30;
        for number in 1..=12 {
            let machine = at_minute(number, minute as u32, seconds);
            dashboard.machines(&Change::Changed(machine), at(seconds));
        }
    }
    dashboard.machines(&Change::Synced, at(1800));
    for number in 1..=2 {
        let name = if number == 1 { "build" } else { "" };
        dashboard.sessions(&Change::Changed(session(number, name)), at(1800));
    }
    dashboard
}

fn at_minute(number: u32, minute: u32, seconds: u64) -> v1::Machine {
    let (name, fleet) = match number {
        1..=5 => (format!("web-{number}"), "eu-production"),
        6..=11 => (format!("db-{number}.internal.example"), "us"),
        _ => ("laptop".to_owned(), ""),
    };
    let mut machine = record(number, &name);
    machine.fleets = [fleet]
        .iter()
        .filter(|fleet| !fleet.is_empty())
        .map(|f| (*f).into())
        .collect();
    machine.labels = [
        ("env".into(), "prod".into()),
        ("rack".into(), format!("r{number}")),
    ]
    .into();
    machine.session_count = number % 4;
    // The ninth fell silent, the tenth is gone.
    let heard = if number == 9 {
        seconds.min(1700)
    } else {
        seconds
    };
    machine.last_heartbeat_ms = WALL_MS + heard * 1000;
    if number == 10 {
        machine.presence = v1::Presence::Offline.into();
    }
    let metrics = machine.metrics.as_mut().unwrap();
    let wave = (minute * number * 3) % 100;
    metrics.cpu_percent = if number == 3 { 97.0 } else { wave as f32 };
    metrics.memory_used_bytes = ((number as u64 * 7 + 5) << 30) / 10;
    metrics.load_1 = wave as f32 / 20.0;
    if number == 12 {
        metrics.battery = Some(v1::Battery {
            percent: 9.0,
            charging: false,
        });
    }
    machine
}

fn painted(dashboard: &mut Dashboard, (width, height): (u16, u16), theme: &str) -> String {
    dashboard.prepare(Size::new(width, height), at(1800).instant);
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let theme = Theme::named(theme, Depth::True).unwrap();
    draw::draw(dashboard, &theme, area, &mut buffer);
    [text_of(&buffer), styles_of(&buffer)].join("\n")
}

fn text_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.content.chunks(buffer.area.width.into()) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The looks of a picture: where each begins in its row. One line a row, so that a changed colour is seen.
fn styles_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for (y, row) in buffer
        .content
        .chunks(buffer.area.width.into())
        .enumerate()
        .take(12)
    {
        let mut before = None;
        let _ = write!(text, "{y}:");
        for (x, cell) in row.iter().enumerate() {
            if before != Some(cell.style()) {
                let modifiers = format!("{:?}", cell.modifier);
                let _ = write!(text, " {x}={}/{} {modifiers}", cell.fg, cell.bg);
                before = Some(cell.style());
            }
        }
        text.push('\n');
    }
    text
}

fn snapshot(name: &str, dashboard: &mut Dashboard) {
    for size in SIZES {
        for theme in THEMES {
            let picture = painted(dashboard, size, theme);
            insta::assert_snapshot!(format!("{name}_{}x{}_{theme}", size.0, size.1), picture);
        }
    }
}

fn act_later(dashboard: &mut Dashboard, commands: &[Command]) {
    for command in commands {
        dashboard.apply(*command, at(1800));
    }
}

#[test]
fn the_table_looks_like_this() {
    let mut dashboard = fleet();
    act_later(
        &mut dashboard,
        &[Command::Down, Command::Mark, Command::Sort(Column::Cpu)],
    );
    snapshot("table", &mut dashboard);
}

#[test]
fn one_machine_in_detail_looks_like_this() {
    let mut dashboard = fleet();
    act_later(&mut dashboard, &[Command::Down, Command::Detail]);
    snapshot("detail", &mut dashboard);
}

#[test]
fn a_filter_that_is_wrong_looks_like_this() {
    let mut dashboard = fleet();
    act_later(&mut dashboard, &[Command::Filter]);
    for c in "web gpu>3".chars() {
        dashboard.press(&key(KeyCode::Char(c)), at(1800));
    }
    for size in SIZES {
        let picture = painted(&mut dashboard, size, "mono");
        insta::assert_snapshot!(format!("filter_{}x{}", size.0, size.1), picture);
    }
}

fn with_results() -> Dashboard {
    let mut dashboard = fleet();
    act_later(&mut dashboard, &[Command::MarkAll, Command::Run]);
    for c in "systemctl is-active nginx".chars() {
        dashboard.press(&key(KeyCode::Char(c)), at(1800));
    }
    dashboard.press(&key(KeyCode::Enter), at(1800));
    dashboard
}

#[test]
fn a_question_before_a_command_looks_like_this() {
    let mut dashboard = with_results();
    for size in SIZES {
        let picture = painted(&mut dashboard, size, "mono");
        insta::assert_snapshot!(format!("confirm_{}x{}", size.0, size.1), picture);
    }
}

#[test]
fn results_look_like_this() {
    let mut dashboard = with_results();
    act_later(&mut dashboard, &[Command::Yes]);
    let run = dashboard.results().unwrap().run();
    for number in 1..=10 {
        let machine = machine_id(number);
        let (end, output) = match number {
            3 => (
                End::Exited(3),
                "inactive\nsee \x1b[1msystemctl status nginx\x1b[0m\n",
            ),
            10 => (End::Unreachable, ""),
            _ => (End::Exited(0), "active\n"),
        };
        let ended = Happened::Ended {
            end,
            tail: Bytes::from_static(output.as_bytes()),
            cut: if number == 3 { 70_000 } else { 0 },
            took: Duration::from_millis(u64::from(number) * 31),
        };
        for what in [Happened::Started, ended] {
            dashboard.run_event(RunEvent { run, machine, what });
        }
    }
    let machine = machine_id(11);
    dashboard.run_event(RunEvent {
        run,
        machine,
        what: Happened::Started,
    });
    act_later(&mut dashboard, &[Command::Expand]);
    snapshot("results", &mut dashboard);
}

#[test]
fn without_unicode_nothing_beyond_ascii_is_painted() {
    let mut dashboard = fleet();
    dashboard.settings.charset = Charset::Ascii;
    for commands in [
        &[Command::Down, Command::Mark, Command::Sort(Column::Cpu)][..],
        &[Command::Detail],
    ] {
        act_later(&mut dashboard, commands);
        for size in SIZES {
            let picture = painted(&mut dashboard, size, "mono");
            assert!(picture.is_ascii(), "{picture}");
        }
    }
    insta::assert_snapshot!("detail_ascii", painted(&mut dashboard, (80, 24), "mono"));
}
