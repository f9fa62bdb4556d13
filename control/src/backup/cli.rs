//! `cmdop-control backup` and `restore` on a terminal: one line of what there is now, and a signal that
//! stops them leaves nothing behind.

use std::io::Write as _;

use cmdop_service::shutdown;

use super::{Error, Summary, io_error};
use crate::args::BackupArgs;

/// Takes a backup.
pub async fn back_up(args: &BackupArgs) -> Result<(), Error> {
    let made = stoppable(args, super::back_up(&args.place, &args.file)).await?;
    for name in &made.left_out {
        eprintln!("cmdop-control: {name} in the data directory is not part of the backup");
    }
    say(&args.file, &made)
}

/// Restores from one.
pub async fn restore(args: &BackupArgs) -> Result<(), Error> {
    let restored = stoppable(args, super::restore(&args.place, &args.file)).await?;
    say(&args.file, &restored)
}

/// Dropped where it stands, the work removes what it began.
async fn stoppable<T>(
    args: &BackupArgs,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let stop = shutdown::on_signal().map_err(io_error("watch for signals beside", &args.file))?;
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => Err(Error::Stopped),
    }
}

fn say(file: &std::path::Path, summary: &Summary) -> Result<(), Error> {
    let Summary {
        files,
        bytes,
        tables,
        ..
    } = summary;
    let line = format!(
        "{}: {files} files, {bytes} bytes, tables of version {tables}",
        file.display()
    );
    writeln!(std::io::stdout().lock(), "{line}").map_err(io_error("tell of", file))
}
