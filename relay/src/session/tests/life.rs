//! Lifecycle over time: whatever sequence of partitions, returns and absences comes, a session is at
//! every millisecond where the table of lifecycles says.
//!
//! [`Table`] is that table once more, written down apart from the code that is tested.

mod table;

use proptest::prelude::*;

use super::*;
use table::{GRACES, Place, Table};

/// What happens, or that time passes.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The agent's link is lost.
    Partition,
    /// The agent links again and opens its stream.
    Heal,
    /// The client says that it went to the background.
    Away,
    /// It is back.
    Back,
    /// It types.
    Type,
    /// A stream that was opened under an older link closes late.
    GhostCloses,
    /// The relay is killed; its agent, if it is not cut off, is back at once.
    RelayRestarts,
    /// The program ends.
    Exit,
    /// So many milliseconds.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Partition),
        4 => Just(Step::Heal),
        2 => Just(Step::Away),
        2 => Just(Step::Back),
        1 => Just(Step::Type),
        1 => Just(Step::GhostCloses),
        1 => Just(Step::RelayRestarts),
        6 => pause().prop_map(Step::Pass),
    ]
}

/// Around what decides, and anything.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => prop_oneof![Just(1_u64), Just(29_000), Just(29_999), Just(30_000), Just(31_000)],
        1 => prop_oneof![Just(3_570_000_u64), Just(3_599_999), Just(3_600_000)],
        2 => 0..100_000_u64,
        1 => 0..4_000_000_u64,
    ]
}

/// One session, its agent and one operator.
struct Life {
    bench: Bench,
    terms: Terms,
    link: u64,
    fence: Option<Fence>,
    ghost: Option<Fence>,
    client: Option<(AttachmentId, u64)>,
    watched: tokio::sync::broadcast::Receiver<SessionId>,
    last: v1::SessionStatus,
}

impl Life {
    fn begin(grace: Option<Duration>) -> Self {
        let terms = Terms {
            grace,
            ..Bench::terms()
        };
        let bench = Bench::with(terms);
        let watched = bench.workspace.watch();
        let mut life = Self {
            fence: Some(bench.fence),
            last: bench.status(),
            bench,
            terms,
            link: 1,
            ghost: None,
            client: None,
            watched,
        };
        life.attach();
        life
    }

    fn attach(&mut self) {
        let attachment = self.bench.attach(Mode::Operator);
        self.client = Some((attachment, 0));
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Partition => {
                if let Some(fence) = self.fence.take() {
                    self.ghost = Some(fence);
                    self.bench.session.link_lost(fence.link);
                }
            }
            Step::Heal => self.heal(),
            Step::Away => self.background(true),
            Step::Back => self.background(false),
            Step::Type => self.types().await,
            Step::GhostCloses => {
                if let Some(ghost) = self.ghost {
                    self.bench.session.stream_lost(ghost);
                }
            }
            Step::RelayRestarts => self.restart(),
            Step::Exit => self
                .bench
                .session
                .gone_on_agent(Some(v1::Exit::default()), ""),
            Step::Pass(ms) => self.bench.pass_ms(*ms).await,
        }
    }

    fn heal(&mut self) {
        self.link += 1;
        if let Some(fence) = self.fence.take() {
            // The relay has not noticed yet that the link before is gone.
            self.ghost = Some(fence);
        }
        let token = self.bench.session.invite(LinkEpoch(self.link)).expose();
        let opened = self
            .bench
            .session
            .open(&token, &v1::SessionSummary::default());
        self.fence = opened.ok();
    }

    fn background(&mut self, is_in_background: bool) {
        if let Some((attachment, _)) = self.client {
            let session = &self.bench.session;
            let _over = session.client_background(attachment, is_in_background);
        }
    }

    async fn types(&mut self) {
        if let Some((attachment, typed)) = &mut self.client {
            *typed += 1;
            let input = v1::Input {
                input_seq: *typed,
                data: Bytes::from_static(b"x"),
            };
            let _over = self.bench.session.typed(*attachment, input).await;
        }
    }

    fn restart(&mut self) {
        let was_linked = self.fence.take().is_some();
        self.ghost = None;
        self.bench = Bench::found(self.terms, &self.bench);
        self.watched = self.bench.workspace.watch();
        self.last = self.bench.status();
        if was_linked {
            self.heal();
        }
        self.attach();
    }

    /// The status; that it changed was told to those who watch.
    fn look(&mut self) -> v1::SessionStatus {
        let now = self.bench.status();
        let mut told = 0;
        while self.watched.try_recv().is_ok() {
            told += 1;
        }
        assert!(now == self.last || told > 0, "nobody heard of {now:?}");
        self.last = now;
        now
    }
}

