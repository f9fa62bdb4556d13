//! One run: a world, three programs, a storm, and the reckoning.

use std::path::Path;

use cmdop_proto::v1::exit;
use cmdop_tests::world::WEB;
use cmdop_tests::{World, process, wait, wire};
use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, Door, Identity, Weather};
use crate::oracle;
use crate::plan::Plan;
use crate::storm::Storm;
use crate::workload::{COUNTED, Work, stop_file};

/// Runs a plan and prints what it proved.
pub(crate) async fn endure(plan: &Plan) {
    let seed = plan.seed;
    println!("chaos: seed {seed}: {plan:#?}");
    let mut world = World::with().relay_behind_proxy().start().await;
    let directory = world.directory().to_owned();
    let clients = identities(&world).await;
    let (weather, forecast) = watch::channel(Weather::Storm);
    let mut working = JoinSet::new();
    for client in &clients {
        working.spawn(Client::new(client.clone()).work(forecast.clone()));
    }
    wait::until_true("every program prints", || {
        clients.iter().all(|client| client.bytes() > 0)
    })
    .await;
    let programs = join_all(Work::ALL.map(|work| program(work, &directory))).await;
    let storm = Storm::gather(&mut world, &clients).await;
    let person = tokio::select! {
        person = storm.blow(plan) => person,
        // Before the calm only a failed client ends.
        Some(failed) = working.join_next() => panic!("a client ended in the storm: {failed:?}"),
    };
    std::fs::write(stop_file(&directory), "").unwrap();
    weather.send_replace(Weather::Calm);
    let mut clients = working.join_all().await;

    let (mut checked, mut sent, mut written, mut losses) = (0, 0, 0, 0);
    for client in &clients {
        let at = client.progress();
        let work = client.who.work;
        let printed = work.printed(at.typed, &directory);
        if let Err(difference) = oracle::compare(&client.bytes, &printed) {
            panic!("seed {seed}, {}: {difference}", work.name());
        }
        assert_eq!(work.written(at), at.typed, "seed {seed}, {}", work.name());
        checked += at.bytes;
        sent += at.typed;
        written += work.written(at);
        losses += client.losses;
    }
    person
        .pty
        .wait_until("the end of the counters", 1, |pty| {
            wire::contains(&pty.raw(), COUNTED.trim_end().as_bytes())
        })
        .await;
    for program in &programs {
        assert!(
            program.lives(),
            "seed {seed}: {program:?} is not the one that was started"
        );
    }
    end(&mut world, plan, &mut clients).await;
    wait::until_true("the programs are gone", || {
        !programs.iter().any(Program::lives)
    })
    .await;
    person.pty.exit().await;
    drop(person);
    leave(world).await;
    // A lost or doubled byte or key ended the run above.
    println!(
        "chaos: seed {seed}: {plan}, {checked} bytes checked, 0 lost, 0 doubled, {sent} inputs sent, \
         {written} written, {losses} streams lost"
    );
}

/// Starts the programs.
async fn identities(world: &World) -> Vec<Identity> {
    let door = Door::of(world).await;
    let mut clients = Vec::new();
    for work in Work::ALL {
        let script = work.script(world.directory());
        let args = [WEB, "--name", work.name(), "--", "/bin/sh", "-c", &script];
        let session = world.new_session(&args).await;
        clients.push(Identity::new(&door, session, work));
    }
    clients
}

/// Every program ends with its code, while the worker dies once more if the plan says so.
async fn end(world: &mut World, plan: &Plan, clients: &mut [Client]) {
    let worker = world.machine(WEB).worker().await;
    let farewells = join_all(clients.iter_mut().map(Client::say_farewell));
    let death = async {
        if plan.dies_at_the_end {
            process::signal(worker, Signal::KILL);
        }
    };
    let (outcomes, ()) = tokio::join!(farewells, death);
    for (client, outcome) in clients.iter().zip(outcomes) {
        let code = client.who.work.exit_code();
        assert_eq!(
            outcome,
            Some(exit::Outcome::Code(code)),
            "{}",
            client.who.work.name()
        );
        let record = world.session(&client.who.session).await;
        assert_eq!(record["exit_code"], code, "{record}");
    }
}

/// Stops everything; nothing is left.
async fn leave(mut world: World) {
    world.machine(WEB).stop().await;
    world.relay.program.terminate().await;
    world.control.program.terminate().await;
    wait::until_true("no process is left", || world.processes().is_empty()).await;
}

/// A process that is known again: ids are used twice, but not with the same time of birth.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    pid: u32,
    born: String,
}

impl Program {
    fn lives(&self) -> bool {
        born(self.pid).is_some_and(|born| born == self.born)
    }
}

async fn program(work: Work, directory: &Path) -> Program {
    let file = work.pid_file(directory);
    wait::until("the program says who it is", || async {
        let pid = std::fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        let born = born(pid)?;
        Some(Program { pid, born })
    })
    .await
}

/// When a process that is no zombie was started, in ticks since the machine was: proc_pid_stat(5).
fn born(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    (fields.next()? != "Z").then(|| fields.nth(18).map(str::to_owned))?
}
