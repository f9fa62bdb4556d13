//! Asking ends about files: each question on a task of its own, its answer told to a bounded channel.
//!
//! A newer listing, preview or search ends the one before: its stream is dropped, and the other end stops. What was
//! begun in the background ends with its wish, or with this.

mod jobs;
mod looking;
mod pool;
mod reading;
mod searching;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cmdop_client::Connection;
use cmdop_proto::{Refusal, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::act::{first_part, new_directory};
use super::{Effect, Event, JobEvent, JobId, Place, Spot, Wish, Work};
use pool::Pool;

/// Answers on their way to the page; an end that answers faster than they are taken waits.
const EVENTS: usize = 32;

/// A task that ends when it is dropped.
type Task = JoinSet<()>;

/// See the module.
#[derive(Debug)]
pub struct Running {
    pool: Arc<Pool>,
    owner: TaskTracker,
    tell: mpsc::Sender<Event>,
    news: mpsc::Receiver<Event>,
    lists: [Task; 2],
    preview: Task,
    find: Task,
    /// What takes a moment: names and new directories.
    small: Task,
    jobs: BTreeMap<JobId, Begun>,
}

/// Something in the background.
#[derive(Debug)]
struct Begun {
    wish: watch::Sender<Wish>,
    task: Task,
}

impl Running {
    /// Nothing was asked yet.
    pub fn new(connection: Connection) -> Self {
        let (tell, news) = mpsc::channel(EVENTS);
        Self {
            pool: Arc::new(Pool::new(connection)),
            owner: TaskTracker::new(),
            tell,
            news,
            lists: [Task::new(), Task::new()],
            preview: Task::new(),
            find: Task::new(),
            small: Task::new(),
            jobs: BTreeMap::new(),
        }
    }

    /// What happened next. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        match self.news.recv().await {
            Some(event) => event,
            // It cannot be: we have a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// What has happened already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.news.try_recv().ok()
    }

    /// Does what this page wants of ends.
    pub fn run(&mut self, effect: Effect) {
        while self.small.try_join_next().is_some() {}
        self.jobs
            .retain(|_, begun| begun.task.try_join_next().is_none());
        let (pool, tell) = (self.pool.clone(), self.tell.clone());
        match effect {
            Effect::List(place, number, spot) => {
                let list = &mut self.lists[usize::from(place == Place::Right)];
                *list = Task::new();
                list.spawn(looking::list(pool, place, number, spot, tell));
            }
            Effect::Rest => {
                self.lists = [Task::new(), Task::new()];
                self.preview = Task::new();
                self.pool.clear();
            }
            Effect::Preview(number, spot, kind) => {
                self.preview = Task::new();
                self.preview
                    .spawn(reading::preview(pool, number, spot, kind, tell));
            }
            Effect::NoPreview => self.preview = Task::new(),
            Effect::Find(number, spot, find) => {
                self.find = Task::new();
                self.find
                    .spawn(searching::find(pool, number, spot, find, tell));
            }
            Effect::NoFind => self.find = Task::new(),
            Effect::Look(number, spot) => drop(self.small.spawn(async move {
                let names = looking::names(&pool, &spot).await;
                let _ = tell.send(Event::Present(number, names)).await;
            })),
            Effect::Rename(spot, from, to) => drop(self.small.spawn(async move {
                let renamed = rename(&pool, &spot, &from, to).await;
                let _ = tell.send(Event::Changed(spot, renamed)).await;
            })),
            Effect::Mkdir(spot, typed) => drop(self.small.spawn(async move {
                let made = mkdir(&pool, &spot, &typed).await;
                let _ = tell.send(Event::Changed(spot, made)).await;
            })),
            Effect::Begin(id, work) => self.begin(id, work),
            Effect::Wish(id, wish) => {
                if let Some(begun) = self.jobs.get(&id) {
                    begun.wish.send_replace(wish);
                }
            }
            // The client's own.
            _ => {}
        }
    }

    fn begin(&mut self, id: JobId, work: Work) {
        let (wish, wishes) = watch::channel(Wish::Run);
        let worker = jobs::Worker {
            id,
            pool: self.pool.clone(),
            owner: self.owner.clone(),
            wishes,
            tell: self.tell.clone(),
        };
        let mut task = Task::new();
        let tell = self.tell.clone();
        task.spawn(async move {
            let event = match worker.run(&work).await {
                Ok(ended) => JobEvent::Ended(ended),
                Err(error) => JobEvent::Failed(error.refusal()),
            };
            let _ = tell.send(Event::Job(id, event)).await;
        });
        self.jobs.insert(id, Begun { wish, task });
    }
}

async fn rename(pool: &Pool, spot: &Spot, from: &Bytes, to: Bytes) -> Result<Bytes, Refusal> {
    let rename = v1::FileRename {
        from: spot.child(from).path,
        to: spot.child(&to).path,
        replace: v1::FileReplace::Never.into(),
    };
    let renamed = async { pool.open(&spot.end.place()).await?.rename(rename).await };
    renamed.await.map_err(|error| error.refusal())?;
    Ok(to)
}

async fn mkdir(pool: &Pool, spot: &Spot, typed: &[u8]) -> Result<Bytes, Refusal> {
    let path = new_directory(spot, typed);
    // Those on the way may be there; the last is to be new.
    let (above, _) = super::path::split(&path).unwrap_or_default();
    let make = |path, parents| v1::FileMkdir {
        paths: vec![path],
        parents,
        ..v1::FileMkdir::default()
    };
    let made = async {
        let mut files = pool.open(&spot.end.place()).await?;
        if above != spot.path {
            files.mkdir(make(above, true)).await?;
        }
        files.mkdir(make(path, false)).await
    };
    made.await.map_err(|error| error.refusal())?;
    Ok(first_part(typed))
}
