//! Runs that belong to no caller: their output goes to files, and whoever comes reads it from there, at
//! their own pace and from wherever they like.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::{Refusal, RunId, limits, v1};
use cmdop_service::now_ms;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::living::{Living, Why, at, ended};
use super::program::NotStarted;
use super::reader;
use super::run;
use super::spool::{Facts, Place, Writer};
use super::talk::Talk;
use super::{Job, Visit};

/// How long a run is kept after its end.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A detached run, living or ended.
#[derive(Debug)]
pub(crate) struct Detached {
    id: String,
    pub(super) place: Place,
    pub(super) progress: watch::Sender<Progress>,
    /// Somebody wants the program to end.
    pub(super) end: CancellationToken,
    /// Nobody but its caller knows of it.
    is_unlisted: AtomicBool,
    /// It goes at the next sweep.
    is_unneeded: AtomicBool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) pid: u32,
    /// What is kept of each stream.
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    pub(super) finished: Option<v1::ExecFinished>,
    ended_ms: u64,
}

/// All of them, by id. Ids sort by the time of their making.
#[derive(Debug)]
pub(crate) struct Table {
    place: PathBuf,
    runs: BTreeMap<String, Arc<Detached>>,
}

impl Table {
    /// What an earlier worker left in `place`. A run that it did not see the end of is lost.
    pub(crate) fn open(place: PathBuf) -> Self {
        let mut table = Self {
            place,
            runs: BTreeMap::new(),
        };
        let entries = std::fs::read_dir(&table.place).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Whatever else lies there is not ours to touch.
            if name.parse::<RunId>().is_ok() {
                table.adopt(name);
            }
        }
        table.sweep();
        table
    }

    fn adopt(&mut self, id: String) {
        let place = Place::new(&self.place, &id);
        let Some((mut facts, stdout, stderr)) = place.load() else {
            return place.remove();
        };
        if facts.ended_ms == 0 {
            facts.lost = true;
            facts.ended_ms = now_ms();
            if let Err(error) = place.save(&facts) {
                tracing::warn!(%error, run = id, "cannot write down that a run is lost");
            }
        }
        let progress = Progress {
            pid: facts.pid,
            stdout,
            stderr,
            finished: Some(facts.finished(stdout, stderr)),
            ended_ms: facts.ended_ms,
        };
        self.insert(id, place, progress);
    }

    fn insert(&mut self, id: String, place: Place, progress: Progress) -> Arc<Detached> {
        let run = Arc::new(Detached {
            id: id.clone(),
            place,
            progress: watch::Sender::new(progress),
            end: CancellationToken::new(),
            is_unlisted: AtomicBool::new(false),
            is_unneeded: AtomicBool::new(false),
        });
        self.runs.insert(id, run.clone());
        run
    }

    /// Makes room for a run that is about to be started.
    pub(crate) fn enter(&mut self, id: &str) -> Result<Arc<Detached>, Refusal> {
        // It names a directory, so it must be what it says.
        let id = id.parse::<RunId>()?.to_string();
        self.sweep();
        if self.runs.contains_key(&id) {
            return Err(Refusal::invalid(
                "run-id-taken",
                "a run with this id is there already",
            ));
        }
        if self.runs.len() >= limits::MAX_DETACHED_RUNS {
            let ended = self.runs.values().find(|run| run.has_ended()).cloned();
            let oldest = ended.ok_or_else(|| {
                Refusal::exhausted(
                    "too-many-execs",
                    format!(
                        "the machine runs {} detached programs already, which is the limit",
                        self.runs.len()
                    ),
                )
                .hint("end one with `cmdop exec --stop`")
            })?;
            self.forget(&oldest);
        }
        let place = Place::new(&self.place, &id);
        Ok(self.insert(id, place, Progress::default()))
    }

    /// The run of that id.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Detached>> {
        self.runs.get(id).cloned()
    }

    /// All ids, for the relay.
    pub(crate) fn ids(&mut self) -> Vec<String> {
        self.sweep();
        self.runs.keys().cloned().collect()
    }

    /// Forgets what ended long ago, or was never started.
    pub(crate) fn sweep(&mut self) {
        let retention = RETENTION.as_millis() as u64;
        let is_old = |run: &Detached| {
            let progress = run.progress.borrow();
            let is_over = now_ms().saturating_sub(progress.ended_ms) > retention;
            let is_unneeded = run.is_unneeded.load(Ordering::Relaxed);
            let may_go = progress.finished.is_some() && (is_over || is_unneeded);
            may_go || run.was_never_started()
        };
        let old: Vec<_> = self
            .runs
            .values()
            .filter(|run| is_old(run))
            .cloned()
            .collect();
        for run in old {
            self.forget(&run);
        }
    }

    fn forget(&mut self, run: &Detached) {
        self.runs.remove(&run.id);
        // Three small steps of the file system, some times a day.
        run.place.remove();
    }
}

