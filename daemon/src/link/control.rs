//! What the relay may order: sessions and programs to start, resume and end. Every order is checked
//! before anything is made of it.

use std::ffi::OsString;

use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::v1::control_message::Message as Down;
use cmdop_proto::{Refusal, SessionId, Size, text, v1};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, message};
use super::runs::Entry;
use super::{Ended, Linker};
use crate::exec::{self, Job, Visit};
use crate::files;
use crate::holder::client::Left;
use crate::pty::Program;
use crate::session::{self, Command, Context, Handle, Opener, Start};
use crate::user;

impl Linker {
    /// Does what the relay says; an end, if it says goodbye.
    pub(super) fn obey(&mut self, order: v1::ControlMessage, link: &Connection) -> Option<Ended> {
        let command_id = order.command_id;
        match order.message {
            Some(Down::StartSession(start)) => self.start_session(command_id, start, link),
            Some(Down::ResumeSession(resume)) => self.resume_session(command_id, &resume, link),
            Some(Down::EndSession(end)) => self.end(&end),
            Some(Down::StartExec(start)) => self.start_exec(command_id, start, link),
            Some(Down::ResumeExec(resume)) => self.resume_exec(command_id, resume, link),
            Some(Down::StartFiles(start)) => self.start_files(command_id, start, link),
            Some(Down::GoingAway(true)) => return Some(Ended::GoingAway),
            // `registered` came before; heartbeats need no answer; the rest is of a newer relay.
            _ => {}
        }
        None
    }

    fn start_session(&mut self, command_id: u64, start: v1::StartSession, link: &Connection) {
        let opener = self.opener(link, start.stream_token.clone());
        if let Err(refusal) = self.try_start(command_id, start, opener, link) {
            refuse(&link.up, command_id, &refusal);
        }
    }

    fn try_start(
        &mut self,
        command_id: u64,
        start: v1::StartSession,
        opener: Opener,
        link: &Connection,
    ) -> Result<(), Refusal> {
        let (id, start) = self.checked(start)?;
        self.sessions
            .retain(|_, handle| !handle.commands.is_closed());
        if let Some(session) = self.sessions.get(&id) {
            // Asked twice: the relay lost our first stream before it knew of it.
            return tell(session, Command::Resume(opener));
        }
        if self.work.stop.is_cancelled() {
            return Err(Refusal::unavailable("draining", "the agent is stopping"));
        }
        if self.sessions.len() >= self.work.max_sessions {
            return Err(Refusal::exhausted(
                "too-many-sessions",
                format!("the machine has {} sessions already", self.sessions.len()),
            )
            .hint("close one, or raise `max-sessions` in the agent's configuration"));
        }
        let receiver = self.add(id);
        let context = self.context();
        let up = link.up.clone();
        let session = self.work.sessions.track_future(async move {
            if let Err(refusal) = session::run(start, opener, receiver, context).await {
                refuse(&up, command_id, &refusal);
            }
        });
        spawn(&self.work.tracker, session);
        Ok(())
    }

    /// Goes on with the sessions that a worker before us left.
    pub(crate) fn adopt(&mut self, left: Vec<Left>) {
        for session in left {
            let Ok(id) = session.record.id.parse::<SessionId>() else {
                continue;
            };
            let receiver = self.add(id);
            let adopted = session::adopt(session, receiver, self.context());
            spawn(&self.work.tracker, self.work.sessions.track_future(adopted));
        }
    }

    /// Makes room for a session in the table; where it hears of its commands.
    fn add(&mut self, id: SessionId) -> mpsc::Receiver<Command> {
        let (commands, receiver) = mpsc::channel(session::COMMANDS);
        self.sessions.insert(id, Handle { commands });
        receiver
    }

    fn context(&self) -> Context {
        Context {
            stop: self.work.stop.clone(),
            unheard: self.work.unheard.clone(),
            holder: self.work.holder.clone(),
            log_bytes: self.work.log_bytes,
            notice: self.work.notice,
        }
    }

    fn checked(&self, start: v1::StartSession) -> Result<(SessionId, Start), Refusal> {
        let bad = |what: &str| Refusal::invalid("bad-request", format!("a session {what}"));
        let mut record = start.session.ok_or_else(|| bad("without a record"))?;
        let id: SessionId = record.id.parse()?;
        exec::checked_command(&record.command)?;
        let size = record.size.map_or(Ok(Size::DEFAULT), Size::try_from)?;
        record.size = Some(size.into());
        let requested = user::checked_environment(start.env)?;
        let user = &self.work.user;
        let mut env = user.environment(&[]);
        set(&mut env, "TERM", "xterm-256color");
        set(&mut env, "COLORTERM", "truecolor");
        set(&mut env, "TERM_PROGRAM", "cmdop");
        set(&mut env, "TERM_PROGRAM_VERSION", cmdop_service::VERSION);
        for (name, value) in &requested {
            set(&mut env, name, value);
        }
        // Not to be overruled: it says which session the program is in.
        set(&mut env, "CMDOP_SESSION", &record.id);
        let program = Program {
            argv: record.command.iter().map(OsString::from).collect(),
            cwd: std::path::PathBuf::new(),
            env,
            size,
        };
        Ok((
            id,
            Start {
                record,
                cwd: user.directory(&start.cwd),
                beside: start
                    .beside
                    .parse()
                    .ok()
                    .and_then(|id: SessionId| self.sessions.get(&id).cloned()),
                program,
            },
        ))
    }

