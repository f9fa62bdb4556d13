//! What people see, as snapshots; and that no size and no name makes drawing fail.

use std::time::Duration;

use cmdop_client::attach::Event;
use cmdop_client::follow::Change;
use cmdop_proto::{Refusal, Size, v1};
use proptest::prelude::*;
use ratatui::layout::Position;

use crate::app::Msg;
use crate::config::Borders;
use crate::testing::{Client, ended, machine, session};

const SHELL: &str = "$ make\r\ncc -c main.c\r\n\x1b[1;31merror\x1b[m: 漢字 expected\r\n$ ";

fn shell(width: u16, height: u16) -> Client {
    let mut client = Client::new(width, height).with_fleet().with_build();
    client.draws(SHELL);
    client
}

/// Four panes of three sessions' output, one of them floating.
fn panes(width: u16, height: u16) -> Client {
    let mut client = shell(width, height);
    client.done("C-b %");
    client.draws("right\r\n$ ");
    client.done("C-b \"");
    client.draws("\x1b]2;vim main.c\x07below\r\n$ ");
    client.done("C-b *");
    client.draws("floats\r\n$ ");
    client
}

#[test]
fn the_first_screen_shows_machines_and_sessions() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let name = format!("fleet_{width}x{height}");
        insta::assert_snapshot!(name, Client::new(width, height).with_fleet().look());
    }
}

#[test]
fn a_session_with_the_keys_has_the_screen() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let name = format!("pane_{width}x{height}");
        insta::assert_snapshot!(name, shell(width, height).look());
    }
    assert_eq!(shell(80, 24).cursor(), Position::new(2, 3));
}

#[test]
fn panes_share_the_screen() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let name = format!("panes_{width}x{height}");
        insta::assert_snapshot!(name, panes(width, height).look());
    }
    let mut ascii = panes(80, 24);
    ascii.model.setup.config.borders = Borders::Ascii;
    insta::assert_snapshot!("panes_ascii_80x24", ascii.look());
}

#[test]
fn an_observer_is_told_so_and_sees_another_size_whole_or_cropped() {
    let watched = |width, height, size| {
        let mut client = Client::new(width, height).with_fleet();
        client.done("g j j j o");
        client.keyframe(size, SHELL);
        client
    };
    assert!(
        watched(120, 40, Size::clamped(50, 200))
            .text()
            .contains("OBSERVER")
    );
    insta::assert_snapshot!(
        "observer_60x10",
        watched(60, 10, Size::clamped(4, 20)).look()
    );
}

#[test]
fn who_holds_an_exclusive_keyboard_stands_in_the_status() {
    let mut client = shell(120, 10);
    assert!(!client.text().contains("keyboard"));
    let held = |holder: Option<&str>| v1::Session {
        keyboard: Some(v1::Keyboard {
            mode: v1::KeyboardMode::Exclusive.into(),
            holder: holder.map(|name| v1::Typist {
                account_name: name.into(),
                ..v1::Typist::default()
            }),
            ..v1::Keyboard::default()
        }),
        ..session(1, 1, "build")
    };
    let attachment = client.attachment();
    let state = Event::State(held(Some("ada\x1b[2J")));
    client.tell(Msg::Pane(attachment, state));
    assert!(client.text().contains("keyboard: ada"), "{}", client.text());
    client.tell(Msg::Pane(attachment, Event::State(held(None))));
    assert!(client.text().contains("keyboard: nobody"));
}

#[test]
fn the_prefix_shows_what_can_follow_after_a_moment() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let mut client = shell(width, height);
        client.chord("C-b");
        assert!(client.text().contains("PREFIX"));
        client.wait(Duration::from_millis(400));
        insta::assert_snapshot!(format!("prefix_{width}x{height}"), client.look());
    }
}

#[test]
fn help_pickers_and_questions_lie_on_top() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let mut client = shell(width, height);
        let snapshot = |client: &mut Client, name: &str, keys: &str| {
            client.keys(keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), client.look());
            client.chord("Esc");
        };
        snapshot(&mut client, "help", "C-b ?");
        snapshot(&mut client, "palette", "C-b : s p l");
        snapshot(&mut client, "sessions", "C-b s");
        snapshot(&mut client, "rename", "C-b ,");
        snapshot(&mut client, "close", "C-b x");
    }
}

#[test]
fn a_grace_period_counts_down_and_ages_grow() {
    let mut client = Client::new(100, 12).with_fleet();
    assert!(client.text().contains("grace 23s"), "{}", client.text());
    assert!(client.text().contains("12s"), "{}", client.text());
    client.wait(Duration::from_secs(3));
    assert!(client.text().contains("grace 20s"), "{}", client.text());
    assert!(client.text().contains("15s"), "{}", client.text());
}

#[test]
fn an_outage_and_errors_are_told() {
    let mut client = Client::new(80, 12).with_fleet();
    let lost = cmdop_client::Error::Lost("reset by peer".into());
    client.tell(Msg::Machines(Change::Lost(lost)));
    client.wait(Duration::from_secs(4));
    let what = "web-1 is offline: its agent is not linked";
    let offline = Refusal::unavailable("machine-offline", what).hint("start cmdopd on web-1");
    client.tell(Msg::Created(99, Err(offline)));
    insta::assert_snapshot!("outage_80x12", client.look());
}