fn on_paused_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}

/// Takes the steps, and looks after each, and a millisecond before each deadline and at it.
async fn live(grace: Option<Duration>, steps: &[Step]) -> v1::SessionStatus {
    let mut life = Life::begin(grace);
    let mut table = Table::begin(grace);
    for (number, step) in steps.iter().enumerate() {
        for part in table.parts(step) {
            life.take(&part).await;
            table.take(&part);
            assert_eq!(
                life.look(),
                table.status(),
                "after {part:?} of step {number} of {steps:?}, grace {grace:?}"
            );
        }
        if table.place() == Place::Over {
            break;
        }
    }
    life.look()
}

#[test]
fn an_agent_that_is_cut_off_comes_back_in_time_or_finds_its_session_over() {
    use Step::{Away, Heal, Partition, Pass, RelayRestarts, Type};
    use v1::SessionStatus::{Background, Connected, Disconnected, GracePeriod};
    let s = |seconds: u64| Pass(seconds * 1000);
    let short = Some(Duration::from_secs(1));
    let usual = Some(Duration::from_secs(30));
    let year = 365 * 86_400;
    let cases = [
        (usual, vec![Partition, s(29)], GracePeriod),
        (usual, vec![Partition, s(29), Heal], Connected),
        (usual, vec![Partition, Pass(29_999), Heal], Connected),
        (usual, vec![Partition, s(30)], Disconnected),
        (usual, vec![Partition, s(31), Heal], Disconnected),
        (usual, vec![Partition, s(year)], Disconnected),
        // Each absence has its own period.
        (
            usual,
            vec![Partition, s(29), Heal, Partition, s(29), Heal],
            Connected,
        ),
        (short, vec![Partition, Pass(999), Heal], Connected),
        (short, vec![Partition, s(1)], Disconnected),
        (None, vec![Partition, s(year), Heal], Connected),
        // A relay that restarts begins the period anew: it does not know since when.
        (usual, vec![RelayRestarts, s(year)], Connected),
        (
            usual,
            vec![Partition, s(29), RelayRestarts, s(29), Heal],
            Connected,
        ),
        (
            usual,
            vec![Partition, s(29), RelayRestarts, s(30)],
            Disconnected,
        ),
        (usual, vec![Away, s(3599)], Background),
        (usual, vec![Away, s(3600)], Disconnected),
        (usual, vec![Away, s(3599), Type, s(3599)], Connected),
        // The background's hour runs on while the agent is away, whatever its grace.
        (None, vec![Away, Partition, s(3599), Heal], Background),
        (None, vec![Away, Partition, s(3600)], Disconnected),
        (None, vec![Away, Partition, Type, s(3600), Heal], Connected),
        (
            None,
            vec![Away, Partition, s(10), Heal, s(3590)],
            Disconnected,
        ),
    ];
    for (grace, steps, wanted) in cases {
        on_paused_time(async {
            assert_eq!(live(grace, &steps).await, wanted, "{steps:?}");
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn at_every_moment_a_session_is_where_the_table_says(
        grace in prop::sample::select(GRACES.to_vec()),
        mut steps in prop::collection::vec(step(), 1..40),
        exits in prop::bool::weighted(0.2),
    ) {
        if exits {
            steps.push(Step::Exit);
        }
        on_paused_time(async { live(grace, &steps).await; });
    }
}
