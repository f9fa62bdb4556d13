//! One caller that reads a detached run from its files: what is there, then what comes, then the end. It
//! waits for its own caller and for nobody else.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cmdop_proto::v1::exec_request::Request;
use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::{Refusal, v1};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::detached::{Detached, Progress};
use super::spool::{Which, piece};
use super::talk::{Event, Intake, Talk};

struct Reader {
    talk: Talk,
    run: Arc<Detached>,
    progress: watch::Receiver<Progress>,
    stdout: Source,
    stderr: Source,
    is_told: bool,
}

/// One stream's file, and how far it was told.
struct Source {
    file: Arc<File>,
    next: u64,
}

/// Tells the run from these offsets on, until the caller has its result or is gone.
pub(super) async fn read(
    mut talk: Talk,
    run: Arc<Detached>,
    from: (u64, u64),
    stop: CancellationToken,
) {
    let open = |which, next| {
        let file = Arc::new(run.place.reader(which)?);
        io::Result::Ok(Source { file, next })
    };
    let sources =
        open(Which::Stdout, from.0).and_then(|stdout| Ok((stdout, open(Which::Stderr, from.1)?)));
    let (stdout, stderr) = match sources {
        Ok(sources) => sources,
        Err(error) => {
            talk.refuse(0, &unreadable(&error));
            let _ = talk.goodbye().await;
            return;
        }
    };
    let reader = Reader {
        talk,
        progress: run.progress.subscribe(),
        run,
        stdout,
        stderr,
        is_told: false,
    };
    reader.serve(&stop).await;
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::internal(format!("cannot read the output that is kept: {error}"))
}

impl Reader {
    async fn serve(mut self, stop: &CancellationToken) {
        loop {
            match self.tell().await {
                Ok(()) => {}
                Err(error) => {
                    self.talk.refuse(0, &unreadable(&error));
                    break;
                }
            }
            let is_waiting = self.talk.is_flushed() && !self.is_told;
            // All branches are cancel-safe.
            let event = tokio::select! {
                biased;
                event = self.talk.next(Intake::Open) => event,
                Ok(()) = self.progress.changed(), if is_waiting => continue,
                () = stop.cancelled(), if self.is_told => break,
            };
            match event {
                Event::Request(Request::Done(_)) if self.is_told => break,
                Event::Request(Request::Forget(_)) if self.is_told => {
                    self.run.nobody_needs_it();
                    break;
                }
                Event::Request(Request::End(_)) => self.run.end.cancel(),
                // Nothing else that a caller says changes a run that is not its own.
                Event::Request(_) | Event::Room => {}
                Event::Gone(_) => return,
            }
        }
        let _ = self.talk.goodbye().await;
    }

    /// Tells what there is, as far as the stream takes it.
    async fn tell(&mut self) -> io::Result<()> {
        while self.talk.is_flushed() && !self.is_told {
            let progress = *self.progress.borrow_and_update();
            let response = if self.stdout.next < progress.stdout {
                Response::Stdout(self.stdout.piece(progress.stdout).await?)
            } else if self.stderr.next < progress.stderr {
                Response::Stderr(self.stderr.piece(progress.stderr).await?)
            } else if let Some(finished) = progress.finished {
                self.is_told = true;
                Response::Finished(finished)
            } else {
                return Ok(());
            };
            self.talk.say(response);
        }
        Ok(())
    }
}

impl Source {
    /// A disk may take its time: not on the runtime's threads.
    async fn piece(&mut self, end: u64) -> io::Result<v1::ExecOutput> {
        let (file, next) = (self.file.clone(), self.next);
        let read = tokio::task::spawn_blocking(move || piece(&file, next, end));
        let output = read.await.map_err(io::Error::other)??;
        self.next += output.data.len() as u64;
        Ok(output)
    }
}
