//! What the dashboard promises: to its user key by key, and whatever happens.

mod always;
mod looks;

use std::time::Duration;

use cmdop_client::follow::Change;
use cmdop_proto::{MachineId, SessionId, v1};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;

pub(super) const WALL_MS: u64 = 1_800_000_000_000;

/// So many seconds after the start; the same start for the whole process.
pub(crate) fn at(seconds: u64) -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // Far from the clock's own start, so that times before it exist.
    let start = *START.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000));
    Now {
        instant: start + Duration::from_secs(seconds),
        wall_ms: WALL_MS + seconds * 1000,
    }
}

pub(super) fn id(number: u32) -> Uuid {
    let number = u128::from(number);
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (number << 80) + number)
}

pub(crate) fn machine_id(number: u32) -> MachineId {
    MachineId::from(id(number))
}

/// A machine that is well; its heartbeat came at the start.
pub(crate) fn record(number: u32, name: &str) -> v1::Machine {
    v1::Machine {
        id: machine_id(number).to_string(),
        name: name.into(),
        presence: v1::Presence::Online.into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        agent_version: "0.1.0".into(),
        last_heartbeat_ms: WALL_MS,
        connected_at_ms: WALL_MS - 3_600_000,
        metrics: Some(v1::Metrics {
            cpu_percent: 12.0,
            cpu_cores: 4,
            memory_used_bytes: 3 << 30,
            memory_total_bytes: 8 << 30,
            disk_used_bytes: 100 << 30,
            disk_total_bytes: 400 << 30,
            load_1: 0.42,
            load_5: 0.5,
            load_15: 0.61,
            uptime_ms: 86_400_000 * 3,
            process_count: 211,
            battery: None,
        }),
        ..v1::Machine::default()
    }
}

pub(super) fn in_fleet(number: u32, name: &str, fleet: &str) -> v1::Machine {
    v1::Machine {
        fleets: vec![fleet.into()],
        ..record(number, name)
    }
}

/// A dashboard that knows these machines and was prepared for 80×24.
pub(super) fn with(machines: Vec<v1::Machine>) -> Dashboard {
    let mut dashboard = Dashboard::new(Settings::default(), at(0));
    for machine in machines {
        dashboard.machines(&Change::Changed(machine), at(0));
    }
    dashboard.machines(&Change::Synced, at(0));
    dashboard.sessions(&Change::Synced, at(0));
    dashboard.prepare(Size::new(80, 24), at(0).instant);
    dashboard
}

pub(super) fn tell(dashboard: &mut Dashboard, machine: v1::Machine) {
    dashboard.machines(&Change::Changed(machine), at(0));
    dashboard.prepare(Size::new(80, 24), at(0).instant);
}

pub(super) fn act(dashboard: &mut Dashboard, commands: &[Command]) -> Vec<Effect> {
    let effects = commands
        .iter()
        .flat_map(|command| dashboard.apply(*command, at(0)));
    effects.collect()
}

pub(super) fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

pub(super) fn type_in(dashboard: &mut Dashboard, typed: &str) {
    for c in typed.chars() {
        let pressed = dashboard.press(&key(KeyCode::Char(c)), at(0));
        assert!(pressed.is_some(), "a line is asked for");
    }
}

fn names(dashboard: &Dashboard) -> Vec<String> {
    let row = |row: &Row| match row {
        Row::Fleet(index) => format!("[{}]", dashboard.rows().groups()[*index].name),
        Row::Machine(id) => dashboard.host(*id).unwrap().machine.name.clone(),
    };
    dashboard.rows().all().iter().map(row).collect()
}

fn three() -> Dashboard {
    with(vec![
        record(1, "web-1"),
        record(2, "web-2"),
        record(3, "db-1"),
    ])
}

fn with_cpu(mut machine: v1::Machine, cpu: f32) -> v1::Machine {
    machine.metrics.as_mut().unwrap().cpu_percent = cpu;
    machine
}

#[test]
fn the_selection_stays_on_its_machine_when_rows_change_their_order() {
    let mut dashboard = three();
    act(&mut dashboard, &[Command::Down, Command::Sort(Column::Cpu)]);
    assert_eq!(dashboard.selected(), Some(&Target::Machine(machine_id(1))));
    tell(&mut dashboard, with_cpu(record(3, "db-1"), 90.0));
    tell(&mut dashboard, with_cpu(record(1, "web-1"), 1.0));
    assert_eq!(names(&dashboard), ["db-1", "web-2", "web-1"]);
    assert_eq!(dashboard.selected(), Some(&Target::Machine(machine_id(1))));
    // When it leaves, what takes its place is selected.
    dashboard.machines(&Change::Removed(machine_id(1).to_string()), at(0));
    dashboard.prepare(Size::new(80, 24), at(0).instant);
    assert_eq!(dashboard.selected(), Some(&Target::Machine(machine_id(2))));
}

