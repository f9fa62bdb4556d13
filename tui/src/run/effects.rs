//! Doing what the model wants: calls and attachments, each on a task of its own. Their answers come
//! back as messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_client::{Connection, sessions};
use cmdop_proto::{Refusal, SessionId, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::attachments::Attachments;
use super::clipboard;
use crate::app::{Effect, Msg};
use crate::browser;
use crate::copy::clipboard::Tool;
use crate::copy::{Line, Older, Page};
use crate::dashboard::run::JOBS;
use crate::dashboard::{self, RunEvent};
use crate::tiles::PaneId;

/// Answers on their way to the loop; what sessions print comes by ways of its own.
const MESSAGES: usize = 32;

/// How long leaving may wait for the disk.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often the way to the relay and back is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Effects {
    connection: Connection,
    /// The newest layout and bookmarks, on their way to their files; `None` before there are any.
    layouts: watch::Sender<Option<String>>,
    bookmarks: watch::Sender<Option<String>>,
    files: browser::run::Running,
    keeping: JoinSet<()>,
    tell: mpsc::Sender<Msg>,
    messages: mpsc::Receiver<Msg>,
    tasks: JoinSet<()>,
    /// The program that text was given to last.
    giving: Option<AbortHandle>,
    /// The command that is run on many machines; it ends with this.
    run: Option<dashboard::run::Running>,
    run_events: mpsc::Sender<RunEvent>,
    run_news: mpsc::Receiver<RunEvent>,
    pub(super) attachments: Attachments,
}

impl Effects {
    pub(super) fn new(
        connection: Connection,
        layout_file: PathBuf,
        bookmarks_file: PathBuf,
    ) -> Self {
        let (tell, messages) = mpsc::channel(MESSAGES);
        let (run_events, run_news) = mpsc::channel(dashboard::run::EVENTS);
        let mut tasks = JoinSet::new();
        tasks.spawn(measure(connection.clone(), tell.clone()));
        let mut keeping = JoinSet::new();
        let mut keep = |what, file| {
            let (sender, newest) = watch::channel(None);
            keeping.spawn(keep_newest(what, file, newest, tell.clone()));
            sender
        };
        let layouts = keep("the layout", layout_file);
        let bookmarks = keep("the bookmarks", bookmarks_file);
        Self {
            files: browser::run::Running::new(connection.clone()),
            bookmarks,
            attachments: Attachments::new(connection.clone()),
            connection,
            layouts,
            keeping,
            run: None,
            run_events,
            run_news,
            tell,
            messages,
            tasks,
            giving: None,
        }
    }

    /// The next message: answers, then what sessions say. Cancel-safe.
    pub(super) async fn next(&mut self) -> Msg {
        tokio::select! {
            biased;
            Some(message) = self.messages.recv() => message,
            message = self.attachments.next() => message,
            Some(event) = self.run_news.recv() => Msg::Run(event),
            event = self.files.next() => Msg::Files(event),
        }
    }

    /// A message that is there already.
    pub(super) fn try_next(&mut self) -> Option<Msg> {
        let answer = self.messages.try_recv().ok();
        let answer = answer.or_else(|| self.attachments.try_next());
        let answer = answer.or_else(|| self.run_news.try_recv().ok().map(Msg::Run));
        answer.or_else(|| self.files.try_next().map(Msg::Files))
    }

    pub(super) fn run(&mut self, effect: Effect) {
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
        match effect {
            Effect::Attach {
                attachment,
                session,
                mode,
                size,
            } => {
                self.attachments.attach(attachment, session, mode, size);
            }
            Effect::Detach(attachment) => self.attachments.detach(attachment),
            Effect::Favour(attachment) => self.attachments.favour(attachment),
            Effect::Input(attachment, bytes) => {
                if let Err(why) = self.attachments.input(attachment, bytes) {
                    // With no room for the message either, the next key tries again.
                    let _ = self.tell.try_send(Msg::Failed(why));
                }
            }
            Effect::Resize(attachment, size) => self.attachments.resize(attachment, size),
            Effect::Redraw(attachment) => self.attachments.redraw(attachment),
            Effect::Keyboard(attachment, change) => self.attachments.keyboard(attachment, change),
            Effect::Create {
                request,
                machine,
                size,
                beside,
                directory,
            } => {
                let wanted = v1::CreateSessionRequest {
                    request_id: Uuid::now_v7().to_string(),
                    machine: machine.to_string(),
                    size: Some(size.into()),
                    beside: beside
                        .map(|session| session.to_string())
                        .unwrap_or_default(),
                    cwd: directory,
                    ..v1::CreateSessionRequest::default()
                };
                self.create(request, wanted);
            }
            Effect::Close(session) => self.close(session),
            Effect::Rename(session, name) => self.rename(session, name),
            Effect::AskClients(session) => self.ask_clients(session),
            Effect::Run(request) => {
                let connection = self.connection.clone();
                let events = self.run_events.clone();
                self.run = Some(dashboard::run::start(connection, request, JOBS, events));
            }
            Effect::CancelRun(number) => {
                self.run.take_if(|run| run.run == number);
            }
            Effect::History(pane, session, older) => self.history(pane, session, older),
            Effect::Files(browser::Effect::Keep(bookmarks)) => {
                self.bookmarks.send_replace(Some(bookmarks));
            }
            Effect::Files(effect) => self.files.run(effect),
            Effect::Save(saved) => drop(self.layouts.send_replace(Some(saved.write()))),
            // The loop's own.
            Effect::Copy(_) | Effect::Reload | Effect::Repaint | Effect::Bell | Effect::Quit => {}
        }
    }

