//! `cmdop cp`: copies files between here and machines, or between machines, and proves that they arrived.

mod many;
mod progress;
mod report;

use std::ffi::OsString;

use cmdop_client::files::Place;
use cmdop_client::transfer::{Location, MAX_STREAMS, Options, STREAMS, Transfer, Wish};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use super::context::Context;
use super::failure::Failure;
use super::location::{bytes, location};
use super::values::key_value;

/// Copy files between here and machines, or between machines
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop cp notes.txt web-1:\n  cmdop cp -r web-1:/var/log ./logs --exclude '*.gz'\n  \
                  cmdop cp --resume disk.img web-1:/srv/\n  cmdop cp web-1:dump.sql db-2:/tmp/\n  \
                  cmdop cp -l role=web site.conf :/etc/nginx/conf.d/\n\n\
                  A path is MACHINE:PATH, relative to the home of the agent's user there, or a path here. What \
                  is copied keeps its mode and time, and gets its name when all of it has arrived and was proved."
)]
pub(super) struct Args {
    /// What to copy, and last where to: into a directory, or to a new name
    #[arg(required = true, num_args = 2.., value_name = "SRC… DST")]
    paths: Vec<OsString>,
    /// Directories too, with all that is in them
    #[arg(short, long)]
    recursive: bool,
    /// Go on with what an interrupted copy left; skip files whose size and time are the same
    #[arg(long)]
    resume: bool,
    /// Compare contents first; what is the same already is not sent
    #[arg(long)]
    checksum: bool,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Leave out what matches, by name or by path from the source; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// At most so many bytes a second, for example 500K or 10M
    #[arg(long, value_name = "RATE", value_parser = bytes)]
    bwlimit: Option<u64>,
    /// Never replace a file that is there
    #[arg(long)]
    no_clobber: bool,
    /// Keep set-user-id, set-group-id and sticky bits too
    #[arg(short = 'p', long)]
    preserve: bool,
    /// Prove each part by BLAKE3 alone, without the MD5 of the whole: that is half of the work
    #[arg(long)]
    no_md5: bool,
    /// How many files are copied at the same time
    #[arg(short = 'j', long, value_name = "N", default_value_t = STREAMS as u8,
          value_parser = clap::value_parser!(u8).range(1..=MAX_STREAMS as i64))]
    streams: u8,
    /// To all machines with this label, DST being `:PATH`; may be repeated, all must match
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// To all machines of this fleet, DST being `:PATH`
    #[arg(long)]
    fleet: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    cmdop_client::files::stand_back();
    let mut paths: Vec<Location> = args.paths.iter().map(|path| location(path)).collect();
    let target = paths.pop().unwrap_or_else(unreachable_target);
    let options = Options {
        recursive: args.recursive,
        resume: args.resume,
        checksum: args.checksum,
        dry_run: args.dry_run,
        keep_existing: args.no_clobber,
        all_modes: args.preserve,
        md5: !args.no_md5,
        exclude: args.exclude.clone(),
        limit: args.bwlimit,
        streams: args.streams.into(),
        ..Options::default()
    };
    let nameless = Place::Machine(String::new());
    if paths.iter().any(|source| source.place == nameless) {
        return Err(Failure::usage("a source names no machine before its colon"));
    }
    let selects = !args.labels.is_empty() || args.fleet.is_some();
    match (target.place == nameless, selects) {
        (true, true) => many::run(context, &args, paths, target, options).await,
        (false, false) => one(context, paths, target, options).await,
        (true, false) => Err(Failure::usage("the destination names no machine")
            .hint("write MACHINE:PATH, or choose machines with -l or --fleet")),
        (false, true) => Err(Failure::usage(
            "the destination names one machine, and -l or --fleet many",
        )
        .hint("write the destination as :PATH")),
    }
}

/// clap requires two paths.
fn unreachable_target() -> Location {
    Location {
        place: Place::Here,
        path: bytes::Bytes::new(),
    }
}

async fn one(
    context: &Context,
    sources: Vec<Location>,
    target: Location,
    options: Options,
) -> Result<u8, Failure> {
    let is_here = |location: &Location| location.place == Place::Here;
    let connection = if sources.iter().all(is_here) && is_here(&target) {
        None
    } else {
        Some(context.connection()?)
    };
    let is_single = sources.len() == 1 && !options.recursive;
    let is_dry = options.dry_run;
    let owner = TaskTracker::new();
    let transfer = Transfer::start(connection.as_ref(), sources, target, options, &owner);
    let mut display = progress::Display::new(context);
    let (report, interrupted) = watch(transfer, &mut display).await?;
    display.clear();
    if let Some(connection) = &connection {
        context.warn_of_clock(connection);
    }
    report::print(context, &report, is_dry)?;
    match interrupted {
        Some(code) => {
            context.progress("interrupted; --resume goes on from here");
            Ok(code)
        }
        None => Ok(report::exit_code(report, is_single)),
    }
}

/// Shows the progress until the end. A signal ends the transfer: its exit code.
async fn watch(
    mut transfer: Transfer,
    display: &mut progress::Display,
) -> Result<(cmdop_client::transfer::Report, Option<u8>), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupted = None;
    let mut ticks = tokio::time::interval(display.interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let code = tokio::select! {
            report = transfer.wait() => return Ok((report?, interrupted)),
            _ = ticks.tick() => {
                display.show(&transfer.progress());
                continue;
            }
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        };
        if interrupted.replace(code).is_some() {
            // Twice means now.
            return Err(Failure::unavailable(
                "cancelled",
                "the copy was interrupted",
            ));
        }
        transfer.wish(Wish::Cancel);
    }
}
