//! Fleets, and a command on many machines as the dashboard runs it.

use std::collections::BTreeMap;
use std::time::Duration;

use cmdop_client::follow::Change;
use cmdop_client::{exec, machines};
use cmdop_proto::MachineId;
use cmdop_tests::{World, wait};
use cmdop_tui::dashboard::RunRequest;
use cmdop_tui::dashboard::results::{End, Happened, RunEvent};
use cmdop_tui::dashboard::run;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_machine_that_is_put_into_a_fleet_is_found_there_by_commands() {
    let world = World::with().machines(&["a-1", "a-2"]).start().await;
    world.cmdop(&["fleets", "create", "eu"]).await.ok();
    world.cmdop(&["fleets", "add", "eu", "a-1"]).await.ok();
    let mut follow = machines::watch(&world.owner.connection());
    let followed = async {
        loop {
            match follow.next().await.expect("it is followed") {
                Change::Changed(machine) if machine.fleets == ["eu"] => return machine.name,
                _ => {}
            }
        }
    };
    assert_eq!(wait::within("the fleet", followed).await, "a-1");
    let outcome = world
        .cmdop(&["exec", "--fleet", "eu", "--", "echo", "here"])
        .await;
    assert_eq!(outcome.ok().lines().collect::<Vec<_>>(), ["a-1: here"]);
}

/// The machines of the world, by name.
async fn ids(world: &World) -> BTreeMap<String, MachineId> {
    let (connection, filter) = (world.owner.connection(), machines::Filter::default());
    let all = machines::list(&connection, &filter).await.unwrap();
    all.into_iter()
        .map(|machine| (machine.name, machine.id.parse().unwrap()))
        .collect()
}

fn request(ids: &BTreeMap<String, MachineId>, command: &str, max_output: usize) -> RunRequest {
    RunRequest {
        run: 1,
        command: command.into(),
        machines: ids.iter().map(|(name, id)| (*id, name.clone())).collect(),
        max_output,
    }
}

/// Everything that is told of a machine: what it wrote first, and its end.
async fn told(
    events: &mut mpsc::Receiver<RunEvent>,
    count: usize,
) -> BTreeMap<MachineId, (Vec<u8>, End, Vec<u8>, u64)> {
    let mut heads = BTreeMap::<_, Vec<u8>>::new();
    let mut ended = BTreeMap::new();
    while ended.len() < count {
        let event = wait::within("an event of the run", events.recv())
            .await
            .unwrap();
        match event.what {
            Happened::Started => {}
            Happened::Output(data) => heads.entry(event.machine).or_default().extend(data),
            Happened::Ended { end, tail, cut, .. } => {
                let head = heads.remove(&event.machine).unwrap_or_default();
                let told = (head, end, tail.to_vec(), cut);
                assert!(
                    ended.insert(event.machine, told).is_none(),
                    "an end is told once"
                );
            }
        }
    }
    ended
}

#[tokio::test]
async fn every_machine_of_a_run_tells_its_end_and_no_more_output_than_is_wanted() {
    let mut world = World::with()
        .machines(&["a-1", "a-2", "off-1"])
        .start()
        .await;
    world.machine("off-1").kill().await;
    world.machine_is("off-1", "offline").await;
    let ids = ids(&world).await;
    let command = "case $TMPDIR in *a-1*) echo one; exit 3;; *) seq 100000;; esac";
    let (events, mut received) = mpsc::channel(run::EVENTS);
    let running = run::start(
        world.owner.connection(),
        request(&ids, command, 1000),
        2,
        events,
    );
    let told = told(&mut received, 3).await;
    drop(running);
    assert_eq!(told[&ids["off-1"]].1, End::Unreachable);
    let (head, end, tail, cut) = &told[&ids["a-1"]];
    assert_eq!(
        (&head[..], end, tail.len(), *cut),
        (&b"one\n"[..], &End::Exited(3), 0, 0)
    );
    let (head, end, tail, cut) = &told[&ids["a-2"]];
    let all: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(*end, End::Exited(0));
    assert!(all.as_bytes().starts_with(head) && all.as_bytes().ends_with(tail));
    assert_eq!((head.len(), tail.len()), (500, 500));
    assert_eq!(*cut as usize, all.len() - 1000);
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_its_programs() {
    let world = World::start().await;
    let ids = ids(&world).await;
    let (events, mut received) = mpsc::channel(run::EVENTS);
    let connection = world.owner.connection();
    let command = "echo $$; exec sleep 600";
    let running = run::start(connection.clone(), request(&ids, command, 1000), 64, events);
    let pid = wait::within("the program's id", async {
        loop {
            if let Happened::Output(data) = received.recv().await.unwrap().what {
                return String::from_utf8(data.to_vec()).unwrap().trim().to_owned();
            }
        }
    })
    .await;
    drop(running);
    connection.settle(Duration::from_secs(5)).await;
    let name = ids.keys().next().unwrap().clone();
    wait::until("the end of the program", || async {
        let check = exec::Command {
            machine: name.clone(),
            command: ["sh", "-c", &format!("kill -0 {pid}")]
                .map(str::to_owned)
                .to_vec(),
            ..exec::Command::default()
        };
        let (_input, mut output) = exec::run(&connection, check).await.unwrap();
        loop {
            match output.next().await.unwrap() {
                Some(exec::Event::Finished(finished)) => {
                    return (finished.exit_code != 0).then_some(());
                }
                Some(_) => {}
                None => return None,
            }
        }
    })
    .await;
}
