//! What there is to copy: the sources are walked, directories made, and the rest dealt out to workers.

mod directories;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use cmdop_proto::limits::{FILE_BATCH, SMALL_FILE};
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::item::{self, Item, Work, is_inside, join};
use super::progress::Shared;
use super::streams::{self, Ends, cancelled_error, is_cancelled};
use super::worker::Worker;
use super::{Job, Location, MAX_STREAMS, Report, Wish};
use crate::error::Error;
use crate::files::{Follow, Place, read, refusal, unexpected};
use directories::Links;

/// Small files in one batch.
pub(super) const BATCH_FILES: usize = 256;

/// What the entry of a small file takes in a message beside its content.
const ENVELOPE: usize = 256;

/// Entries of the target that are remembered, to skip what is there: 200 MiB at most.
const MAX_KNOWN: usize = 1 << 20;

/// Paths that a report names.
const MAX_PLANNED: usize = 100_000;

/// Runs a transfer to its end.
pub(super) async fn run(
    job: Job,
    shared: Arc<Shared>,
    owner: TaskTracker,
) -> Result<Report, Error> {
    let job = Arc::new(job);
    let mut planned = Vec::new();
    let mut cancelled = false;
    let into = target_kind(&job, &shared).await?;
    let mut order = 0;
    for group in job.sources.chunk_by(|a, b| a.place == b.place) {
        let mut scout = Scout {
            ends: streams::both(&job, &shared, &group[0].place).await?,
            job: job.clone(),
            shared: shared.clone(),
            idle: None,
            batch: Vec::new(),
            batch_bytes: 0,
            directories: Vec::new(),
            made: HashSet::new(),
            known: HashMap::new(),
            planned: std::mem::take(&mut planned),
            order,
        };
        let workers = scout.start_workers(&group[0].place, &owner);
        let dealt = scout.group(group, into).await;
        scout.idle = None;
        for worker in workers {
            // A worker that panicked has told no failures: the totals do not add up, which is seen.
            let _ = worker.await;
        }
        if let (Some(group), Ok(())) = (&job.group, &dealt) {
            // Their directories get their attributes when nothing is written into them any more.
            group.written().await;
        }
        match dealt {
            Ok(()) => scout.finish_directories().await,
            Err(error) if is_cancelled(&error) => cancelled = true,
            Err(error) => return Err(error),
        }
        planned = scout.planned;
        order = scout.order;
    }
    let wish = *shared.wishes().borrow();
    Ok(Report {
        progress: shared.snapshot(),
        failed: shared.take_failed(),
        planned,
        cancelled: cancelled || wish == Wish::Cancel,
    })
}

/// An entry with its path at the source and at the target.
type Placed = (Bytes, Bytes, v1::FileEntry);

/// What stands at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Into {
    /// A directory: the sources go into it.
    Directory,
    /// Something else, or nothing: the source gets this name.
    Name,
}

async fn target_kind(job: &Job, shared: &Arc<Shared>) -> Result<Into, Error> {
    let target = &job.target;
    let mut files = streams::target(job, shared).await?;
    let found = match files.stat(&target.path, Follow::Yes).await {
        Ok(entry) => Some(entry.kind()),
        Err(Error::Refused(refusal)) if refusal.reason == "file-unknown" => None,
        Err(error) => return Err(error),
    };
    let wants_directory = job.sources.len() > 1 || target.path.ends_with(b"/");
    match found {
        Some(v1::FileKind::Directory) => Ok(Into::Directory),
        _ if wants_directory => {
            let path = shown(&target.path);
            Err(Error::Refused(
                Refusal::invalid("file-no-directory", format!("{path} is not a directory"))
                    .hint("make it first, or name one source and its new name"),
            ))
        }
        _ => Ok(Into::Name),
    }
}

fn shown(path: &[u8]) -> String {
    cmdop_proto::text::shown(&String::from_utf8_lossy(path), 512)
}