#[test]
fn until_the_list_is_complete_the_first_row_is_selected_and_not_the_first_to_arrive() {
    let mut dashboard = Dashboard::new(Settings::default(), at(0));
    for machine in [record(1, "m"), record(2, "z"), record(3, "a")] {
        dashboard.machines(&Change::Changed(machine), at(0));
        dashboard.prepare(Size::new(80, 24), at(0).instant);
    }
    dashboard.machines(&Change::Synced, at(0));
    assert_eq!(dashboard.selected(), Some(&Target::Machine(machine_id(3))));
}

#[test]
fn every_column_sorts_both_ways_and_what_is_unknown_comes_last() {
    let mut dashboard = three();
    let mut unknown = record(4, "aaa");
    unknown.metrics = None;
    tell(&mut dashboard, unknown);
    tell(&mut dashboard, with_cpu(record(2, "web-2"), 50.0));
    act(&mut dashboard, &[Command::Sort(Column::Cpu)]);
    assert_eq!(names(&dashboard), ["web-2", "db-1", "web-1", "aaa"]);
    act(&mut dashboard, &[Command::SortReverse]);
    assert_eq!(names(&dashboard), ["db-1", "web-1", "web-2", "aaa"]);
    for column in Column::SORTABLE {
        act(
            &mut dashboard,
            &[
                Command::Sort(column),
                Command::Sort(column),
                Command::SortNext,
            ],
        );
        assert_eq!(dashboard.rows().all().len(), 4);
    }
}

#[test]
fn fleets_fold_and_a_hidden_selection_stands_at_its_fleet() {
    let mut dashboard = with(vec![
        in_fleet(1, "web-1", "eu"),
        in_fleet(2, "web-2", "us"),
        record(3, "loose"),
    ]);
    assert_eq!(
        names(&dashboard),
        ["[eu]", "web-1", "[us]", "web-2", "[]", "loose"]
    );
    act(&mut dashboard, &[Command::Down, Command::Fold]);
    assert_eq!(names(&dashboard), ["[eu]", "[us]", "web-2", "[]", "loose"]);
    assert_eq!(dashboard.selected(), Some(&Target::Fleet("eu".into())));
    act(&mut dashboard, &[Command::Open]);
    assert_eq!(names(&dashboard).len(), 6, "enter on a fleet unfolds it");
    act(&mut dashboard, &[Command::FoldAll]);
    assert_eq!(names(&dashboard), ["[eu]", "[us]", "[]"]);
    act(&mut dashboard, &[Command::FoldAll, Command::Group]);
    assert_eq!(names(&dashboard), ["loose", "web-1", "web-2"]);
}

#[test]
fn a_fleet_says_how_many_there_are_and_how_the_worst_of_them_is() {
    let mut away = in_fleet(2, "web-2", "eu");
    away.presence = v1::Presence::Offline.into();
    let dashboard = with(vec![with_cpu(in_fleet(1, "web-1", "eu"), 99.0), away]);
    let group = &dashboard.rows().groups()[0];
    assert_eq!((group.online, group.stale, group.offline), (1, 0, 1));
    assert_eq!(group.worst, Health::Offline);
}

#[test]
fn a_filter_counts_while_it_is_typed_and_a_wrong_one_changes_nothing() {
    let mut dashboard = three();
    act(&mut dashboard, &[Command::Filter]);
    type_in(&mut dashboard, "web");
    assert_eq!(names(&dashboard), ["web-1", "web-2"]);
    type_in(&mut dashboard, " \"");
    assert_eq!(names(&dashboard), ["web-1", "web-2"]);
    assert!(matches!(
        dashboard.prompt(),
        Some(Prompt::Filter { error: Some(_), .. })
    ));
    dashboard.press(&key(KeyCode::Enter), at(0));
    assert!(
        dashboard.prompt().is_some(),
        "a wrong filter stays asked for"
    );
    type_in(&mut dashboard, "web\" cpu>50");
    assert_eq!(names(&dashboard), [""; 0]);
    assert_eq!(dashboard.selected(), None);
    dashboard.press(&key(KeyCode::Esc), at(0));
    assert_eq!(
        names(&dashboard).len(),
        3,
        "what counted before counts again"
    );
}

#[test]
fn marks_are_set_inverted_and_cleared_among_what_is_shown() {
    let mut dashboard = three();
    act(&mut dashboard, &[Command::Mark, Command::MarkInvert]);
    assert_eq!(dashboard.marks(), &[machine_id(1), machine_id(2)].into());
    act(&mut dashboard, &[Command::Filter]);
    type_in(&mut dashboard, "web");
    dashboard.press(&key(KeyCode::Enter), at(0));
    act(&mut dashboard, &[Command::MarkAll]);
    assert!(dashboard.marks().is_empty(), "all were marked already");
    act(&mut dashboard, &[Command::MarkAll, Command::ClearFilter]);
    assert_eq!(dashboard.marks().len(), 2);
    dashboard.machines(&Change::Removed(machine_id(2).to_string()), at(0));
    dashboard.prepare(Size::new(80, 24), at(0).instant);
    assert_eq!(dashboard.marks(), &[machine_id(1)].into());
    act(&mut dashboard, &[Command::MarkClear]);
    assert!(dashboard.marks().is_empty());
}

