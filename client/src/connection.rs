//! One profile's way to its relay and its control plane: dials when first needed, dials again after a
//! loss, and puts a fresh token on every call.
//!
//! A call that finds its connection dead is repeated once on a new one, if repeating is harmless.
//! Streams are not repaired here: `attach` and `follow` do that.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cmdop_proto::limits::MAX_FRAME;
use cmdop_proto::v1;
use cmdop_proto::v1::account_service_client::AccountServiceClient;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;
use cmdop_proto::v1::catalogue_service_client::CatalogueServiceClient;
use cmdop_proto::v1::exec_service_client::ExecServiceClient;
use cmdop_proto::v1::file_service_client::FileServiceClient;
use cmdop_proto::v1::fleet_admin_service_client::FleetAdminServiceClient;
use cmdop_proto::v1::fleet_service_client::FleetServiceClient;
use cmdop_proto::v1::key_service_client::KeyServiceClient;
use cmdop_proto::v1::machine_service_client::MachineServiceClient;
use cmdop_proto::v1::member_service_client::MemberServiceClient;
use cmdop_proto::v1::schedules_service_client::SchedulesServiceClient;
use cmdop_proto::v1::session_service_client::SessionServiceClient;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::dial::{self, Lane, Trust};
use crate::error::Error;
use crate::home::Home;
use crate::profile::Profile;
use crate::token_store::Secret;
use crate::tokens::Tokens;

/// How long a unary call may take unless the caller says otherwise, dialling included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A channel whose calls carry the token that was fresh when it was handed out.
pub type Authorised = InterceptedService<Channel, Bearer>;

/// Puts `authorization: Bearer …` on a call.
#[derive(Clone, Debug)]
pub struct Bearer {
    header: MetadataValue<tonic::metadata::Ascii>,
}

impl Bearer {
    fn new(token: &Secret) -> Result<Self, Error> {
        let mut header: MetadataValue<_> = format!("Bearer {}", token.expose())
            .parse()
            .map_err(|_| Error::Protocol("the access token is not printable text".into()))?;
        header.set_sensitive(true);
        Ok(Self { header })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.header.clone());
        Ok(request)
    }
}

/// A connection on which calls can be made now.
#[derive(Clone, Debug)]
pub struct Relay {
    channel: Authorised,
    token: Secret,
    cell: Arc<OnceCell<Channel>>,
}

