//! One source to many machines: each is a transfer of its own, some of them at the same time.

use cmdop_client::files::Place;
use cmdop_client::machines;
use cmdop_client::transfer::{Location, Options, Report, Transfer};
use tokio_util::task::TaskTracker;

use super::Args;
use super::report::{self, Record};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::values::map;

/// Machines that are copied to at the same time: their way there is shared.
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
    let is_dry = options.dry_run;
    let owner = TaskTracker::new();
    let copy = |name: String| {
        let to = Location {
            place: Place::Machine(name.clone()),
            path: target.path.clone(),
        };
        let (connection, owner) = (connection.clone(), owner.clone());
        let (sources, options) = (sources.clone(), options.clone());
        async move {
            let mut transfer = Transfer::start(Some(&connection), sources, to, options, &owner);
            (name, transfer.wait().await)
        }
    };
    let mut failed = 0;
    let mut running = futures_util::stream::FuturesUnordered::new();
    let mut waiting = names.into_iter();
    running.extend(waiting.by_ref().take(AT_ONCE).map(copy));
    while let Some((name, ended)) = futures_util::StreamExt::next(&mut running).await {
        running.extend(waiting.next().map(copy));
        failed += u32::from(!told(context, &name, ended, is_dry)?);
    }
    Ok(u8::from(failed > 0))
}

/// Prints what became of one machine; whether it got everything.
fn told(
    context: &Context,
    name: &str,
    ended: Result<Report, cmdop_client::Error>,
    is_dry: bool,
) -> Result<bool, Failure> {
    let name = cmdop_proto::text::shown(name, 64);
    match ended {
        Ok(report) => {
            if context.globals.json {
                let mut record = Record::of(&report, is_dry);
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
