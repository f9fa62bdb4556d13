//! The second connection to the relay, for bulk: dialled when the first exec needs it, shared by all,
//! closed when nobody has used it for a while.
//!
//! Separate from the interactive one, so that no program's output stands before a keystroke's echo.

use std::sync::Arc;
use std::time::Duration;

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::Refusal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// How long an unused connection is kept: a script's next command should not pay for a handshake.
const IDLE: Duration = Duration::from_secs(300);

/// Programs that ask at the same moment; more wait for their turn to ask.
const WISHES: usize = 64;

/// The connection, as long as it is used.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) channel: Channel,
    generation: u64,
    in_use: Arc<()>,
}

/// Where programs ask for the connection.
#[derive(Clone, Debug)]
pub(crate) struct BulkLane {
    wishes: mpsc::Sender<Wish>,
}

#[derive(Debug)]
struct Wish {
    /// This one is broken; give another.
    broken: Option<u64>,
    answer: oneshot::Sender<Result<Lease, Refusal>>,
}

impl BulkLane {
    /// The connection, dialled if need be; not `broken`, which does not work any more.
    pub(crate) async fn lease(&self, broken: Option<&Lease>) -> Result<Lease, Refusal> {
        let gone = || Refusal::unavailable("unreachable", "the link to the relay is lost");
        let (answer, lease) = oneshot::channel();
        let wish = Wish {
            broken: broken.map(|lease| lease.generation),
            answer,
        };
        self.wishes.send(wish).await.map_err(|_| gone())?;
        lease.await.map_err(|_| gone())?
    }
}

/// The lane to `url`, and the task that owns it.
pub(crate) fn lane(
    url: String,
    trust: Trust,
    stop: CancellationToken,
) -> (BulkLane, impl Future<Output = ()>) {
    let (wishes, receiver) = mpsc::channel(WISHES);
    let owner = Owner {
        url,
        trust,
        present: None,
        generation: 0,
        used: Instant::now(),
    };
    let task = async move {
        let _ = stop.run_until_cancelled(owner.serve(receiver)).await;
    };
    (BulkLane { wishes }, task)
}

struct Owner {
    url: String,
    trust: Trust,
    present: Option<Lease>,
    generation: u64,
    used: Instant,
}

impl Owner {
    async fn serve(mut self, mut wishes: mpsc::Receiver<Wish>) {
        loop {
            tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(wish) => self.grant(wish).await,
                    None => return,
                },
                () = tokio::time::sleep_until(self.used + IDLE), if self.present.is_some() => {
                    self.close_if_idle();
                }
            }
        }
    }

    async fn grant(&mut self, wish: Wish) {
        self.used = Instant::now();
        if wish.broken.is_some_and(|broken| broken == self.generation) {
            self.present = None;
        }
        let lease = match &self.present {
            Some(lease) => Ok(lease.clone()),
            None => self.dial().await,
        };
        let _ = wish.answer.send(lease);
    }

    async fn dial(&mut self) -> Result<Lease, Refusal> {
        // Boxed: a handshake's state is large and short-lived.
        let channel = Box::pin(dial::dial(&self.url, &self.trust, Lane::Bulk))
            .await
            .map_err(|error| Refusal::from(&error))?;
        self.generation += 1;
        let lease = Lease {
            channel,
            generation: self.generation,
            in_use: Arc::new(()),
        };
        self.present = Some(lease.clone());
        Ok(lease)
    }

    fn close_if_idle(&mut self) {
        let users = |lease: &Lease| Arc::strong_count(&lease.in_use) - 1;
        match &self.present {
            Some(lease) if users(lease) > 0 => self.used = Instant::now(),
            _ => self.present = None,
        }
    }
}
