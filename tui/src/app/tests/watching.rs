//! The dashboard as a page of the client.

use super::super::*;
use crate::testing::{Client, machine_id};

#[test]
fn a_machine_is_opened_from_the_dashboard() {
    let mut client = Client::new(120, 30).with_fleet();
    client.keys("d");
    assert_eq!(client.model.context(), Context::Dashboard);
    assert!(client.text().contains("web-1") && client.text().contains("DASHBOARD"));
    client.keys("/");
    client.write("web-2");
    client.keys("Enter");
    assert!(!client.text().contains("laptop"), "{}", client.text());
    client.keys("G");
    let effects = client.keys("Enter");
    assert!(
        matches!(effects[..], [Effect::Create { machine, .. }] if machine == machine_id(2)),
        "{effects:?}"
    );
    assert_eq!(client.model.context(), Context::Pane);
    client.done("C-b F");
    assert_eq!(client.model.context(), Context::Dashboard);
    client.keys("q");
    assert_eq!(client.model.context(), Context::Fleet);
}

#[test]
fn a_command_runs_on_the_marked_machines_after_a_yes() {
    let mut client = Client::new(120, 30).with_fleet();
    client.keys("d a x");
    client.write("uptime");
    let asked = client.keys("Enter");
    assert_eq!(asked, [], "{}", client.text());
    let effects = client.keys("y");
    let Some(Effect::Run(request)) = effects.first() else {
        panic!("{effects:?} {}", client.text())
    };
    assert!(request.machines.len() >= 2);
    let run = request.run;
    assert_eq!(client.keys("C-c"), [Effect::CancelRun(run)]);
}

#[test]
fn without_a_look_at_it_the_dashboard_costs_no_time() {
    let mut client = Client::new(80, 24).with_fleet().with_build();
    assert_eq!(client.model.next_wake(), None);
    client.keys("C-b F");
    assert!(client.model.next_wake().is_some());
}
