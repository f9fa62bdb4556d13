//! A [`Service`] on a thread of its own, between two bounded queues.

use cmdop_proto::v1;
use tokio::sync::mpsc;

use crate::service::Service;

/// Messages that wait on each side of the thread. Few: each may hold a piece of 256 KiB.
pub const QUEUE: usize = 4;

/// Serves until nobody asks, or nobody listens. Blocking: for `spawn_blocking`.
pub fn serve(
    mut service: Service,
    mut requests: mpsc::Receiver<v1::FileRequest>,
    answers: &mpsc::Sender<v1::FileResponse>,
) {
    let mut tell = |response| answers.blocking_send(response).is_ok();
    while let Some(request) = requests.blocking_recv() {
        if !service.handle(request, &mut tell) {
            return;
        }
    }
}
