//! Does to a world what a plan says, one step after the other.

use std::time::Duration;

use cmdop_tests::world::WEB;
use cmdop_tests::{Person, Shape, World, process, wait, wire};
use rustix::process::Signal;

use crate::client::Identity;
use crate::plan::{Fault, Plan, Step};

/// How far before its client's place a second stream may begin: less than the relay's window and more.
const BACK: u64 = 1_500_000;

/// The world in the storm.
#[derive(Debug)]
pub(crate) struct Storm<'a> {
    world: &'a mut World,
    clients: &'a [Identity],
    /// A person who watches the first session, or operates it.
    person: Person,
    /// The worker that is stopped now: it answers nobody who asks for its process id.
    stopped: Option<u32>,
}

impl<'a> Storm<'a> {
    /// Before the first fault.
    pub(crate) async fn gather(world: &'a mut World, clients: &'a [Identity]) -> Self {
        let person = attached_person(world, &clients[0], &[]).await;
        Self {
            world,
            clients,
            person,
            stopped: None,
        }
    }

    /// All of the plan; returns who is attached at its end.
    pub(crate) async fn blow(mut self, plan: &Plan) -> Person {
        for step in &plan.steps {
            last(step.peace).await;
            self.suffer(step).await;
        }
        self.person
    }

    async fn suffer(&mut self, step: &Step) {
        match step.fault {
            Fault::StopRelay => {
                let relay = self.world.relay.program.pid();
                process::signal(relay, Signal::STOP);
                self.meanwhile(step).await;
                process::signal(relay, Signal::CONT);
            }
            Fault::StopWorker => {
                let worker = self.world.machine(WEB).worker().await;
                process::signal(worker, Signal::STOP);
                self.stopped = Some(worker);
                self.meanwhile(step).await;
                process::signal(worker, Signal::CONT);
                self.stopped = None;
            }
            Fault::Refuse => {
                self.world.relay.proxy().close();
                self.meanwhile(step).await;
                self.world.relay.proxy().open();
            }
            fault => self.strike(fault, step.choice).await,
        }
    }

    /// While a fault lasts.
    async fn meanwhile(&mut self, step: &Step) {
        last(step.length / 2).await;
        if let Some(fault) = step.meanwhile {
            self.strike(fault, step.choice).await;
        }
        last(step.length / 2).await;
    }

    /// A fault that is over at once.
    async fn strike(&mut self, fault: Fault, choice: u64) {
        match fault {
            Fault::KillRelay => self.world.crash_relay().await,
            Fault::KillWorker => {
                let worker = match self.stopped {
                    Some(worker) => worker,
                    None => self.world.machine(WEB).worker().await,
                };
                process::signal(worker, Signal::KILL);
            }
            Fault::Cut => self.world.relay.proxy().cut(),
            Fault::Duplicate => {
                let client = &self.clients[choice as usize % self.clients.len()];
                client.attach_twice((choice >> 8) % BACK).await;
            }
            Fault::KillClient => {
                process::kill(self.person.pty.pid().expect("the client runs"));
                self.person.pty.exit().await;
                let mode: &[&str] = if choice.is_multiple_of(2) {
                    &["--observe"]
                } else {
                    &[]
                };
                self.person = attached_person(self.world, &self.clients[0], mode).await;
            }
            Fault::StopRelay | Fault::StopWorker | Fault::Refuse => {
                unreachable!("{fault:?} lasts: it is a step of its own")
            }
        }
    }
}

/// The length of a fault, or of the peace before one: the only time that passes here on purpose.
async fn last(length: Duration) {
    tokio::time::sleep(length).await;
}

/// Somebody who sees the counters. A first attempt finds no relay or no session when it comes too soon
/// after another fault, and is made again, as a person would.
async fn attached_person(world: &World, client: &Identity, mode: &[&str]) -> Person {
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    let args = [&["-q", "attach"], mode, &[&client.session]].concat();
    loop {
        let person = world.owner.at_a_terminal_of(shape, &args);
        let sees = wait::until("a person sees the counters, or nothing", || {
            let sees = wire::contains(&person.pty.raw(), b"count ");
            let over = sees || !person.pty.is_running();
            std::future::ready(over.then_some(sees))
        })
        .await;
        if sees {
            return person;
        }
    }
}
