//! One source to many machines: sent once, and given to all by the relay. Whoever cannot keep up with the others, or
//! differs from them, is copied to on its own afterwards; and all are where it is to be resumed or compared.

use cmdop_client::connection::Connection;
use cmdop_client::files::Place;
use cmdop_client::machines;
use cmdop_client::transfer::{
    Location, MAX_MACHINES, Options, Report, Spread, Spreading, Transfer,
};
use tokio_util::task::TaskTracker;

use super::Args;
use super::progress::Display;
use super::report::{self, Record};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::values::map;

/// Machines that are copied to on their own at the same time: their way there is shared.
const AT_ONCE: usize = 8;

/// Copies to all machines that match; 0 only if all got everything.
pub(super) async fn run(
    context: &Context,
    args: &Args,
    sources: Vec<Location>,
    target: Location,
    options: Options,
) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let filter = machines::Filter {
        labels: map(&args.labels),
        fleet: args.fleet.clone().unwrap_or_default(),
    };
    let selected = machines::list(&connection, &filter).await?;
    let mut names: Vec<String> = selected.into_iter().map(|machine| machine.name).collect();
    names.sort();
    if names.is_empty() {
        return Err(
            Failure::unavailable("machine-unknown", "no machine matches")
                .hint("`cmdop machines` lists them with their labels"),
        );
    }
    let options = Options {
        // Streams are dear: a machine serves 64.
        streams: options.streams.min(2),
        ..options
    };
    let mut many = Many {
        context,
        connection,
        sources,
        target,
        options,
        failed: 0,
    };
    let is_each = |options: &Options| options.resume || options.checksum || options.dry_run;
    if names.len() > 1 && !is_each(&many.options) {
        names = many.together(names).await?;
    }
    many.each(names).await?;
    Ok(u8::from(many.failed > 0))
}

struct Many<'a> {
    context: &'a Context,
    connection: Connection,
    sources: Vec<Location>,
    target: Location,
    options: Options,
    failed: u32,
}

impl Many<'_> {
    /// Copies to all at once: those that are to be copied to on their own.
    async fn together(&mut self, names: Vec<String>) -> Result<Vec<String>, Failure> {
        let mut alone = Vec::new();
        for names in names.chunks(MAX_MACHINES) {
            let Spreading {
                report,
                stayed,
                left,
            } = self.spread(names.to_vec()).await;
            for name in stayed {
                self.failed += u32::from(!told(self.context, &name, report.as_ref(), false)?);
            }
            alone.extend(left);
        }
        // They may have some of it: what is there is found by comparing.
        self.options.checksum = true;
        Ok(alone)
    }

    async fn spread(&self, names: Vec<String>) -> Spreading {
        let owner = TaskTracker::new();
        let to = (names, self.target.path.clone());
        let (sources, options) = (self.sources.clone(), self.options.clone());
        let mut spread = Spread::start(&self.connection, sources, to, options, &owner);
        let mut display = Display::new(self.context);
        let mut ticks = tokio::time::interval(display.interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Both are cancel-safe.
            tokio::select! {
                ended = spread.wait() => {
                    display.clear();
                    return ended;
                }
                _ = ticks.tick() => display.show(&spread.progress()),
            }
        }
    }

    /// Copies to each on its own, some at the same time.
    async fn each(&mut self, names: Vec<String>) -> Result<(), Failure> {
        let is_dry = self.options.dry_run;
        let owner = TaskTracker::new();
        let copy = |name: String| {
            let to = Location {
                place: Place::Machine(name.clone()),
                path: self.target.path.clone(),
            };
            let (connection, owner) = (self.connection.clone(), owner.clone());
            let (sources, options) = (self.sources.clone(), self.options.clone());
            async move {
                let mut transfer = Transfer::start(Some(&connection), sources, to, options, &owner);
                (name, transfer.wait().await)
            }
        };
        let mut running = futures_util::stream::FuturesUnordered::new();
        let mut waiting = names.into_iter();
        running.extend(waiting.by_ref().take(AT_ONCE).map(copy));
        let mut failed = 0;
        while let Some((name, ended)) = futures_util::StreamExt::next(&mut running).await {
            running.extend(waiting.next().map(copy));
            let ended = ended.as_ref();
            failed += u32::from(!told(self.context, &name, ended, is_dry)?);
        }
        self.failed += failed;
        Ok(())
    }
}

/// Prints what became of one machine; whether it got everything.
fn told(
    context: &Context,
    name: &str,
    ended: Result<&Report, &cmdop_client::Error>,
    is_dry: bool,
) -> Result<bool, Failure> {
    let name = cmdop_proto::text::shown(name, 64);
    match ended {
        Ok(report) => {
            if context.globals.json {
                let mut record = Record::of(report, is_dry);
                record.machine = Some(name);
                let text = serde_json::to_string(&record)
                    .map_err(|error| Failure::internal(format!("cannot make JSON: {error}")))?;
                output::print(&format!("{}\n", output::escaped(&text)))?;
            } else {
                report::failures(&report.failed, &format!("{name}: "));
                let count = report.progress.files_done;
                context.progress(&format!("{name}: {count} copied"));
            }
            Ok(report.failed.is_empty() && !report.cancelled)
        }
        Err(error) => {
            let message = cmdop_proto::text::shown(&error.to_string(), 1024);
            eprintln!("cmdop: {name}: {message}");
            Ok(false)
        }
    }
}
