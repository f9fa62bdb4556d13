//! One program on one machine, through a relay: started once, come back to as often as its connection is lost,
//! until it has ended or nobody can say how it did.
//!
//! It is a client of relays as `cmdop exec --detach` is one, with a token of its own for each call: short-lived,
//! good for running programs only, and with the role that the schedule's owner has at that moment.

use std::time::Duration;

use cmdop_client::Error;
use cmdop_proto::limits::MAX_FRAME;
use cmdop_proto::v1::exec_request::Request as Ask;
use cmdop_proto::v1::exec_response::Response as Answer;
use cmdop_proto::v1::exec_service_client::ExecServiceClient;
use cmdop_proto::{Refusal, RunId, WorkspaceId, v1};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use self::outcome::{Asked, is_about_token, is_broken, is_elsewhere, is_taken, is_unanswered};
use super::relays::Relays;
use super::tail::{Stream, Tail};
use crate::plane::Shared;
use crate::store::{Schedule, Target};

pub(crate) use self::outcome::Outcome;

mod outcome;

/// Requests on their way: the first, and two words at the end.
const QUEUE: usize = 4;

/// How long relay and agent may take to open a stream.
const OPENING: Duration = Duration::from_secs(60);

/// The waits between attempts to come back.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A connection that broke since it was last used costs one attempt, and not the run. Asking twice is harmless: an
/// agent takes an id once.
const STALE: Duration = Duration::from_secs(5);

/// Tokens that are refused in a row: a role that changes, then one more.
const TOKENS: u32 = 4;

/// How often a program that lasts too long is asked for, how long its agent may be silent then (it gives a program 5 s to
/// end), and how long all that it still tells may take.
const STOPS: u32 = 2;
const SILENCE: Duration = Duration::from_secs(10);
const STOPPING: Duration = Duration::from_secs(5 * 60);

/// How long the agent may take to hear that its run is not needed any more.
const GOODBYE: Duration = Duration::from_secs(2);

/// How to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It does not run.
    Start,
    /// It may run: somebody asked for it before.
    Resume,
}

/// A stream whose program has ended, and whose agent may forget it.
#[derive(Debug)]
pub(crate) struct Link {
    requests: mpsc::Sender<v1::ExecRequest>,
    responses: Streaming<v1::ExecResponse>,
}

impl Link {
    /// What it told is kept here: the agent need not keep it.
    pub(crate) async fn goodbye(mut self) {
        for ask in [Ask::Forget(true), Ask::Done(true)] {
            // A stream that is gone leaves the run to the agent's own patience.
            let _ = self.requests.try_send(request(ask));
        }
        let ended = async { while let Ok(Some(_)) = self.responses.message().await {} };
        let _ = tokio::time::timeout(GOODBYE, ended).await;
    }
}

fn request(ask: Ask) -> v1::ExecRequest {
    v1::ExecRequest { request: Some(ask) }
}

/// One program.
#[derive(Debug)]
pub(crate) struct Exec<'a> {
    plane: &'a Shared,
    relays: &'a Relays,
    workspace: WorkspaceId,
    schedule: &'a Schedule,
    machine: String,
    id: RunId,
    asked: Asked,
    tail: Tail,
    /// When the machine was last heard of, or should have been.
    heard: Instant,
    /// Whether there is a stream with an answer of its agent.
    contact: watch::Sender<bool>,
}

/// What one stream came to.
enum Visit {
    Finished(v1::ExecFinished, Box<Link>),
    /// A server said no: it has done nothing.
    Refused(Refusal),
    /// It broke before anybody answered: a connection that was dead already, or not.
    Broken(String),
    /// It was cut, or not answered, after the agent was told.
    Cut(String),
}

