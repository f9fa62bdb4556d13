//! A [`Service`] on a thread of its own, between two bounded queues.

use cmdop_proto::v1;
use tokio::sync::mpsc;

use crate::answers::Caller;
use crate::service::Service;

/// Messages that wait on each side of the thread. Few: each may hold a piece of 256 KiB.
pub const QUEUE: usize = 4;

/// Serves until nobody asks, or nobody listens. Blocking: for `spawn_blocking`.
pub fn serve(
    mut service: Service,
    mut requests: mpsc::Receiver<v1::FileRequest>,
    answers: &mpsc::Sender<v1::FileResponse>,
) {
    let mut listener = Listener { answers };
    while let Some(request) = requests.blocking_recv() {
        if listener.is_gone() || !service.handle(request, &mut listener) {
            return;
        }
    }
}

struct Listener<'a> {
    answers: &'a mpsc::Sender<v1::FileResponse>,
}

impl Caller for Listener<'_> {
    fn tell(&mut self, response: v1::FileResponse) -> bool {
        self.answers.blocking_send(response).is_ok()
    }

    fn is_gone(&self) -> bool {
        self.answers.is_closed()
    }
}
