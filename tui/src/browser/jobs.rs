//! What is copied, moved, deleted and verified in the background: a queue of which some run at a time.
//!
//! What runs is another's business; it tells how far it is, and how it ended, by its number.

use std::time::Duration;

use cmdop_proto::Refusal;
use tokio::time::Instant;

use super::work::{What, Work};
use crate::view::text;

/// How many copy at the same time: each uses several streams of its own.
const AT_ONCE: usize = 2;

/// Jobs that are remembered; the oldest that are over give way.
const MAX_JOBS: usize = 200;

/// A number that no other job of this run has.
pub type JobId = u64;

/// How far something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files and directories that are done.
    pub files_done: u64,
    /// That are known of.
    pub files_total: u64,
    /// Bytes that are done.
    pub bytes_done: u64,
    /// That are known of.
    pub bytes_total: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// How long it may still take; `None`: nobody knows.
    pub left: Option<Duration>,
    /// What is under way, as it is shown.
    pub current: String,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How far it was then.
    pub progress: Progress,
    /// What went wrong, a line each, with what they are about; the first of them.
    pub failures: Vec<String>,
    /// How many went wrong.
    pub failed: u64,
    /// How many stayed because something was there.
    pub skipped: u64,
    /// It was ended by its user.
    pub is_cancelled: bool,
}

/// What a job tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// How far it is.
    Progress(Progress),
    /// It is over.
    Ended(Ended),
    /// It could not begin, or broke off.
    Failed(Refusal),
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Others are before it.
    Waiting,
    /// It runs.
    Running,
    /// It waits for its user.
    Paused,
    /// All of it is done.
    Done,
    /// Some or all of it is not.
    Failed,
    /// Its user ended it.
    Cancelled,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub work: Work,
    /// How it stands.
    pub state: State,
    /// How far it is.
    pub progress: Progress,
    /// What there is to say when it is over.
    pub note: String,
    /// What went wrong, a line each; the first of them.
    pub failures: Vec<String>,
    /// When it began to run, and when it was over.
    pub began: Option<Instant>,
    /// See [`Job::began`].
    pub ended: Option<Instant>,
}

impl Job {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed | State::Cancelled)
    }

    /// Whether something of it is under way.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Running | State::Paused)
    }

    /// How much of it is done, of 100.
    pub fn percent(&self) -> u8 {
        let Progress {
            files_done,
            files_total,
            bytes_done,
            bytes_total,
            ..
        } = self.progress;
        let share =
            |done: u64, total: u64| (u128::from(done.min(total)) * 100 / u128::from(total)) as u8;
        match (self.state == State::Done, bytes_total, files_total) {
            (true, ..) => 100,
            (_, 0, 0) => 0,
            (_, 0, files) => share(files_done, files),
            (_, bytes, _) => share(bytes_done, bytes),
        }
    }
}

/// What the user wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it goes on.
    Run,
    /// That it waits.
    Pause,
    /// That it ends.
    Cancel,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Jobs {
    all: Vec<Job>,
    pub(super) at: usize,
    pub(super) top: usize,
}

impl Jobs {
    /// In the order in which they were asked for.
    pub fn all(&self) -> &[Job] {
        &self.all
    }

    /// The selected one.
    pub fn selected(&self) -> Option<&Job> {
        self.all.get(self.at)
    }

    /// Those that are not over.
    pub fn unfinished(&self) -> impl Iterator<Item = &Job> {
        self.all.iter().filter(|job| !job.is_over())
    }

    /// One line about all that is under way; `None`: nothing is.
    pub fn summary(&self) -> Option<String> {
        let live: Vec<_> = self.unfinished().collect();
        let first = live
            .iter()
            .find(|job| job.state == State::Running)
            .or(live.first())?;
        let what = match live.len() {
            1 => first.work.what.word().to_owned(),
            count => format!("{count} transfers"),
        };
        let sum = |of: fn(&Progress) -> u64| live.iter().map(|job| of(&job.progress)).sum::<u64>();
        let (done, total) = (sum(|p| p.bytes_done), sum(|p| p.bytes_total));
        let percent = match total {
            0 => u128::from(first.percent()),
            total => u128::from(done.min(total)) * 100 / u128::from(total),
        };
        if live.iter().all(|job| job.state == State::Paused) {
            return Some(format!("{what} {percent}% paused"));
        }
        let rate = match sum(|p| p.rate) {
            0 => return Some(format!("{what} {percent}%")),
            rate => text::bytes(rate),
        };
        let left = live.iter().filter_map(|job| job.progress.left).max();
        let left = left.map_or_else(String::new, |left| format!(" {}", text::age(left)));
        Some(format!("{what} {percent}% {rate}/s{left}"))
    }

    pub(super) fn add(&mut self, id: JobId, work: Work) {
        if self.all.len() >= MAX_JOBS
            && let Some(oldest) = self.all.iter().position(Job::is_over)
        {
            self.remove(oldest);
        }
        self.all.push(Job {
            id,
            work,
            state: State::Waiting,
            progress: Progress::default(),
            note: String::new(),
            failures: Vec::new(),
            began: None,
            ended: None,
        });
    }

    /// Those that can begin now; they run from now on.
    pub(super) fn start(&mut self, now: Instant) -> Vec<(JobId, Work)> {
        let mut copying = self
            .all
            .iter()
            .filter(|job| job.is_live() && travels(job))
            .count();
        let mut begun = Vec::new();
        for job in &mut self.all {
            // What only takes a moment waits for nothing.
            if job.state != State::Waiting || (travels(job) && copying >= AT_ONCE) {
                continue;
            }
            copying += usize::from(travels(job));
            job.state = State::Running;
            job.began = Some(now);
            begun.push((job.id, job.work.clone()));
        }
        begun
    }