#[test]
fn a_lost_connection_greys_its_pane_and_says_what_is_done() {
    let mut client = shell(80, 10);
    let attachment = client.attachment();
    let lost = Event::Reconnecting {
        reason: "reset by peer".into(),
        attempt: 2,
    };
    client.tell(Msg::Pane(attachment, lost));
    insta::assert_snapshot!("reconnecting_80x10", client.look());
    let terminal = client.terminal();
    let first = &terminal.backend().buffer()[(0, 0)];
    assert!(first.modifier.contains(ratatui::style::Modifier::DIM));
}

#[test]
fn the_end_of_a_session_is_told_over_its_last_screen() {
    let mut client = shell(80, 10);
    let attachment = client.attachment();
    client.tell(Msg::Pane(attachment, Event::Ended(ended(1, 1))));
    insta::assert_snapshot!("ended_80x10", client.look());
}

#[test]
fn an_empty_workspace_says_what_to_do() {
    let mut client = Client::new(80, 8);
    assert!(client.text().contains("loading"), "{}", client.text());
    client.tell(Msg::Machines(Change::Synced));
    client.tell(Msg::Sessions(Change::Synced));
    assert!(
        client.text().contains("cmdop machines enroll-token"),
        "{}",
        client.text()
    );
}

/// Whatever a remote peer says, no cell of the screen holds a control or a mark that hides others.
fn assert_clean(client: &Client) {
    let text = client.text();
    let mut bad = text
        .chars()
        .filter(|c| *c != '\n' && cmdop_proto::text::is_hidden(*c));
    assert_eq!(bad.next(), None, "{text:?}");
}

#[test]
fn no_remote_name_steers_the_terminal() {
    let hostile = "\x1b]0;owned\x07\x1b[2J\u{202e}evil\u{9b}31m\r\n";
    let mut client = Client::new(120, 30);
    client.tell(Msg::Machines(Change::Changed(v1::Machine {
        os: hostile.into(),
        agent_version: hostile.into(),
        labels: [(hostile.to_owned(), hostile.to_owned())].into(),
        ..machine(1, hostile)
    })));
    client.tell(Msg::Sessions(Change::Changed(v1::Session {
        machine_name: hostile.into(),
        command: vec![hostile.into()],
        reason: hostile.into(),
        ..session(1, 1, hostile)
    })));
    let refused = Refusal::internal(hostile).hint(hostile);
    client.tell(Msg::Created(9, Err(refused)));
    assert_clean(&client);
    assert!(client.text().contains("evil"));
    client.keys("j x");
    assert_clean(&client);
    client.keys("Esc Enter");
    assert_clean(&client);
    client.prints(&format!(
        "\x1b]2;{hostile}\x07\x1b]9;{hostile}\x07{hostile}"
    ));
    let attachment = client.attachment();
    let reason = hostile.to_owned();
    client.tell(Msg::Pane(
        attachment,
        Event::Reconnecting { reason, attempt: 1 },
    ));
    assert_clean(&client);
    client.keys("C-b s");
    assert_clean(&client);
    client.keys("Esc C-b w");
    assert_clean(&client);
    let record = v1::Session {
        reason: hostile.into(),
        ..session(1, 1, hostile)
    };
    client.tell(Msg::Pane(attachment, Event::Ended(record)));
    client.keys("Esc C-b ~");
    assert_clean(&client);
}

#[test]
fn without_colours_the_chrome_has_none_and_a_program_keeps_its_own() {
    let terminal = shell(120, 30).terminal();
    let buffer = terminal.backend().buffer();
    let mut coloured = String::new();
    for cell in buffer
        .content
        .iter()
        .filter(|cell| cell.fg != ratatui::style::Color::Reset)
    {
        coloured.push_str(cell.symbol());
    }
    assert_eq!(coloured, "error");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn drawing_never_panics(
        width in 0u16..200,
        height in 0u16..80,
        later in (0u16..200, 0u16..80),
        rows in 2u16..100,
        cols in 2u16..250,
        printed in "[ -~\u{a0}-\u{3000}\u{1f300}-\u{1f6ff}\u{fe0f}\r\n\u{1b}]{0,300}",
        name in "\\PC{0,80}",
    ) {
        let mut client = Client::new(width, height).with_fleet();
        client.tell(Msg::Machines(Change::Changed(machine(4, &name))));
        client.text();
        client.tell(Msg::Machines(Change::Removed(machine(4, "").id)));
        client.done("g j j j o");
        client.keyframe(Size::clamped(rows, cols), SHELL);
        client.prints(&printed);
        client.text();
        client.done("C-b *");
        client.text();
        client.keys("C-b :");
        client.text();
        client.tell(Msg::Resized(ratatui::layout::Size::new(later.0, later.1)));
        client.text();
    }
}

#[test]
fn looking_back_and_the_dashboard_have_the_screen() {
    for (width, height) in [(80, 24), (120, 40), (20, 5)] {
        let mut client = shell(width, height);
        client.keys("C-b [ ? m a k e Enter");
        insta::assert_snapshot!(format!("copy_{width}x{height}"), client.look());
        client.keys("Esc q C-b F");
        insta::assert_snapshot!(format!("dashboard_{width}x{height}"), client.look());
    }
}

#[test]
fn the_tour_stands_in_a_corner() {
    let mut client = shell(80, 24);
    client.model.tour = Some(crate::app::tour::Tour::default());
    insta::assert_snapshot!("tour_80x24", client.look());
}