struct Scout {
    ends: Ends,
    job: Arc<Job>,
    shared: Arc<Shared>,
    /// Workers that want work; `None` when there is no more.
    idle: Option<mpsc::Receiver<oneshot::Sender<Work>>>,
    batch: Vec<Item>,
    batch_bytes: usize,
    /// Directories that get their attributes when all in them is done: the target's path, mode and time.
    directories: Vec<v1::FileAttribute>,
    /// Directories of the target that are ours to write into.
    made: HashSet<Bytes>,
    /// What the target holds already: its size and time.
    known: HashMap<Bytes, (u64, i64)>,
    planned: Vec<Bytes>,
    order: u64,
}

impl Scout {
    fn start_workers(
        &mut self,
        place: &Place,
        owner: &TaskTracker,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        if self.job.options.dry_run {
            return Vec::new();
        }
        let count = self.job.options.streams.clamp(1, MAX_STREAMS);
        let (give, idle) = mpsc::channel(count);
        self.idle = Some(idle);
        (0..count)
            .map(|_| {
                let worker = Worker::new(self.job.clone(), self.shared.clone(), place.clone());
                owner.spawn(worker.run(give.clone()))
            })
            .collect()
    }

    async fn group(&mut self, sources: &[Location], into: Into) -> Result<(), Error> {
        for source in sources {
            if let Err(error) = self.source(source, into).await {
                if is_cancelled(&error) || !matches!(error, Error::Refused(_)) {
                    return Err(error);
                }
                self.order += 1;
                self.shared.failed(self.order, source.path.clone(), error);
            }
        }
        self.deal_batch().await?;
        self.shared.all_found();
        Ok(())
    }

    async fn source(&mut self, source: &Location, into: Into) -> Result<(), Error> {
        let follow = if self.job.options.recursive {
            Follow::No
        } else {
            Follow::Yes
        };
        let entry = self.ends.source.stat(&source.path, follow).await?;
        let target = &self.job.target.path;
        let to = match (into, item::name(&source.path)) {
            (Into::Directory, Some(name)) => join(target, name),
            _ => target.clone(),
        };
        match entry.kind() {
            v1::FileKind::Directory if !self.job.options.recursive => Err(Error::Refused(
                Refusal::invalid(
                    "file-is-directory",
                    format!("{} is a directory", shown(&source.path)),
                )
                .hint("copy it with all that is in it with -r"),
            )),
            v1::FileKind::Directory => self.tree(&source.path, to, entry).await,
            _ => {
                if self.skips() {
                    self.know_one(&to).await?;
                }
                self.entry(source.path.clone(), to, entry).await
            }
        }
    }

    fn skips(&self) -> bool {
        self.job.options.resume
    }

