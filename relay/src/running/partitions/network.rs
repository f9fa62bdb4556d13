//! A network in memory: it carries, holds back, cuts and refuses.

use std::io;
use std::sync::Arc;

use cmdop_client::dial::{self, CONNECT_TIMEOUT, Lane};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;

/// What a pipe holds.
const BUFFER: usize = 64 << 10;

/// Where a relay takes connections from.
pub(super) type Door = mpsc::Receiver<io::Result<DuplexStream>>;

#[derive(Clone, Copy, Default)]
struct State {
    is_parted: bool,
    refuses: bool,
    cuts: u64,
}

pub(super) struct Network {
    state: watch::Sender<State>,
    door: watch::Sender<Option<mpsc::Sender<io::Result<DuplexStream>>>>,
    tasks: TaskTracker,
}

impl Network {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(State::default()),
            door: watch::Sender::new(None),
            tasks: TaskTracker::new(),
        })
    }

    /// A relay listens from now on, in the place of the one before.
    pub(super) fn listen(&self) -> Door {
        let (door, connections) = mpsc::channel(16);
        self.door.send_replace(Some(door));
        connections
    }

    /// What is sent is held back, and nobody gets through.
    pub(super) fn part(&self) {
        self.state.send_modify(|state| state.is_parted = true);
    }

    pub(super) fn heal(&self) {
        self.state.send_modify(|state| state.is_parted = false);
    }

    pub(super) fn heal_after(self: &Arc<Self>, time: std::time::Duration) -> JoinHandle<()> {
        let network = self.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(time).await;
            network.heal();
        })
    }

    /// Every connection breaks, on both ends.
    pub(super) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Whoever dials is refused at once.
    pub(super) fn refuse(&self, refuses: bool) {
        self.state.send_modify(|state| state.refuses = refuses);
    }

    /// As an agent dials: within the time that a real one has for it.
    pub(super) async fn dial(&self) -> Option<Channel> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
        let uri = "https://relay:7444".parse().expect("an address");
        dial::over(uri, stream.ok()??, Lane::Interactive).await.ok()
    }

    async fn connect(&self) -> Option<DuplexStream> {
        let mut state = self.state.subscribe();
        let now = *state.wait_for(|state| !state.is_parted).await.ok()?;
        if now.refuses {
            return None;
        }
        let door = self.door.borrow().clone()?;
        let (near, near_end) = tokio::io::duplex(BUFFER);
        let (far, far_end) = tokio::io::duplex(BUFFER);
        door.send(Ok(far)).await.ok()?;
        self.tasks.spawn(carry(near_end, far_end, state, now.cuts));
        Some(near)
    }
}

/// Carries both ways until an end closes or the connection is cut, which both ends see.
async fn carry(
    near: DuplexStream,
    far: DuplexStream,
    mut state: watch::Receiver<State>,
    cuts: u64,
) {
    let (from_near, to_near) = tokio::io::split(near);
    let (from_far, to_far) = tokio::io::split(far);
    let (there, back) = (state.clone(), state.clone());
    tokio::select! {
        _ = one_way(from_near, to_far, there) => {}
        _ = one_way(from_far, to_near, back) => {}
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) -> Option<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await.ok()?;
        if count == 0 {
            return None;
        }
        state.wait_for(|state| !state.is_parted).await.ok()?;
        to.write_all(&buffer[..count]).await.ok()?;
    }
}
