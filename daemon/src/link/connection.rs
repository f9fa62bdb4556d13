//! One link: dial, register, heartbeat, and the relay's messages until it ends.

use std::time::Duration;

use cmdop_client::dial::{self, Lane};
use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::v1::control_message::Message as Down;
use cmdop_proto::{Refusal, limits, v1};
use cmdop_service::now_ms;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{Ended, Linker};
use crate::lane::{self, BulkLane};
use crate::state::LinkState;
use crate::{clock, facts, relay_call};

/// Messages to the relay that wait: failures and the news of sessions.
const MESSAGES: usize = 64;

/// The relay must have registered us in this time.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(15);

/// What the relay may set the heartbeat to: anything else is a mistake.
const HEARTBEATS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(300);

/// What stands while a link is up.
pub(super) struct Connection {
    pub(super) channel: Channel,
    pub(super) lane: BulkLane,
    /// Of files alone: a transfer stands before no program's output.
    pub(super) file_lane: BulkLane,
    pub(super) up: mpsc::Sender<v1::AgentMessage>,
}

impl Linker {
    /// Links to `url`; returns when that link has ended.
    pub(super) async fn link(&mut self, url: &str) -> Ended {
        self.first_token().await;
        // Boxed: a handshake's state is large and short-lived.
        let dialling = Box::pin(dial::dial(url, &self.trust, Lane::Interactive));
        let channel = match dialling.await {
            Ok(channel) => channel,
            Err(error) => return Ended::Lost(Refusal::from(&error)),
        };
        let (mut down, up) = match self.register(&channel).await {
            Ok(streams) => streams,
            Err(refusal) => return Ended::Lost(refusal),
        };
        let ends_here = CancellationToken::new();
        let _ends_with_the_link = ends_here.clone().drop_guard();
        let trust = self.trust.clone();
        let (lane, lane_task) = lane::lane(url.to_owned(), trust.clone(), ends_here.clone());
        let (file_lane, file_lane_task) = lane::lane(url.to_owned(), trust, ends_here);
        let connection = Connection {
            channel,
            lane,
            file_lane,
            up,
        };
        // The lanes' tasks belong to this link and end with it.
        tokio::select! {
            ended = self.follow(url, &connection, &mut down) => ended,
            () = lane_task => Ended::Lost(lost("the bulk connection's owner is gone")),
            () = file_lane_task => Ended::Lost(lost("the files' connection's owner is gone")),
        }
    }

    async fn register(
        &mut self,
        channel: &Channel,
    ) -> Result<
        (
            Streaming<v1::ControlMessage>,
            mpsc::Sender<v1::AgentMessage>,
        ),
        Refusal,
    > {
        let (up, body) = mpsc::channel(MESSAGES);
        let register = v1::Register {
            hostname: self.work.hostname.clone(),
            os: facts::OS.into(),
            arch: facts::ARCH.into(),
            agent_version: cmdop_service::VERSION.into(),
            sessions: self.summaries().await,
            metrics: Some(self.instruments.read().await),
            instance_id: self.instance_id.clone(),
            now_ms: now_ms(),
            runs: self.detached.ids(),
        };
        let _ = up.try_send(message(Up::Register(register)));
        let seen = self.tokens.current();
        let request = relay_call::request(ReceiverStream::new(body), &self.tokens)?;
        let mut client = relay_call::client(channel.clone());
        let connecting = tokio::time::timeout(REGISTER_TIMEOUT, client.connect(request));
        match connecting.await {
            Err(_) => Err(Refusal::unavailable("timeout", "the relay did not answer")),
            Ok(Ok(response)) => Ok((response.into_inner(), up)),
            Ok(Err(status)) => {
                if relay_call::is_expired(&status) {
                    self.tokens.renewed_after(seen).await;
                    self.backoff.reset();
                }
                Err(Refusal::from(status))
            }
        }
    }

    async fn follow(
        &mut self,
        url: &str,
        connection: &Connection,
        down: &mut Streaming<v1::ControlMessage>,
    ) -> Ended {
        let registering = tokio::time::timeout(REGISTER_TIMEOUT, down.message());
        let interval = match registering.await.map(first) {
            Ok(Ok(registered)) => self.registered(url, &registered),
            Ok(Err(refusal)) => return Ended::Lost(refusal),
            Err(_) => return Ended::Lost(lost("the relay did not register this machine")),
        };
        let mut heartbeat = tokio::time::interval_at(Instant::now() + interval, interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // All branches are cancel-safe; the relay's words come before our own.
        loop {
            tokio::select! {
                biased;
                answer = down.message() => match answer {
                    Ok(Some(order)) => if let Some(ended) = self.obey(order, connection) {
                        return ended;
                    },
                    Ok(None) => return Ended::Lost(lost("the relay ended the link")),
                    Err(status) => return Ended::Lost(named(&status)),
                },
                _ = heartbeat.tick() => {
                    if let Err(ended) = self.beat(connection).await {
                        return ended;
                    }
                }
                Some(summary) = self.news.recv() => {
                    if connection.up.send(message(Up::Ended(summary))).await.is_err() {
                        return Ended::Lost(lost("the link to the relay is lost"));
                    }
                }
                () = connection.up.closed() => {
                    return Ended::Lost(lost("the link to the relay is lost"));
                }
            }
        }
    }

    fn registered(&mut self, url: &str, registered: &v1::Registered) -> Duration {
        self.backoff.reset();
        if !self.has_warned {
            self.has_warned = clock::warn_if_apart("the relay", registered.now_ms, now_ms());
        }
        tracing::info!(relay = url, epoch = registered.link_epoch, "linked");
        self.set_state(LinkState::Linked {
            relay_url: url.to_owned(),
            since_ms: now_ms(),
        });
        match registered.heartbeat_interval_ms {
            0 => limits::HEARTBEAT_INTERVAL,
            ms => Duration::from_millis(ms).clamp(*HEARTBEATS.start(), *HEARTBEATS.end()),
        }
    }

    async fn beat(&mut self, connection: &Connection) -> Result<(), Ended> {
        self.detached.sweep();
        let heartbeat = v1::Heartbeat {
            metrics: Some(self.instruments.read().await),
            now_ms: now_ms(),
        };
        let sent = connection.up.send(message(Up::Heartbeat(heartbeat)));
        sent.await
            .map_err(|_| Ended::Lost(lost("the link to the relay is lost")))
    }
}

pub(super) fn message(message: Up) -> v1::AgentMessage {
    v1::AgentMessage {
        message: Some(message),
    }
}

fn first(answer: Result<Option<v1::ControlMessage>, Status>) -> Result<v1::Registered, Refusal> {
    match answer
        .map_err(|status| named(&status))?
        .and_then(|control| control.message)
    {
        Some(Down::Registered(registered)) => Ok(registered),
        Some(_) => Err(lost("the relay's first word was not `registered`")),
        None => Err(lost("the relay ended the link")),
    }
}

/// The relay's reason; a broken connection has none of its own.
fn named(status: &Status) -> Refusal {
    let refusal = Refusal::from(status);
    if refusal.reason.is_empty() {
        return lost(&format!("the link to the relay is lost: {refusal}"));
    }
    refusal
}

fn lost(message: &str) -> Refusal {
    Refusal::unavailable("unreachable", message)
}
