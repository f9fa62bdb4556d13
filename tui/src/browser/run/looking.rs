//! Directories: what is in them, and that it changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::Error;
use cmdop_client::files::{self, Files};
use cmdop_proto::{Refusal, v1};
use tokio::sync::mpsc;

use super::super::path;
use super::super::{End, Entry, Event, Listing, Place, Spot};
use super::pool::Pool;

/// Entries of a directory that are kept: nobody reads more, and they take about 30 MiB.
const MAX_ENTRIES: usize = 100_000;

/// What changes is gathered for so long before it is looked at again.
const GATHER: Duration = Duration::from_millis(500);

/// And for so much longer for each entry.
const EACH: Duration = Duration::from_micros(50);

/// How long a lost connection is left alone before the next try to watch again.
const AGAIN: Duration = Duration::from_secs(2);

/// Larger directories are not listed a second time when their watch stands.
const MAX_SECOND: usize = 10_000;

/// Lists a directory and tells it; then waits until something in it changes, tells that, and is done. Where the
/// connection is lost meanwhile it is tried again: something may have changed.
pub(super) async fn list(
    pool: Arc<Pool>,
    place: Place,
    number: u64,
    spot: Spot,
    tell: mpsc::Sender<Event>,
) {
    let listing = listing(&pool, &spot).await;
    let shown = listing.as_ref().ok();
    let shown = shown.map(|listing| (listing.path.clone(), listing.entries.clone()));
    let answer = listing.map_err(|error| error.refusal());
    let _ = tell.send(Event::Listed(place, number, answer)).await;
    let Some((path, first)) = shown else {
        return;
    };
    // What takes long to list is not listed again and again.
    let gather = GATHER + EACH * first.len() as u32;
    let mut watched = changed(&pool, &spot, &path, &first, gather).await;
    while watched.as_ref().is_err_and(Error::is_connection) {
        tokio::time::sleep(AGAIN).await;
        watched = pool.open(&spot.end.place()).await.map(drop);
    }
    // Where it cannot be watched the user looks again.
    if watched.is_ok() {
        let _ = tell.send(Event::Stale(place, number)).await;
    }
}

/// Waits until something is not as it was listed, be it from before the watch stood.
async fn changed(
    pool: &Pool,
    spot: &Spot,
    path: &[u8],
    first: &[Entry],
    gather: Duration,
) -> Result<(), Error> {
    let mut files = pool.open(&spot.end.place()).await?;
    files.watch(path, false).await?;
    let mut is_changed =
        first.len() <= MAX_SECOND && sorted(&listing(pool, spot).await?.entries) != sorted(first);
    while !is_changed {
        let changes = files.changes().await?;
        is_changed = !changes.changes.is_empty() || changes.overflowed;
    }
    tokio::time::sleep(gather).await;
    Ok(())
}

/// File systems keep no order.
fn sorted(entries: &[Entry]) -> Vec<&Entry> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    sorted
}

async fn listing(pool: &Pool, spot: &Spot) -> Result<Listing, Error> {
    let place = spot.end.place();
    if let Some(mut files) = pool.kept(&place) {
        match read(&mut files, spot).await {
            Err(error) if error.is_connection() => {}
            answer => {
                pool.keep(place, files);
                return answer;
            }
        }
    }
    let mut files = pool.open(&place).await?;
    let answer = read(&mut files, spot).await;
    if answer.is_ok() {
        pool.keep(place, files);
    }
    answer
}

async fn read(files: &mut Files, spot: &Spot) -> Result<Listing, Error> {
    let (home, start) = match &spot.end {
        End::Here => (home(), here()),
        End::Machine(_) => {
            let home = Bytes::copy_from_slice(files.home());
            (home.clone(), home)
        }
    };
    let path = match spot.path.as_ref() {
        b"" => start,
        path => path::plain(path),
    };
    let mut entries = Vec::new();
    let mut is_cut = false;
    let list = v1::FileList {
        path: path.clone(),
        ..v1::FileList::default()
    };
    files
        .list(list, |part| {
            let files::Listing::Entries(some) = part else {
                return;
            };
            for entry in some.iter().filter_map(Entry::read) {
                is_cut |= entries.len() >= MAX_ENTRIES;
                if !is_cut {
                    entries.push(entry);
                }
            }
        })
        .await?;
    Ok(Listing {
        free: files.room(&path).await.ok(),
        may_write: files.may_write(),
        home,
        path,
        entries,
        is_cut,
    })
}

/// The directory that the client was started in.
fn here() -> Bytes {
    std::env::current_dir().map_or_else(|_| Bytes::from_static(b"/"), |path| bytes(&path))
}

fn home() -> Bytes {
    directories::BaseDirs::new().map_or_else(here, |dirs| bytes(dirs.home_dir()))
}

fn bytes(path: &std::path::Path) -> Bytes {
    use std::os::unix::ffi::OsStrExt as _;
    Bytes::copy_from_slice(path.as_os_str().as_bytes())
}

/// The names in a directory.
pub(super) async fn names(pool: &Pool, spot: &Spot) -> Result<BTreeSet<Bytes>, Refusal> {
    let entries = async {
        let mut files = pool.open(&spot.end.place()).await?;
        files.directory(&spot.path).await
    };
    let entries = entries.await.map_err(|error: Error| error.refusal())?;
    Ok(entries.into_iter().map(|entry| entry.path).collect())
}
