//! The way in: somebody proved the first factor, by password or at another provider. Whether that is enough, what
//! comes next, and the record of it.

use axum::response::Response;
use cmdop_service::serve::Peer;
use tokio::time::Instant;
use uuid::Uuid;

use super::destination::Destination;
use super::html::{redirect, with_cookie};
use super::session::{PageLogin, Stage};
use crate::guesses::Guessable;
use crate::plane::ControlPlane;
use crate::store::{self, Event, Outcome, SecondFactorRule};
use crate::throttle::IN_VAIN;

/// Where the code is asked for.
pub(super) const CODE_PAGE: &str = "/login/code";

/// Where who has no second factor gets one.
pub(super) const ENROL_PAGE: &str = "/login/second-factor";

/// How somebody came in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Name and password.
    Password,
    /// Another provider of identity.
    External,
    /// A code of the second factor, after the first.
    Code,
    /// A recovery code, after the first.
    RecoveryCode,
    /// The second factor was set up just now.
    Enrolled,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::External => "external",
            Self::Code => "second-factor",
            Self::RecoveryCode => "recovery-code",
            Self::Enrolled => "second-factor-enrolled",
        }
    }
}

/// The first factor was right: in, or on to the second.
pub(super) async fn after_first(
    plane: &ControlPlane,
    login: PageLogin,
    peer: Peer,
    way: Way,
    to: &Destination,
) -> Result<Response, store::Error> {
    let workspace = plane.store.workspace(login.workspace);
    let factor = workspace.second_factor(login.account).await?;
    let stage = match factor.and_then(|factor| factor.confirmed_at_ms) {
        Some(_) => Stage::Halfway,
        None => match workspace.second_factor_rule().await? {
            SecondFactorRule::Required => Stage::Enrolling,
            SecondFactorRule::Optional => return enter(plane, login, peer, way, to).await,
        },
    };
    let next = match stage {
        Stage::Enrolling => to.through(ENROL_PAGE),
        _ => to.through(CODE_PAGE),
    };
    let browser = plane.page_logins.log_in(login, stage, plane.clock.now_ms());
    Ok(with_cookie(redirect(&next), &browser))
}

/// Everything was right: in.
pub(super) async fn enter(
    plane: &ControlPlane,
    login: PageLogin,
    peer: Peer,
    way: Way,
    to: &Destination,
) -> Result<Response, store::Error> {
    record(plane, login, peer, way, Outcome::Allowed).await?;
    tracing::info!(account = %login.account, way = way.as_str(), "logged in on the page");
    let now_ms = plane.clock.now_ms();
    let browser = plane.page_logins.log_in(login, Stage::In, now_ms);
    Ok(with_cookie(redirect(&to.path()), &browser))
}

/// In the place of an account that there is not. What is recorded of it is in the chain that belongs to no workspace, and
/// the name is not: people type passwords there.
pub(super) fn nobody() -> PageLogin {
    PageLogin {
        workspace: Uuid::nil().into(),
        account: Uuid::nil().into(),
        epoch: 0,
    }
}

/// Who tries often waits long, so that this cannot fill the log either.
pub(super) async fn record(
    plane: &ControlPlane,
    login: PageLogin,
    peer: Peer,
    way: Way,
    outcome: Outcome,
) -> Result<(), store::Error> {
    let from = peer.0.ip().to_canonical().to_string();
    let event = Event::new("page-login", login.account.to_string())
        .outcome(outcome)
        .detail("by", way.as_str())
        .detail("from", from);
    let workspace = plane.store.workspace(login.workspace);
    workspace.note(event, plane.clock.now_ms()).await
}

/// Guesses are not heard any more for a while. Once in a minute for what is guessed at, whether there is that or not: who
/// goes on fills no log, and learns nothing by the time that it takes.
pub(super) async fn record_locked(
    plane: &ControlPlane,
    secret: &Guessable,
    login: PageLogin,
    way: Way,
) -> Result<(), store::Error> {
    let key = format!("locked/{}", secret.subject());
    if plane.throttle.take(key, IN_VAIN, Instant::now()).is_err() {
        return Ok(());
    }
    let event = Event::new("guesses-locked", login.account.to_string())
        .outcome(Outcome::Denied)
        .detail("by", way.as_str());
    let workspace = plane.store.workspace(login.workspace);
    workspace.note(event, plane.clock.now_ms()).await
}
