//! Programs of which nobody can say how they ended: the record does not say that they were not started, and their
//! schedules go on. The relay is one of this test: it says what relays say.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cmdop_proto::v1::exec_request::Request as Ask;
use cmdop_proto::v1::exec_response::Response as Answer;
use cmdop_proto::v1::exec_service_server::{ExecService, ExecServiceServer};
use cmdop_proto::v1::{
    ExecFinished, ExecRequest, ExecResponse, ExecResumed, ExecStarted, RunScheduleRequest,
    ScheduleRunState, ScheduleSpec,
};
use cmdop_proto::{Refusal, v1};
use futures_util::Stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::calls;
use crate::relays::relay_at;
use crate::schedules::{create, ended_within, new_id, schedules};
use crate::world::{Key, World, bearer};

/// How the machine behind the relay behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// It was told, and never answered; afterwards it knows of nothing.
    Silent,
    /// It has the program, and it never ends.
    Hung,
    /// It has the program, which ended well long ago, and says so when it is asked to end it, not before.
    Quiet,
    /// It has the program, and ends it when it is asked to; then the program says that all is well.
    Late,
}

/// A relay, and what it was asked for.
#[derive(Clone)]
struct Fake {
    machine: Machine,
    starts: Arc<AtomicUsize>,
    resumes: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

impl Fake {
    /// Waits until programs were asked for so often.
    async fn has_started(&self, times: usize) {
        let started = async {
            while self.starts.load(Ordering::SeqCst) < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let started = tokio::time::timeout(Duration::from_secs(20), started).await;
        started.expect("the program is started");
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<ExecResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExecService for Fake {
    type RunStream = Answers;

    async fn run(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|first| first.request);
        let is_start = matches!(first, Some(Ask::Start(_)));
        let count = if is_start {
            &self.starts
        } else {
            &self.resumes
        };
        count.fetch_add(1, Ordering::SeqCst);
        let (answers, stream) = mpsc::channel(8);
        let answer = match (self.machine, is_start) {
            (Machine::Silent, true) => {
                let what = "the agent of web-1 did not answer within 10 s";
                return Err(Refusal::unavailable("run-unanswered", what).into());
            }
            (Machine::Silent, false) => {
                return Err(Refusal::not_found("run-unknown", "there is no such run").into());
            }
            (Machine::Hung | Machine::Quiet | Machine::Late, true) => {
                Answer::Started(ExecStarted::default())
            }
            (Machine::Hung | Machine::Quiet | Machine::Late, false) => {
                Answer::Resumed(ExecResumed::default())
            }
        };
        let say = |answer| {
            Ok(ExecResponse {
                response: Some(answer),
            })
        };
        answers.send(say(answer)).await.unwrap();
        let (ends, machine) = (self.ends.clone(), self.machine);
        self.tasks.spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                if matches!(request.request, Some(Ask::End(_))) {
                    ends.fetch_add(1, Ordering::SeqCst);
                    if machine != Machine::Hung {
                        let finished = well(machine == Machine::Late);
                        let _ = answers.send(say(Answer::Finished(finished))).await;
                    }
                }
            }
            // Open until the caller leaves: nothing more is said.
            answers.closed().await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

fn well(ended_on_request: bool) -> ExecFinished {
    let outcome = Some(v1::exit::Outcome::Code(0));
    ExecFinished {
        exit: Some(v1::Exit { outcome }),
        ended_on_request,
        ..ExecFinished::default()
    }
}

/// A relay that is enrolled and serves, until the token is cancelled.
async fn relay(world: &World, machine: Machine) -> (Fake, CancellationToken) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (certificate, key) = relay_at(world, &Key::new(), &url).await;
    let tls = cmdop_service::tls::server_config(certificate.as_bytes(), key.as_bytes()).unwrap();
    let fake = Fake {
        machine,
        starts: Arc::default(),
        resumes: Arc::default(),
        ends: Arc::default(),
        tasks: TaskTracker::new(),
    };
    let routes = Routes::new(ExecServiceServer::new(fake.clone()));
    let stop = CancellationToken::new();
    let drain = Duration::from_millis(100);
    let served = cmdop_service::serve::serve(listener, tls, routes, stop.clone(), drain);
    fake.tasks.spawn(served);
    (fake, stop)
}

/// A schedule of a program that may last so long, which is run now.
async fn run_now(world: &World, by: &serde_json::Value, timeout_ms: u64) {
    world.machine("web-1", &Key::new()).await;
    let spec = ScheduleSpec {
        machines: vec!["web-1".into()],
        retries: 3,
        backoff_ms: 1000,
        timeout_ms,
        overlap: v1::ScheduleOverlap::Skip.into(),
        ..calls::spec()
    };
    create(world, by, "nightly", spec).await.unwrap();
    again(world, by).await;
}

async fn again(world: &World, by: &serde_json::Value) {
    let now = RunScheduleRequest {
        schedule: "nightly".into(),
        request_id: new_id(),
    };
    let asked = schedules(world).await.run_now(bearer(now, by)).await;
    asked.unwrap();
}

#[tokio::test]
async fn what_may_have_been_started_is_neither_called_unreachable_nor_started_again() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    let (fake, stop) = relay(&world, Machine::Silent).await;
    run_now(&world, by, 5000).await;
    let run = ended_within(Duration::from_secs(60), &world, by, "nightly").await;
    assert_eq!(run.state(), ScheduleRunState::Lost, "{run:?}");
    assert!(
        run.reason.contains("may have been started"),
        "{}",
        run.reason
    );
    assert_eq!(fake.starts.load(Ordering::SeqCst), 1);
    assert!(fake.resumes.load(Ordering::SeqCst) > 1);
    stop.cancel();
    world.stop().await;
}

#[tokio::test]
async fn how_a_program_ended_is_what_its_agent_says_when_it_is_asked_to_end_it() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    let (fake, stop) = relay(&world, Machine::Quiet).await;
    run_now(&world, by, 1000).await;
    fake.has_started(1).await;
    world.clock.advance(Duration::from_secs(6 * 60));
    let run = ended_within(Duration::from_secs(60), &world, by, "nightly").await;
    assert_eq!(run.state(), ScheduleRunState::Succeeded, "{run:?}");
    assert_eq!(fake.starts.load(Ordering::SeqCst), 1);
    stop.cancel();
    world.stop().await;
}

#[tokio::test]
async fn a_program_that_was_ended_because_it_was_late_has_failed_whatever_it_says_itself() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    let (fake, stop) = relay(&world, Machine::Late).await;
    run_now(&world, by, 1000).await;
    fake.has_started(1).await;
    world.clock.advance(Duration::from_secs(6 * 60));
    let run = ended_within(Duration::from_secs(60), &world, by, "nightly").await;
    assert_eq!(run.state(), ScheduleRunState::Failed, "{run:?}");
    assert!(run.reason.contains("longer than 1s"), "{}", run.reason);
    stop.cancel();
    world.stop().await;
}

#[tokio::test]
async fn a_program_that_its_agent_never_ends_is_given_up_and_its_schedule_goes_on() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    let (fake, stop) = relay(&world, Machine::Hung).await;
    run_now(&world, by, 1000).await;
    fake.has_started(1).await;
    // The schedule's limit and what the agent has besides are over.
    world.clock.advance(Duration::from_secs(6 * 60));
    let run = ended_within(Duration::from_secs(60), &world, by, "nightly").await;
    assert_eq!(run.state(), ScheduleRunState::Lost, "{run:?}");
    // Its limit is named, whether the answer of its agent came before the clock was set or not.
    assert!(run.reason.contains("1s"), "{}", run.reason);
    assert_eq!(
        fake.starts.load(Ordering::SeqCst),
        1,
        "it is not tried again"
    );
    assert!(fake.ends.load(Ordering::SeqCst) > 0, "it was asked to end");
    // Nothing stands in the way of the next one.
    again(&world, by).await;
    fake.has_started(2).await;
    stop.cancel();
    world.stop().await;
}