impl Detached {
    fn has_ended(&self) -> bool {
        self.progress.borrow().finished.is_some()
    }

    /// It was started as one that no list has: whoever has all of it may say that nobody else will ask. Others are
    /// kept for their time, whoever reads them.
    pub(crate) fn may_be_forgotten(&self) {
        self.is_unlisted.store(true, Ordering::Relaxed);
    }

    /// Its caller has all of it, and said that nobody else will ask.
    pub(super) fn nobody_needs_it(&self) {
        let unlisted = self.is_unlisted.load(Ordering::Relaxed);
        self.is_unneeded.fetch_or(unlisted, Ordering::Relaxed);
    }

    /// Whoever was to start it said that it cannot be.
    fn was_never_started(&self) -> bool {
        self.end.is_cancelled() && self.progress.borrow().pid == 0
    }
}

/// Starts a detached run and sees it to its end; its first reader is who asked for it. The error is for
/// the link: there was no stream that could carry it.
pub(super) async fn start(mut job: Job, run: Arc<Detached>) -> Result<(), Refusal> {
    let holder = job.holder.clone();
    let (mut talk, started) = run::begin(&job).await;
    let refused = match started {
        Ok(started) => {
            let pid = started.pid();
            holder.program_started(pid).await;
            let timeout = Duration::from_millis(job.start.timeout_ms);
            let living = Living::new(started, timeout);
            match living
                .map_err(|error| run::unwatched(&error))
                .and_then(|living| keep(&run, living, pid))
            {
                Ok(mut keeper) => {
                    talk.say(Response::Started(v1::ExecStarted { pid, resumes: true }));
                    let reader = reader::read(talk, run.clone(), (0, 0), job.stop.clone());
                    tokio::join!(keeper.live(&job.stop), reader);
                    holder.program_over(pid).await;
                    return Ok(());
                }
                // Its process group was killed as it was dropped.
                Err(refusal) => refusal,
            }
        }
        Err(NotStarted::Shell { line, code }) => {
            run.end.cancel();
            // As any other run that is none: told, acknowledged, forgotten.
            job.start.detach = false;
            return run::not_found(talk, line, code, job).await;
        }
        Err(NotStarted::Machine(refusal)) => refusal,
    };
    run.end.cancel();
    talk.refuse(job.command_id, &refused);
    talk.goodbye().await
}

fn keep(run: &Arc<Detached>, living: Living, pid: u32) -> Result<Keeper, Refusal> {
    let facts = Facts {
        pid,
        started_ms: now_ms(),
        ..Facts::default()
    };
    let files = run.place.make().and_then(|files| {
        run.place.save(&facts)?;
        Ok(files)
    });
    let (stdout, stderr) = files.map_err(|error| {
        Refusal::exhausted(
            "no-space",
            format!("the machine cannot keep the output of a detached run: {error}"),
        )
        .hint("free space in the agent's data directory")
    })?;
    run.progress.send_modify(|progress| progress.pid = pid);
    Ok(Keeper {
        run: run.clone(),
        living,
        facts,
        files: Some((stdout, stderr)),
    })
}