impl<'a> Exec<'a> {
    pub(crate) fn new(
        plane: &'a Shared,
        relays: &'a Relays,
        (workspace, schedule): (WorkspaceId, &'a Schedule),
        (machine, id): (&str, RunId),
        tail: Tail,
    ) -> Self {
        Self {
            plane,
            relays,
            workspace,
            schedule,
            machine: machine.to_owned(),
            id,
            asked: Asked::Not,
            tail,
            heard: Instant::now(),
            contact: watch::Sender::new(false),
        }
    }

    /// Puts down what it wrote.
    pub(crate) fn note(&self, target: &mut Target) {
        (target.stdout_bytes, target.stderr_bytes) = (self.tail.stdout, self.tail.stderr);
        target.tail = self.tail.on_the_wire();
    }

    /// Why nobody waits for it any longer: it went on for so long that its agent should have ended it.
    pub(crate) fn overdue(&self, limit: Duration) -> Outcome {
        self.asked.overdue(limit)
    }

    /// Whether its agent can be asked now.
    pub(crate) fn contact(&self) -> watch::Receiver<bool> {
        self.contact.subscribe()
    }

    /// Asks its agent to end it, and how it ended; nothing, if nobody says that.
    pub(crate) async fn stop(&mut self) -> Option<(v1::ExecFinished, Link)> {
        let stop = async {
            for _ in 0..STOPS {
                if let Some(ended) = self.stop_once().await {
                    return Some(ended);
                }
                tokio::time::sleep(FIRST_WAIT).await;
            }
            None
        };
        let (mut finished, link) = tokio::time::timeout(STOPPING, stop).await.ok()??;
        // Its time was over, if not by its agent's clock. One that had ended by itself is what it is.
        finished.timed_out |= finished.ended_on_request;
        Some((finished, link))
    }

    async fn stop_once(&mut self) -> Option<(v1::ExecFinished, Link)> {
        let (token, urls) = self.way().await.ok()?;
        for url in urls {
            let Ok(channel) = self.relays.channel(&url).await else {
                continue;
            };
            let Ok(link) = self.open(channel, &token, Begin::Resume).await else {
                continue;
            };
            let _ = link.requests.try_send(request(Ask::End(true)));
            if let Visit::Finished(finished, link) = self.follow(link, Some(SILENCE)).await {
                return Some((finished, *link));
            }
        }
        None
    }

    /// Sees it to its end. Dropped, it leaves the program alone.
    pub(crate) async fn see_through(&mut self, mut begin: Begin) -> (Outcome, Option<Link>) {
        let (mut wait, mut tokens) = (FIRST_WAIT, 0);
        self.heard = Instant::now();
        if begin == Begin::Resume {
            self.asked = Asked::Maybe;
        }
        loop {
            let (before, mut stale) = (self.heard, false);
            let visit = self.visit(begin).await;
            self.contact.send_replace(false);
            let refusal = match visit {
                Visit::Finished(finished, link) => {
                    return (Outcome::Finished(finished), Some(*link));
                }
                Visit::Broken(why) => {
                    self.asked = self.asked.max(Asked::Maybe);
                    stale = begin == Begin::Start && self.heard.elapsed() < STALE;
                    Refusal::unavailable("unreachable", why)
                }
                Visit::Cut(why) => {
                    self.asked = self.asked.max(Asked::Maybe);
                    Refusal::unavailable("unreachable", why)
                }
                Visit::Refused(refusal) => refusal,
            };
            if self.heard > before {
                (wait, tokens) = (FIRST_WAIT, 0);
            }
            if is_about_token(&refusal) && tokens < TOKENS {
                tokens += 1;
            } else if is_taken(&refusal) {
                (self.asked, begin) = (Asked::Heard, Begin::Resume);
            } else if !stale {
                match self.asked.given_up(self.heard.elapsed(), refusal) {
                    Some(outcome) => return (outcome, None),
                    // It may run: it is asked for, and not started, from now on.
                    None => begin = Begin::Resume,
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One stream to its end, at the first relay that has the machine.
    async fn visit(&mut self, begin: Begin) -> Visit {
        let (token, urls) = match self.way().await {
            Ok(way) => way,
            Err(refusal) => return Visit::Refused(refusal),
        };
        let mut refused = Refusal::unavailable("no-relay", "no relay is enrolled");
        for url in urls {
            let channel = match self.relays.channel(&url).await {
                Ok(channel) => channel,
                Err(error) => {
                    refused = Refusal::from(&error);
                    continue;
                }
            };
            match self.open(channel, &token, begin).await {
                Ok(link) => return self.follow(link, None).await,
                Err(Error::Refused(refusal)) if is_elsewhere(&refusal) => refused = refusal,
                Err(Error::Refused(refusal)) if is_unanswered(&refusal) => {
                    return Visit::Cut(refusal.message);
                }
                Err(Error::Refused(refusal)) => return Visit::Refused(refusal),
                // What was asked may have been heard.
                Err(error) => {
                    self.relays.forget(&url);
                    return Visit::Broken(error.to_string());
                }
            }
        }
        Visit::Refused(refused)
    }

    async fn way(&self) -> Result<(String, Vec<String>), Refusal> {
        let token = self.plane.token_for_schedule(self.workspace, self.schedule);
        let token = token.await?;
        Ok((token, self.plane.store.relay_urls().await?))
    }

    async fn open(&self, channel: Channel, token: &str, begin: Begin) -> Result<Link, Error> {
        let (requests, stream) = mpsc::channel(QUEUE);
        // It cannot fail: the queue is new.
        let _ = requests.try_send(request(self.first(begin)));
        let mut call = Request::new(ReceiverStream::new(stream));
        let bearer = format!("Bearer {token}").parse();
        let bearer = bearer.map_err(|_| Error::Protocol("a token is not printable".into()))?;
        call.metadata_mut().insert("authorization", bearer);
        let mut relay = ExecServiceClient::new(channel).max_decoding_message_size(MAX_FRAME);
        let opened = tokio::time::timeout(OPENING, relay.run(call)).await;
        let opened = opened.map_err(|_| Error::Timeout {
            what: "opening the stream of a run".into(),
            after: OPENING,
        })?;
        Ok(Link {
            requests,
            responses: opened?.into_inner(),
        })
    }

    fn first(&self, begin: Begin) -> Ask {
        let spec = &self.schedule.spec;
        match begin {
            Begin::Start => Ask::Start(v1::ExecStart {
                machine: self.machine.clone(),
                command: spec.command.clone(),
                cwd: spec.cwd.clone(),
                env: spec.env.clone().into_iter().collect(),
                timeout_ms: spec.timeout_ms,
                run_id: self.id.to_string(),
                detach: true,
                unlisted: true,
                ..v1::ExecStart::default()
            }),
            Begin::Resume => Ask::Resume(v1::ExecResume {
                machine: self.machine.clone(),
                run_id: self.id.to_string(),
                stdout_from: self.tail.stdout,
                stderr_from: self.tail.stderr,
            }),
        }
    }

    /// Takes what it writes until it has ended; `silence` is how long it waits for a word, if not for ever.
    async fn follow(&mut self, mut link: Link, silence: Option<Duration>) -> Visit {
        loop {
            let message = link.responses.message();
            let message = match silence {
                None => message.await,
                Some(silence) => match tokio::time::timeout(silence, message).await {
                    Ok(message) => message,
                    Err(_) => return Visit::Cut("its agent is silent".into()),
                },
            };
            let answer = match message {
                Ok(Some(answer)) => answer.response,
                Ok(None) => {
                    return Visit::Cut("the stream ended without a result".into());
                }
                Err(status) => match Error::from(status) {
                    // The agent has the order: whether it said so before the stream was cut or not.
                    Error::Refused(refusal) if is_broken(&refusal) => {
                        return Visit::Cut(refusal.message);
                    }
                    Error::Refused(refusal) => return Visit::Refused(refusal),
                    error => return Visit::Cut(error.to_string()),
                },
            };
            self.heard = Instant::now();
            self.contact
                .send_if_modified(|contact| !std::mem::replace(contact, true));
            match answer {
                Some(Answer::Stdout(piece)) => {
                    self.tail.push(Stream::Stdout, piece.offset, &piece.data);
                }
                Some(Answer::Stderr(piece)) => {
                    self.tail.push(Stream::Stderr, piece.offset, &piece.data);
                }
                Some(Answer::Finished(finished)) => {
                    return Visit::Finished(finished, Box::new(link));
                }
                Some(Answer::Started(_) | Answer::Resumed(_)) => self.asked = Asked::Heard,
                Some(Answer::StdinAck(_)) | None => {}
            }
        }
    }
}