impl Relay {
    /// Sessions.
    pub fn sessions(&self) -> SessionServiceClient<Authorised> {
        SessionServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// Running programs.
    pub fn exec(&self) -> ExecServiceClient<Authorised> {
        ExecServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// Files of machines.
    pub fn files(&self) -> FileServiceClient<Authorised> {
        FileServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// Machines and their readings.
    pub fn fleet(&self) -> FleetServiceClient<Authorised> {
        FleetServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// The machines that are enrolled; only on [`Connection::control`].
    pub fn machines(&self) -> MachineServiceClient<Authorised> {
        MachineServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// The members; only on [`Connection::control`].
    pub fn members(&self) -> MemberServiceClient<Authorised> {
        MemberServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// The fleets and what is in them; only on [`Connection::control`].
    pub fn fleet_admin(&self) -> FleetAdminServiceClient<Authorised> {
        FleetAdminServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// API keys; only on [`Connection::control`].
    pub fn keys(&self) -> KeyServiceClient<Authorised> {
        KeyServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// `CatalogueService` of a control plane.
    pub fn catalogue(&self) -> CatalogueServiceClient<Authorised> {
        CatalogueServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// Schedules; only on [`Connection::control`].
    pub fn schedules(&self) -> SchedulesServiceClient<Authorised> {
        SchedulesServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// The audit log; only on [`Connection::control`].
    pub fn audit(&self) -> AuditServiceClient<Authorised> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }

    /// The account; only on [`Connection::control`].
    pub fn account(&self) -> AccountServiceClient<Authorised> {
        AccountServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_FRAME)
    }
}

/// Whether a call may be sent a second time when the connection broke under the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It reads, or it is idempotent by its id.
    Harmless,
    /// It may have been done already, and doing it twice is another thing.
    Never,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The relay, on the connection for this kind of traffic.
    Relay(Lane),
    /// The control plane.
    Control,
}

/// A profile, ready to make calls. Clones share its connections and tokens.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    profile: Profile,
    trust: Trust,
    tokens: Tokens,
    timeout: Duration,
    interactive: Slot,
    bulk: Slot,
    control: Slot,
    /// Owns the tasks behind runs: each outlives its caller by a goodbye.
    runs: TaskTracker,
}

/// The channel in use, or the one that is being dialled: whoever comes meanwhile waits for it.
#[derive(Debug, Default)]
struct Slot {
    cell: Mutex<Arc<OnceCell<Channel>>>,
}

impl Slot {
    fn current(&self) -> Arc<OnceCell<Channel>> {
        self.cell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The next caller dials, unless somebody already replaced it.
    fn forget(&self, dead: &Arc<OnceCell<Channel>>) {
        let mut cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&cell, dead) {
            *cell = Arc::default();
        }
    }
}

impl Connection {
    /// A profile's connection, with the tokens from its store. Nothing is sent yet.
    pub fn new(home: &Home, profile: &Profile) -> Self {
        let tokens = Tokens::of(home.clone(), profile.clone());
        Self::with_tokens(profile.clone(), tokens)
    }

    /// The same with tokens from elsewhere.
    pub fn with_tokens(profile: Profile, tokens: Tokens) -> Self {
        Self {
            inner: Arc::new(Inner {
                trust: profile.trust(),
                profile,
                tokens,
                timeout: CALL_TIMEOUT,
                interactive: Slot::default(),
                bulk: Slot::default(),
                control: Slot::default(),
                runs: TaskTracker::new(),
            }),
        }
    }

    /// The same profile and tokens with another limit for unary calls, and connections of its own.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                profile: self.inner.profile.clone(),
                trust: self.inner.trust.clone(),
                tokens: self.inner.tokens.clone(),
                timeout,
                interactive: Slot::default(),
                bulk: Slot::default(),
                control: Slot::default(),
                runs: TaskTracker::new(),
            }),
        }
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.inner.profile
    }

    /// Its tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// The limit for unary calls.
    pub fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    /// The relay, dialled if need be, with a fresh token. `Lane::Bulk` is another TCP connection, so
    /// that a flood does not delay a keystroke.
    pub async fn relay(&self, lane: Lane) -> Result<Relay, Error> {
        self.open(Target::Relay(lane)).await
    }

    /// The control plane, dialled if need be, with a fresh token.
    pub async fn control(&self) -> Result<Relay, Error> {
        self.open(Target::Control).await
    }

    /// Tells that calls on `relay` fail because its connection is dead: the next caller dials.
    pub fn lost(&self, relay: &Relay) {
        for slot in [
            &self.inner.interactive,
            &self.inner.bulk,
            &self.inner.control,
        ] {
            slot.forget(&relay.cell);
        }
    }

    pub(crate) fn runs(&self) -> &TaskTracker {
        &self.inner.runs
    }

    /// Waits until the relay has heard of all runs that their callers gave up, or have the result of; at
    /// most this long. What it does not hear of, the machines find out when their patience is over.
    pub async fn settle(&self, limit: Duration) {
        self.inner.runs.close();
        let _ = tokio::time::timeout(limit, self.inner.runs.wait()).await;
        self.inner.runs.reopen();
    }

    async fn open(&self, target: Target) -> Result<Relay, Error> {
        let token = self.inner.tokens.access().await?;
        self.open_with(target, token).await
    }

    async fn open_with(&self, target: Target, token: Secret) -> Result<Relay, Error> {
        let cell = self.slot(target).current();
        let channel = cell.get_or_try_init(|| self.dial(target)).await?.clone();
        Ok(Relay {
            channel: InterceptedService::new(channel, Bearer::new(&token)?),
            token,
            cell,
        })
    }

    fn slot(&self, target: Target) -> &Slot {
        match target {
            Target::Relay(Lane::Interactive) => &self.inner.interactive,
            Target::Relay(Lane::Bulk) => &self.inner.bulk,
            Target::Control => &self.inner.control,
        }
    }

    /// Tries the addresses in order; the first failure is told, since the first address is the preferred one.
    async fn dial(&self, target: Target) -> Result<Channel, Error> {
        let control = std::slice::from_ref(&self.inner.profile.control_url);
        let (urls, lane) = match target {
            Target::Relay(lane) => (self.inner.profile.relay_urls.as_slice(), lane),
            Target::Control => (control, Lane::Interactive),
        };
        let mut first = None;
        for url in urls {
            match dial::dial(url, &self.inner.trust, lane).await {
                Ok(channel) => return Ok(channel),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or_else(
            || Error::NotLoggedIn {
                profile: self.inner.profile.name.clone(),
                why: ": it names no relay".into(),
            },
            Error::Dial,
        ))
    }

    /// Makes a unary call within the connection's time limit.
    ///
    /// A token that the server does not take any more is replaced once; a connection that is found dead is
    /// dialled again once, if `repeat` allows.
    pub async fn call<Q, A, F, R>(
        &self,
        target: Target,
        what: &str,
        repeat: Repeat,
        message: Q,
        call: F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Fn(Relay, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let timeout = self.inner.timeout;
        let attempt = self.attempts(target, repeat, message, call);
        match tokio::time::timeout(timeout, attempt).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                what: what.to_owned(),
                after: timeout,
            }),
        }
    }

    async fn attempts<Q, A, F, R>(
        &self,
        target: Target,
        repeat: Repeat,
        message: Q,
        call: F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Fn(Relay, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let request = || {
            let mut request = Request::new(message.clone());
            request.set_timeout(self.inner.timeout);
            request
        };
        let relay = self.open(target).await?;
        let error = match call(relay.clone(), request()).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => Error::from(status),
        };
        let token = match error {
            Error::Lost(_) => {
                self.lost(&relay);
                if repeat == Repeat::Never {
                    return Err(error);
                }
                self.inner.tokens.access().await?
            }
            error => self.another_token(&relay.token, error).await?,
        };
        let relay = self.open_with(target, token).await?;
        Ok(call(relay, request()).await?.into_inner())
    }

    /// Another token, if `error` says that the server does not take `refused` any more; else the error.
    async fn another_token(&self, refused: &Secret, error: Error) -> Result<Secret, Error> {
        match &error {
            Error::Refused(refusal) if refusal.reason == "token-expired" => {
                self.inner.tokens.instead_of(refused).await
            }
            // Void because the account's role is another one now; or the login is over.
            Error::Refused(refusal) if refusal.reason == "token-revoked" => {
                match self.inner.tokens.instead_of(refused).await {
                    Ok(token) if token != *refused => Ok(token),
                    _ => Err(error),
                }
            }
            _ => Err(error),
        }
    }

    /// The same relay with another token, if `error` says that it does not take this one any more; else the
    /// error.
    pub(crate) async fn renewed(
        &self,
        lane: Lane,
        relay: &Relay,
        error: Error,
    ) -> Result<Relay, Error> {
        let token = self.another_token(&relay.token, error).await?;
        self.open_with(Target::Relay(lane), token).await
    }

    /// Opens a relay's stream: the call itself is under the time limit, the stream is not.
    pub(crate) async fn stream<A, F, R>(
        &self,
        lane: Lane,
        what: &str,
        open: F,
    ) -> Result<(Relay, tonic::Streaming<A>), Error>
    where
        F: Fn(Relay) -> R,
        R: Future<Output = Result<Response<tonic::Streaming<A>>, Status>>,
    {
        self.stream_from(Target::Relay(lane), what, open).await
    }

    /// The same on any server.
    pub(crate) async fn stream_from<A, F, R>(
        &self,
        target: Target,
        what: &str,
        open: F,
    ) -> Result<(Relay, tonic::Streaming<A>), Error>
    where
        F: Fn(Relay) -> R,
        R: Future<Output = Result<Response<tonic::Streaming<A>>, Status>>,
    {
        let timeout = self.inner.timeout;
        let attempt = async {
            let relay = self.open(target).await?;
            let error = match open(relay.clone()).await {
                Ok(response) => return Ok((relay, response.into_inner())),
                Err(status) => Error::from(status),
            };
            let token = match error {
                Error::Lost(_) => {
                    self.lost(&relay);
                    self.inner.tokens.access().await?
                }
                error => self.another_token(&relay.token, error).await?,
            };
            let relay = self.open_with(target, token).await?;
            let response = open(relay.clone()).await?;
            Ok::<_, Error>((relay, response.into_inner()))
        };
        match tokio::time::timeout(timeout, attempt).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout {
                what: what.to_owned(),
                after: timeout,
            }),
        }
    }

    /// The relay's version and clock; its round trip is the caller's to measure.
    pub async fn hello(&self) -> Result<v1::HelloResponse, Error> {
        self.call(
            Target::Relay(Lane::Interactive),
            "asking the relay",
            Repeat::Harmless,
            v1::HelloRequest {},
            |relay, request| async move { relay.fleet().hello(request).await },
        )
        .await
    }
}

#[cfg(test)]
mod tests;
