//! A [`Service`] on a thread of its own, between two bounded queues. The thread stands back for keystrokes.

use std::io;

use cmdop_proto::v1;
use tokio::sync::mpsc;

use crate::answers::Caller;
use crate::service::Service;

/// Messages that wait on each side of the thread. Few: each may hold a piece of 256 KiB.
pub const QUEUE: usize = 4;

/// How nice whoever moves files is, as of nice(1): a hash of a gigabyte keeps a core busy for seconds, and a thread
/// that carries keystrokes must not wait for the end of its turn.
const NICE: i32 = 10;

/// Serves until nobody asks, or nobody listens, on a new thread; what `make` opens is opened there.
pub fn serve(
    make: impl FnOnce() -> Service + Send + 'static,
    requests: mpsc::Receiver<v1::FileRequest>,
    answers: mpsc::Sender<v1::FileResponse>,
) -> io::Result<()> {
    // Not one of the runtime's: who stands back once does so for good.
    let thread = std::thread::Builder::new().name("files".into());
    thread.spawn(move || {
        stand_back();
        run(make(), requests, &answers);
    })?;
    Ok(())
}

/// From now on this thread has its turn after those that somebody waits for.
pub fn stand_back() {
    // To Linux, nought is the calling thread; elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if rustix::process::getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        // Refused or not, the work is the same.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

fn run(
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
