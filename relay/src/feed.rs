//! A feed: requests that write, kept for a moment so that several file streams of one caller do them though they
//! came only once, from the caller or from a machine that reads.
//!
//! Invariants: it belongs to one account, and only that account's streams add to it or take from it. What it
//! holds is bounded ([`window`]). It lives as long as the call that opened it.

mod piece;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{Refusal, RunId, WorkspaceId};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use piece::{Copies, Piece};
use window::{ReaderId, Taken, Window};

/// How often it is looked whether a reader holds up the others.
const LOOK: Duration = Duration::from_millis(250);

/// Streams that take from one feed.
pub(crate) const MAX_READERS: usize = 256;

/// Whose feeds and streams belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) workspace: WorkspaceId,
    /// The account's id.
    pub(crate) account: String,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Feed {
    id: RunId,
    owner: Owner,
    /// Cancelled when it is over.
    pub(crate) over: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// What ends each reader's stream.
    streams: HashMap<ReaderId, CancellationToken>,
    waiting: Vec<Waker>,
}

impl Feed {
    fn new(owner: Owner) -> Self {
        Self {
            id: RunId::new(),
            owner,
            over: CancellationToken::new(),
            state: Mutex::new(State {
                window: Window::new(),
                streams: HashMap::new(),
                waiting: Vec::new(),
            }),
        }
    }

    pub(crate) fn id(&self) -> RunId {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream that takes what comes from now on; `over` ends it where it is left behind.
    pub(crate) fn join(self: &Arc<Self>, over: CancellationToken) -> Result<Reader, Refusal> {
        let mut state = self.lock();
        if state.window.readers() >= MAX_READERS {
            let message = format!("{MAX_READERS} streams take from this feed, which is the limit");
            return Err(Refusal::exhausted("too-many-readers", message));
        }
        let id = state.window.join(Instant::now());
        state.streams.insert(id, over);
        drop(state);
        Ok(Reader {
            feed: self.clone(),
            id,
        })
    }

    /// It is over, or something in it changed: whoever waits looks again.
    fn wake(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        self.over.cancel();
        self.wake();
    }

    fn leave_late_behind(&self, now: Instant) {
        let mut state = self.lock();
        let late = state.window.late(now);
        let streams: Vec<_> = late
            .iter()
            .filter_map(|id| state.streams.remove(id))
            .collect();
        drop(state);
        if !streams.is_empty() {
            streams.iter().for_each(CancellationToken::cancel);
            self.wake();
        }
    }
}

impl State {
    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

/// A stream's place in a feed, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    feed: Arc<Feed>,
    id: ReaderId,
}

impl Reader {
    /// The piece of this number, once it is there.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, number: u64) -> Poll<Result<Ask, Refusal>> {
        if self.feed.over.is_cancelled() {
            return Poll::Ready(Err(over()));
        }
        let mut state = self.feed.lock();
        match state.window.take(self.id, number, Instant::now()) {
            Taken::Piece(ask) => {
                drop(state);
                self.feed.wake();
                Poll::Ready(Ok(ask))
            }
            Taken::Later => {
                state.wait(cx.waker());
                drop(state);
                if self.feed.over.is_cancelled() {
                    return Poll::Ready(Err(over()));
                }
                Poll::Pending
            }
            Taken::Never => Poll::Ready(Err(Refusal::invalid(
                "bad-request",
                "the feed has no piece of this number for this stream",
            ))),
        }
    }

    /// Why its stream was ended, if it was for the feed's sake.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let is_behind = !self.feed.lock().streams.contains_key(&self.id);
        is_behind.then(behind)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.feed.lock();
        state.streams.remove(&self.id);
        state.window.leave(self.id, Instant::now());
        drop(state);
        self.feed.wake();
    }
}

/// Whoever adds to a feed.
#[derive(Debug)]
pub(crate) struct Producer {
    feed: Arc<Feed>,
    look: std::pin::Pin<Box<Sleep>>,
}

impl Producer {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self {
            feed,
            look: Box::pin(tokio::time::sleep(LOOK)),
        }
    }

    pub(crate) fn feed(&self) -> RunId {
        self.feed.id
    }

    /// Adds a piece once there is room for it: its number and what it counts.
    pub(crate) fn poll_push(
        &mut self,
        cx: &mut Context<'_>,
        piece: &Piece,
    ) -> Poll<Result<(u64, u64), Refusal>> {
        let bytes = piece.bytes();
        loop {
            if self.feed.over.is_cancelled() {
                return Poll::Ready(Err(over()));
            }
            let mut state = self.feed.lock();
            if let Some(number) = state.window.push(piece.ask(), bytes, Instant::now()) {
                drop(state);
                self.feed.wake();
                return Poll::Ready(Ok((number, bytes as u64)));
            }
            state.wait(cx.waker());
            drop(state);
            ready!(self.poll_look(cx));
        }
    }

    /// Looks for readers that hold up the others, now and then.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.look.as_mut().poll(cx));
        let now = Instant::now();
        self.look.as_mut().reset(now + LOOK);
        self.feed.leave_late_behind(now);
        Poll::Ready(())
    }

    /// The number before which all is past, once that is more than `told`. What is not told counts on the other side
    /// as kept: where that side stops, the window here must count as full.
    pub(crate) fn poll_past(&mut self, cx: &mut Context<'_>, told: u64) -> Poll<u64> {
        loop {
            let mut state = self.feed.lock();
            let past = state.window.past();
            if past > told {
                return Poll::Ready(past);
            }
            state.wait(cx.waker());
            if !state.window.is_full() {
                return Poll::Pending;
            }
            drop(state);
            ready!(self.poll_look(cx));
        }
    }
}

fn behind() -> Refusal {
    Refusal::unavailable(
        "feed-behind",
        "the machine could not keep up with the others that are copied to",
    )
    .hint("a copy of its own goes on with --resume")
}

fn over() -> Refusal {
    Refusal::unavailable("feed-over", "what the stream takes from is over")
}

/// All feeds of a relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feeds {
    all: Arc<Mutex<HashMap<RunId, Arc<Feed>>>>,
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Feed>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new feed of this owner, at most `most` of one workspace; over when the guard is dropped.
    pub(crate) fn open(&self, owner: Owner, most: usize) -> Result<FeedGuard, Refusal> {
        let mut all = self.lock();
        let of_workspace = |feed: &&Arc<Feed>| feed.owner.workspace == owner.workspace;
        if all.values().filter(of_workspace).count() >= most {
            let message = format!("the workspace has {most} feeds, which is the limit");
            return Err(Refusal::exhausted("too-many-feeds", message)
                .hint("wait until a transfer has ended"));
        }
        let feed = Arc::new(Feed::new(owner));
        all.insert(feed.id, feed.clone());
        drop(all);
        Ok(FeedGuard {
            feeds: self.clone(),
            feed,
        })
    }

    /// The feed of this id, if it is the owner's.
    pub(crate) fn find(&self, id: &str, owner: &Owner) -> Result<Arc<Feed>, Refusal> {
        let id: RunId = id.parse()?;
        let feed = self.lock().get(&id).filter(|f| f.owner == *owner).cloned();
        feed.ok_or_else(|| Refusal::not_found("feed-unknown", "there is no such feed"))
    }
}

/// Its opener's hold on a feed.
#[derive(Debug)]
pub(crate) struct FeedGuard {
    feeds: Feeds,
    pub(crate) feed: Arc<Feed>,
}

impl Drop for FeedGuard {
    fn drop(&mut self) {
        self.feeds.lock().remove(&self.feed.id);
        self.feed.end();
    }
}

#[cfg(test)]
mod tests;