    async fn know_one(&mut self, to: &Bytes) -> Result<(), Error> {
        match self.ends.target.stat(to, Follow::No).await {
            Ok(entry) => {
                self.known.insert(to.clone(), (entry.size, entry.mtime_ns));
                Ok(())
            }
            Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Remembers what a tree of the target holds.
    async fn know_tree(&mut self, to: &Bytes) -> Result<(), Error> {
        let list = v1::FileList {
            path: to.clone(),
            recursive: true,
            ..v1::FileList::default()
        };
        let known = &mut self.known;
        let listed = self.ends.target.list(list, |part| {
            let crate::files::Listing::Entries(entries) = part else {
                return;
            };
            let files = entries.iter().filter(|e| e.kind() == v1::FileKind::File);
            for entry in files {
                if known.len() < MAX_KNOWN {
                    known.insert(join(to, &entry.path), (entry.size, entry.mtime_ns));
                }
            }
        });
        match listed.await {
            Ok(()) | Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn tree(&mut self, from: &Bytes, to: Bytes, top: v1::FileEntry) -> Result<(), Error> {
        if self.skips() {
            self.know_tree(&to).await?;
        }
        // The caller named it: it may be a link to a directory. Nothing beneath it may.
        self.make_directories(vec![(from.clone(), to.clone(), top)], Links::Followed)
            .await?;
        let list = v1::FileList {
            path: from.clone(),
            recursive: true,
            exclude: self.job.options.exclude.clone(),
        };
        self.ends.source.asker.ask(Ask::List(list)).await?;
        loop {
            let (response, last) = read(self.ends.source.answers.next().await?)?;
            match response {
                Response::Entries(entries) => self.entries(from, &to, entries.entries).await?,
                Response::Outcomes(outcomes) => {
                    for refused in outcomes.refused {
                        self.order += 1;
                        let error = Error::Refused(refusal(&refused));
                        let path = join(from, &refused.path);
                        self.shared.failed(self.order, path, error);
                    }
                }
                _ => return Err(unexpected()),
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn entries(
        &mut self,
        from: &Bytes,
        to: &Bytes,
        entries: Vec<v1::FileEntry>,
    ) -> Result<(), Error> {
        let inside = |entry: &v1::FileEntry| is_inside(&entry.path);
        if !entries.iter().all(inside) {
            return Err(unexpected());
        }
        let place = |entry: v1::FileEntry| (join(from, &entry.path), join(to, &entry.path), entry);
        let (directories, files): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(place)
            .partition(|(_, _, entry)| entry.kind() == v1::FileKind::Directory);
        self.make_levels(directories).await?;
        for (from, to, entry) in files {
            if self.has_home(&to) {
                self.entry(from, to, entry).await?;
            } else {
                self.homeless(from);
            }
        }
        Ok(())
    }

    fn plan(&mut self, from: &Bytes) {
        if self.planned.len() < MAX_PLANNED {
            self.planned.push(from.clone());
        }
    }

    async fn entry(&mut self, from: Bytes, to: Bytes, entry: v1::FileEntry) -> Result<(), Error> {
        self.order += 1;
        let is_link = entry.kind() == v1::FileKind::Symlink;
        if !is_link && entry.kind() != v1::FileKind::File {
            let error = Refusal::invalid(
                "file-not-regular",
                format!(
                    "{} is a device, socket or pipe: it was left out",
                    shown(&from)
                ),
            );
            self.shared.failed(self.order, from, Error::Refused(error));
            return Ok(());
        }
        let size = if is_link { 0 } else { entry.size };
        self.shared.found(1, size);
        if !is_link && self.known.get(&to) == Some(&(entry.size, entry.mtime_ns)) {
            self.shared.spared(size);
            self.shared.done(1);
            return Ok(());
        }
        self.plan(&from);
        if self.job.options.dry_run {
            return Ok(());
        }
        let item = Item {
            order: self.order,
            from,
            to,
            entry,
        };
        if size > SMALL_FILE as u64 {
            return self.deal(Work::One(item)).await;
        }
        let bytes = size as usize + ENVELOPE + 2 * (item.from.len() + item.to.len());
        if self.batch_bytes + bytes > FILE_BATCH || self.batch.len() >= BATCH_FILES {
            self.deal_batch().await?;
        }
        self.batch_bytes += bytes;
        self.batch.push(item);
        Ok(())
    }

    async fn deal_batch(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.deal(Work::Batch(batch)).await
    }

    /// Waits for a worker without work.
    async fn deal(&mut self, work: Work) -> Result<(), Error> {
        let mut wishes = self.shared.wishes();
        let Some(idle) = &mut self.idle else {
            return Ok(());
        };
        let mut work = work;
        loop {
            let worker = tokio::select! {
                worker = idle.recv() => worker.ok_or_else(cancelled_error)?,
                () = streams::cancelled(&mut wishes) => return Err(cancelled_error()),
            };
            match worker.send(work) {
                Ok(()) => return Ok(()),
                Err(back) => work = back,
            }
        }
    }
}