    /// Gives text to a program of this machine. One that still runs is ended: only the newest text counts, and
    /// a remote program may copy without end.
    pub(super) fn give(&mut self, tool: Tool, text: String) {
        if let Some(giving) = self.giving.take() {
            giving.abort();
        }
        let tell = self.tell.clone();
        let giving = self.tasks.spawn(async move {
            if let Err(what) = clipboard::give(tool, text).await {
                let _ = tell.send(Msg::Failed(Refusal::internal(what))).await;
            }
        });
        self.giving = Some(giving);
    }

    /// Something of the loop's own could not be done.
    pub(super) fn fail(&mut self, why: Refusal) {
        // With no room for it the user has enough to read.
        let _ = self.tell.try_send(Msg::Failed(why));
    }

    fn create(&mut self, request: u64, wanted: v1::CreateSessionRequest) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let answer = sessions::create(&connection, wanted).await;
            let answer = answer.map_err(|error| error.refusal());
            let _ = tell.send(Msg::Created(request, answer)).await;
        });
    }

    fn close(&mut self, session: SessionId) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let answer = sessions::close(&connection, &session.to_string()).await;
            let answer = answer.map_err(|error| error.refusal());
            let _ = tell.send(Msg::Closed(answer)).await;
        });
    }

    fn rename(&mut self, session: SessionId, name: String) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let answer = sessions::rename(&connection, &session.to_string(), &name).await;
            let answer = answer.map_err(|error| error.refusal());
            let _ = tell.send(Msg::Renamed(answer)).await;
        });
    }

    fn ask_clients(&mut self, session: SessionId) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let asked = v1::KeyboardRequest {
                session: session.to_string(),
                ..v1::KeyboardRequest::default()
            };
            let answer = sessions::keyboard(&connection, asked).await;
            let answer = answer.map_err(|error| error.refusal());
            let _ = tell.send(Msg::Clients(answer)).await;
        });
    }

    fn history(&mut self, pane: PaneId, session: SessionId, older: Older) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let wanted = v1::HistoryRequest {
                session: session.to_string(),
                before: older.before,
                ..v1::HistoryRequest::default()
            };
            let answer = sessions::history(&connection, wanted).await;
            let page = answer.map(|page| page_of(&page));
            let page = page.map_err(|error| error.refusal());
            let _ = tell.send(Msg::History(pane, page)).await;
        });
    }

    /// Leaves: what was to be kept is kept, or it takes too long.
    pub(super) async fn finish(self) {
        let Self {
            layouts,
            bookmarks,
            mut keeping,
            ..
        } = self;
        drop((layouts, bookmarks));
        let kept = async { while keeping.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, kept).await;
    }
}

/// A page as copy mode takes it.
fn page_of(page: &v1::HistoryResponse) -> Page {
    let mark = page.mark.unwrap_or_default();
    let text = String::from_utf8_lossy(&page.text);
    // An agent may claim any number: what has none after the largest is no line.
    let numbered = text.lines().enumerate().map_while(|(at, text)| {
        let number = page.from.checked_add(at as u64)?;
        let text = text.to_owned();
        Some(Line { number, text })
    });
    let lines: Vec<_> = numbered.collect();
    Page {
        epoch: mark.epoch,
        continues: mark.goes_on && lines.last().is_some_and(|line| line.number == mark.next),
        is_oldest: page.from <= mark.first_kept,
        lines,
    }
}

/// Keeps each that is the newest when there is time for it, and the last one.
async fn keep_newest(
    what: &'static str,
    file: PathBuf,
    mut newest: watch::Receiver<Option<String>>,
    tell: mpsc::Sender<Msg>,
) {
    loop {
        // The sender's end does not take away what it sent last.
        let is_last = newest.changed().await.is_err();
        let saved = newest.borrow_and_update().clone();
        if is_last {
            return;
        }
        let Some(saved) = saved else {
            continue;
        };
        let file = file.clone();
        let written = tokio::task::spawn_blocking(move || keep(&file, &saved));
        if let Ok(Err(why)) = written.await {
            let said = format!("{what} cannot be kept: {why}");
            let _ = tell.send(Msg::Failed(Refusal::internal(said))).await;
        }
    }
}

/// Written to another name and moved, so that a crash leaves the old one or the new one.
fn keep(file: &Path, saved: &str) -> Result<(), String> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    }
    let written = cmdop_service::private_file::write(file, saved.as_bytes());
    written.map_err(|error| error.to_string())
}

/// A small call now and then says how far the relay is.
async fn measure(connection: Connection, tell: mpsc::Sender<Msg>) {
    loop {
        let start = Instant::now();
        let answered = connection.hello().await.is_ok();
        if answered && tell.send(Msg::RoundTrip(start.elapsed())).await.is_err() {
            return;
        }
        tokio::time::sleep(MEASURE_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_as_it_is_and_no_number_overflows() {
        let page = |from, text: &'static str| v1::HistoryResponse {
            from,
            text: text.as_bytes().into(),
            mark: Some(v1::HistoryMark {
                next: 8,
                goes_on: true,
                ..v1::HistoryMark::default()
            }),
            ..v1::HistoryResponse::default()
        };
        let numbers = |page: &Page| {
            page.lines
                .iter()
                .map(|line| line.number)
                .collect::<Vec<_>>()
        };
        let taken = page_of(&page(7, "one\ntwo\n"));
        assert_eq!(numbers(&taken), [7, 8]);
        assert!(taken.continues && !taken.is_oldest);
        let hostile = page_of(&page(u64::MAX, "one\ntwo\n"));
        assert_eq!(numbers(&hostile), [u64::MAX]);
        assert!(page_of(&v1::HistoryResponse::default()).is_oldest);
    }
}