    fn resume_session(&mut self, command_id: u64, resume: &v1::ResumeSession, link: &Connection) {
        let opener = self.opener(link, resume.stream_token.clone());
        let known = resume
            .session_id
            .parse::<SessionId>()
            .ok()
            .and_then(|id| self.sessions.get(&id));
        let resumed = match known {
            Some(session) => tell(session, Command::Resume(opener)),
            None => Err(unknown(&resume.session_id)),
        };
        if let Err(refusal) = resumed {
            refuse(&link.up, command_id, &refusal);
        }
    }

    /// Ends a session, or a run: it is named by its id alone.
    fn end(&mut self, end: &v1::EndSession) {
        if self.runs.end(&end.session_id) {
            return;
        }
        let Ok(id) = end.session_id.parse::<SessionId>() else {
            return;
        };
        if let Some(session) = self.sessions.get(&id) {
            let reason = text::shown(&end.reason, 256);
            tracing::info!(session = %id, reason, "the relay ends a session");
            // Full: it has been told several times. Closed: it is gone.
            let _ = tell(session, Command::End);
        }
    }

    fn start_exec(&mut self, command_id: u64, start: v1::StartExec, link: &Connection) {
        if self.work.stop.is_cancelled() {
            let refusal = Refusal::unavailable("draining", "the agent is stopping");
            return refuse(&link.up, command_id, &refusal);
        }
        let entered = if start.detach {
            let place = self.detached.enter(&start.run_id);
            place.map(|place| {
                if start.unlisted {
                    place.may_be_forgotten();
                }
                (Entry::alone(), Some(place))
            })
        } else {
            self.runs.enter(&start).map(|entry| (entry, None))
        };
        let (entry, detached) = match entered {
            Ok(entered) => entered,
            Err(refusal) => return refuse(&link.up, command_id, &refusal),
        };
        let over = entry.caller_gone.clone();
        let job = Job {
            command_id,
            start,
            lane: link.lane.clone(),
            tokens: self.tokens.clone(),
            user: self.work.user.clone(),
            link: link.up.clone(),
            stop: self.work.stop.clone(),
            caller_gone: entry.caller_gone,
            visits: entry.visits,
            has_ended: entry.has_ended,
            notice: self.work.notice,
            holder: self.work.holder.clone(),
        };
        spawn(&self.work.tracker, async move {
            let _over = over.drop_guard();
            exec::run(job, detached).await;
        });
    }

    fn resume_exec(&mut self, command_id: u64, resume: v1::ResumeExec, link: &Connection) {
        let run_id = resume.run_id.clone();
        let connection = (link.lane.clone(), self.tokens.clone());
        let visit = Visit::new(command_id, resume, connection, link.up.clone());
        if let Some(run) = self.detached.get(&run_id) {
            let visited = exec::detached::visited(run, visit, self.work.stop.clone());
            return spawn(&self.work.tracker, visited);
        }
        if let Err(visit) = self.runs.visit(&run_id, visit) {
            tracing::info!(command_id, "a caller came back to a run that is over");
            visit.refuse(&exec::unknown_run());
        }
    }

    fn start_files(&mut self, command_id: u64, start: v1::StartFiles, link: &Connection) {
        if self.work.stop.is_cancelled() {
            let refusal = Refusal::unavailable("draining", "the agent is stopping");
            return refuse(&link.up, command_id, &refusal);
        }
        let job = files::Job {
            command_id,
            start,
            lane: link.file_lane.clone(),
            tokens: self.tokens.clone(),
            user: self.work.user.clone(),
            hostname: self.work.hostname.clone(),
            reaches: self.work.reaches.clone(),
            link: link.up.clone(),
            stop: self.work.stop.clone(),
        };
        spawn(&self.work.files, files::run(job));
    }

    fn opener(&self, link: &Connection, stream_token: String) -> Opener {
        Opener {
            channel: link.channel.clone(),
            tokens: self.tokens.clone(),
            stream_token,
        }
    }
}

fn tell(session: &Handle, command: Command) -> Result<(), Refusal> {
    session
        .commands
        .try_send(command)
        .map_err(|_| Refusal::unavailable("session-ended", "the session is over"))
}

fn unknown(id: &str) -> Refusal {
    Refusal::not_found(
        "session-unknown",
        format!("the machine has no session {}", text::shown(id, 64)),
    )
}

/// Says no, unless the link is gone or drowned in refusals: then the relay's own timers say it.
fn refuse(up: &mpsc::Sender<v1::AgentMessage>, command_id: u64, refusal: &Refusal) {
    tracing::info!(command_id, reason = refusal.reason, "refused: {refusal}");
    let failed = exec::failure(command_id, refusal);
    let _ = up.try_send(message(Up::Failed(failed)));
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &str, value: &str) {
    env.retain(|(key, _)| key != name);
    env.push((name.into(), value.into()));
}

fn spawn(tracker: &TaskTracker, task: impl Future<Output = ()> + Send + 'static) {
    tracker.spawn(task);
}