/// Asks for a command, types it, and stops before the answer.
fn ask(dashboard: &mut Dashboard, command: &str) {
    act(dashboard, &[Command::Run]);
    type_in(dashboard, command);
    dashboard.press(&key(KeyCode::Enter), at(0));
}

#[test]
fn a_command_runs_on_the_marked_machines_and_only_after_a_yes() {
    let mut dashboard = three();
    act(&mut dashboard, &[Command::MarkAll, Command::Filter]);
    type_in(&mut dashboard, "db");
    dashboard.press(&key(KeyCode::Enter), at(0));
    ask(&mut dashboard, "uptime");
    let Some(Prompt::Confirm(question)) = dashboard.prompt() else {
        panic!("{:?}", dashboard.prompt())
    };
    assert_eq!((question.request.machines.len(), question.hidden), (3, 2));
    assert_eq!(dashboard.keys(), command::CONFIRM_KEYS);
    assert_eq!(act(&mut dashboard, &[Command::Down, Command::Dismiss]), []);
    assert!(dashboard.prompt().is_none() && dashboard.results().is_none());
    ask(&mut dashboard, "uptime");
    let effects = act(&mut dashboard, &[Command::Yes]);
    let [Effect::Run(request)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (request.command.as_str(), request.machines.len()),
        ("uptime", 3)
    );
    assert_eq!(dashboard.view(), &View::Results);
    let run = request.run;
    assert_eq!(
        act(&mut dashboard, &[Command::CancelRun]),
        [Effect::Cancel(run)]
    );
    act(&mut dashboard, &[Command::Dismiss, Command::Results]);
    assert_eq!(dashboard.view(), &View::Results, "the last results stay");
}

#[test]
fn without_marks_a_command_is_for_what_is_selected() {
    let mut dashboard = with(vec![
        in_fleet(1, "web-1", "eu"),
        in_fleet(2, "web-2", "eu"),
        in_fleet(3, "web-3", "us"),
    ]);
    let count = |dashboard: &mut Dashboard| {
        ask(dashboard, "uptime");
        let Some(Prompt::Confirm(question)) = dashboard.prompt() else {
            panic!("{:?}", dashboard.prompt())
        };
        let count = question.request.machines.len();
        act(dashboard, &[Command::Dismiss]);
        count
    };
    assert_eq!(count(&mut dashboard), 2, "all of the fleet");
    act(&mut dashboard, &[Command::Down]);
    assert_eq!(count(&mut dashboard), 1);
    act(&mut dashboard, &[Command::Detail]);
    assert_eq!(count(&mut dashboard), 1);
}

#[test]
fn enter_opens_a_shell_in_the_table_and_in_detail() {
    let mut dashboard = three();
    let open = Effect::Open(machine_id(3));
    assert_eq!(
        act(&mut dashboard, &[Command::Open]),
        std::slice::from_ref(&open)
    );
    assert_eq!(
        act(&mut dashboard, &[Command::Detail, Command::Open]),
        [open]
    );
    assert_eq!(
        act(&mut dashboard, &[Command::Dismiss, Command::Dismiss]),
        [Effect::Leave]
    );
}

#[test]
fn a_detail_view_ends_with_its_machine() {
    let mut dashboard = three();
    act(&mut dashboard, &[Command::Detail]);
    dashboard.machines(&Change::Removed(machine_id(3).to_string()), at(0));
    dashboard.prepare(Size::new(80, 24), at(0).instant);
    assert_eq!(dashboard.view(), &View::Table);
}

#[test]
fn the_first_row_moves_as_little_as_it_can() {
    for rows in 1..40 {
        for room in 1..20 {
            for selected in 0..rows {
                for top in 0..rows {
                    let first = scrolled(top, selected, rows, room);
                    assert!((first..first + room).contains(&selected));
                    assert!(
                        first + room <= rows.max(room),
                        "no room is wasted at the end"
                    );
                }
            }
        }
    }
}

/// A session of the first machine.
pub(super) fn session(number: u32, name: &str) -> v1::Session {
    v1::Session {
        id: SessionId::from(id(number)).to_string(),
        machine_id: machine_id(1).to_string(),
        machine_name: "web-1".into(),
        name: name.into(),
        status: v1::SessionStatus::Connected.into(),
        created_at_ms: WALL_MS + u64::from(number),
        operator_count: number,
        observer_count: number - 1,
        ..v1::Session::default()
    }
}