/// Sees a program to its end, and its output to the files.
struct Keeper {
    run: Arc<Detached>,
    living: Living,
    facts: Facts,
    /// Lent to a thread while it writes.
    files: Option<(Writer, Writer)>,
}

enum Event {
    Force(Why),
    Ended,
    Deadline,
    Output,
}

impl Keeper {
    async fn live(&mut self, stop: &CancellationToken) {
        while !self.living.is_over() {
            match self.next(stop).await {
                Event::Force(why) => self.living.force(why),
                Event::Ended => self.living.process_ended(),
                Event::Deadline => self.living.deadline_passed(),
                Event::Output => self.write().await,
            }
        }
        self.finish().await;
    }

    /// Cancel-safe throughout.
    async fn next(&mut self, stop: &CancellationToken) -> Event {
        let (is_forced, has_ended) = (self.living.is_forced(), self.living.has_ended());
        let wake = self.living.wake();
        let Living {
            process,
            stdout,
            stderr,
            ..
        } = &mut self.living;
        tokio::select! {
            biased;
            () = stop.cancelled(), if !is_forced => Event::Force(Why::Stopping),
            () = self.run.end.cancelled(), if !is_forced => Event::Force(Why::Stopping),
            () = ended(process.as_mut()), if !has_ended => Event::Ended,
            () = at(wake), if wake.is_some() => Event::Deadline,
            () = stdout.readable() => Event::Output,
            () = stderr.readable() => Event::Output,
        }
    }

    /// Moves what there is to the files. A disk may take its time: not on the runtime's threads.
    async fn write(&mut self) {
        let (out, err) = (self.living.stdout.read(), self.living.stderr.read());
        let Some((mut stdout, mut stderr)) = self.files.take() else {
            return;
        };
        if out.is_some() || err.is_some() {
            let written = tokio::task::spawn_blocking(move || {
                if let Some(data) = &out {
                    stdout.push(data);
                }
                if let Some(data) = &err {
                    stderr.push(data);
                }
                (stdout, stderr)
            });
            self.files = written.await.ok();
        } else {
            self.files = Some((stdout, stderr));
        }
        if let Some((stdout, stderr)) = &self.files {
            let (stdout, stderr) = (stdout.kept(), stderr.kept());
            self.run.progress.send_modify(|progress| {
                (progress.stdout, progress.stderr) = (stdout, stderr);
            });
        }
    }

    async fn finish(&mut self) {
        let mut facts = self.facts;
        facts.ended(self.living.reap());
        facts.ended_ms = now_ms();
        facts.timed_out = self.living.is_forced_by(Why::TimedOut);
        facts.ended_on_request = self.living.is_forced_by(Why::Stopping);
        if let Some((stdout, stderr)) = &self.files {
            (facts.stdout_lost, facts.stderr_lost) = (stdout.lost(), stderr.lost());
        }
        let place = self.run.place.clone();
        let saved = tokio::task::spawn_blocking(move || place.save(&facts)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, run = self.run.id, "cannot write down how a run ended");
        }
        self.run.progress.send_modify(|progress| {
            progress.ended_ms = facts.ended_ms;
            progress.finished = Some(facts.finished(progress.stdout, progress.stderr));
        });
    }
}

/// Lets a caller read a detached run.
pub(crate) async fn visited(run: Arc<Detached>, visit: Visit, stop: CancellationToken) {
    let from = (visit.stdout_from, visit.stderr_from);
    let progress = *run.progress.borrow();
    if progress.pid == 0 || from.0 > progress.stdout || from.1 > progress.stderr {
        return visit.refuse(&super::unknown_run());
    }
    let mut talk = Talk::begin(visit.address);
    talk.say(Response::Resumed(v1::ExecResumed {
        pid: progress.pid,
        stdin_from: 0,
        detached: true,
    }));
    reader::read(talk, run, from, stop).await;
}

#[cfg(test)]
mod tests;