    pub(super) fn find(&mut self, id: JobId) -> Option<&mut Job> {
        self.all.iter_mut().find(|job| job.id == id)
    }

    pub(super) fn step(&mut self, by: isize) {
        let last = self.all.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
    }

    pub(super) fn select(&mut self, place: usize) {
        if place < self.all.len() {
            self.at = place;
        }
    }

    /// Pauses the selected one, or lets it go on.
    pub(super) fn pause(&mut self) -> Option<(JobId, Wish)> {
        let job = self.all.get_mut(self.at)?;
        let wish = match job.state {
            State::Running => Wish::Pause,
            State::Paused => Wish::Run,
            _ => return None,
        };
        job.state = match wish {
            Wish::Pause => State::Paused,
            _ => State::Running,
        };
        Some((job.id, wish))
    }

    /// Ends the selected one; what has not begun is over at once.
    pub(super) fn cancel(&mut self) -> Option<(JobId, Wish)> {
        let job = self.all.get_mut(self.at)?;
        if job.state == State::Waiting {
            job.state = State::Cancelled;
        }
        job.is_live().then_some((job.id, Wish::Cancel))
    }

    /// The selected one once more, if it is over and not all of it is done.
    pub(super) fn retry(&mut self, id: JobId) -> bool {
        let Some(job) = self.all.get_mut(self.at) else {
            return false;
        };
        if !matches!(job.state, State::Failed | State::Cancelled) {
            return false;
        }
        // An answer to the try before is none to this one.
        job.id = id;
        job.state = State::Waiting;
        job.progress = Progress::default();
        job.note.clear();
        job.failures.clear();
        (job.began, job.ended) = (None, None);
        job.work.is_again = true;
        true
    }

    /// What compares the copies of the selected one with what they are copies of.
    pub(super) fn verification(&self) -> Option<Work> {
        let job = self.selected()?;
        let is_copy = job.work.what == What::Copy && job.is_over();
        is_copy.then(|| Work {
            what: What::Verify,
            ..job.work.clone()
        })
    }

    /// Takes away what is over.
    pub(super) fn forget(&mut self) {
        self.all.retain(|job| !job.is_over());
        self.at = self.at.min(self.all.len().saturating_sub(1));
    }

    fn remove(&mut self, place: usize) {
        self.all.remove(place);
        if self.at > place {
            self.at -= 1;
        }
    }
}

fn travels(job: &Job) -> bool {
    matches!(job.work.what, What::Copy | What::Move | What::Verify) && !job.work.stays()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::work::Policy;
    use super::super::{End, Spot};
    use super::*;
    use crate::testing::machine_id;

    fn work(what: What) -> Work {
        let machine = End::Machine(super::super::end::Machine {
            id: machine_id(1),
            name: "web-1".into(),
        });
        let at = |end, path: &'static str| Spot {
            end,
            path: path.into(),
        };
        Work {
            what,
            from: at(End::Here, "/a"),
            names: vec![Bytes::from("x")],
            to: at(machine, "/b"),
            policy: Policy::Keep,
            others: [].into(),
            is_again: false,
            limit: None,
        }
    }

    #[test]
    fn some_run_at_a_time_and_what_takes_a_moment_waits_for_none() {
        let mut jobs = Jobs::default();
        let now = Instant::now();
        for id in 0..4 {
            jobs.add(id, work(What::Copy));
        }
        let mut delete = work(What::Delete);
        delete.to = delete.from.clone();
        jobs.add(4, delete);
        let ids =
            |begun: Vec<(JobId, Work)>| begun.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(jobs.start(now)), [0, 1, 4]);
        assert_eq!(ids(jobs.start(now)), [0; 0]);
        jobs.find(1).unwrap().state = State::Done;
        assert_eq!(ids(jobs.start(now)), [2]);
    }

    #[test]
    fn a_job_is_paused_ended_and_tried_again() {
        let mut jobs = Jobs::default();
        jobs.add(7, work(What::Copy));
        assert_eq!(jobs.pause(), None, "it has not begun");
        jobs.start(Instant::now());
        assert_eq!(jobs.pause(), Some((7, Wish::Pause)));
        assert_eq!(jobs.summary().unwrap(), "copy 0% paused");
        assert_eq!(jobs.pause(), Some((7, Wish::Run)));
        assert_eq!(jobs.cancel(), Some((7, Wish::Cancel)));
        assert!(!jobs.retry(8), "it is not over yet");
        jobs.find(7).unwrap().state = State::Cancelled;
        assert!(jobs.retry(8));
        let again = jobs.selected().unwrap();
        assert_eq!((again.id, again.work.is_again), (8, true));
    }

    #[test]
    fn the_summary_adds_up_what_is_under_way() {
        let mut jobs = Jobs::default();
        assert_eq!(jobs.summary(), None);
        jobs.add(1, work(What::Copy));
        jobs.add(2, work(What::Move));
        jobs.start(Instant::now());
        for (id, done) in [(1, 25), (2, 75)] {
            jobs.find(id).unwrap().progress = Progress {
                bytes_done: done << 20,
                bytes_total: 100 << 20,
                rate: 5 << 20,
                left: Some(Duration::from_secs(done)),
                ..Progress::default()
            };
        }
        let said = jobs.summary().unwrap();
        assert_eq!(said, "2 transfers 50% 10.0 MiB/s 75s");
    }
}
