//! `/login/code`: the password was right, and the account has a second factor.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};

use super::code_form::{CodeForm, Returned, at_stage, returned};
use super::destination::{Destination, Wanted};
use super::entry::{self, Way};
use super::failure::Failure;
use super::html::{hidden, page, problem};
use super::session::Stage;
use super::visitor::{Visitor, failed, slow};
use crate::guesses::Guessable;
use crate::plane::{ControlPlane, Shared};
use crate::second_factor::{recovery_hash, step_of};
use crate::store::{Outcome, SealedKind};

/// The same for a wrong code and for one that was used.
pub(super) const WRONG: &str =
    "That code is not right, or was used already. A new one is shown every thirty seconds.";

/// The form.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let to = Destination::from(wanted);
    match at_stage(&plane, &headers, Stage::Halfway, &to).await {
        Ok(visitor) => form(&plane, &visitor, StatusCode::OK, &to, ""),
        Err(answer) => *answer,
    }
}

/// The form comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<CodeForm>, FormRejection>,
) -> Response {
    let came = match returned(&plane, &headers, Stage::Halfway, submitted).await {
        Ok(came) => came,
        Err(answer) => return *answer,
    };
    let Returned { visitor, to, code } = came;
    let again = |status, complaint: &str| form(&plane, &visitor, status, &to, complaint);
    let code = match code {
        Ok(code) => code,
        Err((status, complaint)) => return again(status, complaint),
    };
    match check(&plane, &visitor, peer, &code).await {
        Ok(way) => {
            plane.page_logins.log_out(&visitor.browser);
            entry::enter(&plane, visitor.login, peer, way, &to)
                .await
                .unwrap_or_else(|error| failed(&error))
        }
        Err(Failure::Wrong) => again(StatusCode::FORBIDDEN, WRONG),
        Err(Failure::TooOften(wait)) => again(StatusCode::TOO_MANY_REQUESTS, &slow(wait)),
        Err(Failure::Broken(error)) => failed(&error),
    }
}

/// Takes a code of the second factor, or a recovery code: once, and only so many guesses.
pub(super) async fn check(
    plane: &ControlPlane,
    visitor: &Visitor,
    peer: Peer,
    code: &str,
) -> Result<Way, Failure> {
    let secret = Guessable::SecondFactor(visitor.account.id);
    if let Some(wait) = plane.guess(&secret, peer).await? {
        entry::record_locked(plane, &secret, visitor.login, Way::Code).await?;
        return Err(Failure::TooOften(wait));
    }
    if let Some(way) = take(plane, visitor, code).await? {
        plane.guessed_right(&secret, peer).await?;
        return Ok(way);
    }
    entry::record(plane, visitor.login, peer, Way::Code, Outcome::Failed).await?;
    tracing::info!(peer = %peer.0.ip(), "a second factor was wrong");
    Err(Failure::Wrong)
}

async fn take(plane: &ControlPlane, visitor: &Visitor, code: &str) -> Result<Option<Way>, Failure> {
    let (workspace, account) = (visitor.workspace(plane), visitor.account.id);
    let now_ms = plane.clock.now_ms();
    if let Some(hash) = recovery_hash(account, code) {
        let is_taken = workspace.use_recovery_code(account, &hash, now_ms).await?;
        return Ok(is_taken.then_some(Way::RecoveryCode));
    }
    let Some(factor) = workspace.second_factor(account).await? else {
        return Ok(None);
    };
    let row = account.to_string();
    let opened = plane
        .sealer
        .open(SealedKind::SecondFactor.table(), &row, &factor.sealed);
    let opened = opened.map_err(|error| Failure::Broken(error.to_string()))?;
    let Some(step) = step_of(opened, code, plane.clock.now_s()) else {
        return Ok(None);
    };
    let is_taken = workspace.use_second_factor(account, step).await?;
    Ok(is_taken.then_some(Way::Code))
}

fn form(
    plane: &ControlPlane,
    visitor: &Visitor,
    status: StatusCode,
    to: &Destination,
    complaint: &str,
) -> Response {
    let body = format!(
        "{}<form method=\"post\" action=\"{}\">\n{}{}\
         <label for=\"code\">The code that your authenticator shows</label>\n\
         <input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" spellcheck=\"false\" \
         autocapitalize=\"characters\" maxlength=\"32\" aria-describedby=\"else\" required autofocus>\n\
         <p id=\"else\">Or one of your recovery codes. Each is good once.</p>\n\
         <button type=\"submit\">Continue</button>\n</form>\n",
        problem(complaint),
        entry::CODE_PAGE,
        hidden("csrf", &visitor.form_token(plane)),
        to.fields(),
    );
    page(status, "Second factor", &body)
}
