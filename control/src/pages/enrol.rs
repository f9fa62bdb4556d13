//! Setting up a second factor: a secret is proposed, one code proves that it arrived, and recovery codes are shown
//! once. On the account's page for who wants to, and on the way in (`/login/second-factor`) for who has to.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};

use super::code_form::{CodeForm, Returned, at_stage, returned};
use super::destination::{Destination, Wanted};
use super::entry::{self, ENROL_PAGE, Way};
use super::html::{escape, hidden, page, problem};
use super::session::Stage;
use super::visitor::{Visitor, failed, slow};
use crate::guesses::Guessable;
use crate::plane::{ControlPlane, Shared};
use crate::second_factor::{self, Proposal, recovery_codes, recovery_hash, step_of};
use crate::store::{self, SealedKind};

/// Where the account's own page has it.
pub(super) const ACCOUNT_PAGE: &str = "/account/second-factor";

const WRONG: &str =
    "That code is not right. Check that the clock of your device is, and that it has this secret.";

const IN_FORCE: &str = "There is a second factor already.";

/// `GET /login/second-factor`: the way in ends here until there is one.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let to = Destination::from(wanted);
    match at_stage(&plane, &headers, Stage::Enrolling, &to).await {
        Ok(visitor) => propose(&plane, &visitor, Place::WayIn(&to)).await,
        Err(answer) => *answer,
    }
}

/// `POST /login/second-factor`: the code that proves it.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<CodeForm>, FormRejection>,
) -> Response {
    let came = match returned(&plane, &headers, Stage::Enrolling, submitted).await {
        Ok(came) => came,
        Err(answer) => return *answer,
    };
    let Returned { visitor, to, code } = came;
    let place = Place::WayIn(&to);
    let code = match code {
        Ok(code) => code,
        Err((status, complaint)) => {
            return complain(&plane, &visitor, place, status, complaint).await;
        }
    };
    match confirm(&plane, &visitor, peer, &code, place).await {
        Ok(codes) => {
            plane.page_logins.log_out(&visitor.browser);
            let entered = entry::enter(&plane, visitor.login, peer, Way::Enrolled, &to).await;
            entered.map_or_else(
                |error| failed(&error),
                |mut entered| {
                    // The browser is in; what it gets to see first is the codes.
                    let shown = show_codes(&codes, &to);
                    let (parts, body) = shown.into_parts();
                    entered.headers_mut().remove(http::header::LOCATION);
                    entered.headers_mut().extend(parts.headers);
                    *entered.status_mut() = parts.status;
                    *entered.body_mut() = body;
                    entered
                },
            )
        }
        Err(answer) => *answer,
    }
}

/// Where it happens.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On the way in, which then goes on there.
    WayIn(&'a Destination),
    /// On the account's page.
    Account,
}

impl Place<'_> {
    fn action(self) -> &'static str {
        match self {
            Self::WayIn(_) => ENROL_PAGE,
            Self::Account => ACCOUNT_PAGE,
        }
    }
}

/// Proposes a new secret, and shows it.
pub(super) async fn propose(plane: &ControlPlane, visitor: &Visitor, place: Place<'_>) -> Response {
    let (secret, row) = (second_factor::new_secret(), visitor.account.id.to_string());
    let sealed = match plane
        .sealer
        .seal(SealedKind::SecondFactor.table(), &row, &secret)
    {
        Ok(sealed) => sealed,
        Err(refusal) => return failed(&refusal),
    };
    let workspace = visitor.workspace(plane);
    let now_ms = plane.clock.now_ms();
    let proposed = workspace.propose_second_factor(visitor.account.id, &sealed, now_ms);
    match proposed.await {
        Ok(true) => form(plane, visitor, place, StatusCode::OK, secret, ""),
        Ok(false) => page(StatusCode::CONFLICT, "Second factor", &problem(IN_FORCE)),
        Err(error) => failed(&error),
    }
}

/// The code proves it: the recovery codes, or the page that says why not.
pub(super) async fn confirm(
    plane: &ControlPlane,
    visitor: &Visitor,
    peer: Peer,
    code: &str,
    place: Place<'_>,
) -> Result<Vec<String>, Box<Response>> {
    let ours = |error: store::Error| Box::new(failed(&error));
    let guessed = Guessable::SecondFactor(visitor.account.id);
    if let Some(wait) = plane.guess(&guessed, peer).await.map_err(ours)? {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Box::new(
            complain(plane, visitor, place, status, &slow(wait)).await,
        ));
    }
    let (secret, sealed) = proposed(plane, visitor).await?;
    let Some(step) = step_of(secret, code, plane.clock.now_s()) else {
        let status = StatusCode::FORBIDDEN;
        return Err(Box::new(
            complain(plane, visitor, place, status, WRONG).await,
        ));
    };
    let codes = recovery_codes();
    let account = visitor.account.id;
    let hashes: Vec<_> = codes
        .iter()
        .filter_map(|code| recovery_hash(account, code))
        .collect();
    let now_ms = plane.clock.now_ms();
    let workspace = visitor.workspace(plane);
    let confirmed = workspace.confirm_second_factor(account, &sealed, step, &hashes, now_ms);
    if !confirmed.await.map_err(ours)? {
        let late = page(StatusCode::CONFLICT, "Second factor", &problem(IN_FORCE));
        return Err(Box::new(late));
    }
    plane.guessed_right(&guessed, peer).await.map_err(ours)?;
    tracing::info!(account = %visitor.account.name, "has a second factor now");
    Ok(codes)
}

/// The secret that was proposed, and how it is kept.
async fn proposed(
    plane: &ControlPlane,
    visitor: &Visitor,
) -> Result<(Vec<u8>, String), Box<Response>> {
    let account = visitor.account.id;
    let found = visitor.workspace(plane).second_factor(account).await;
    let found = found.map_err(|error| Box::new(failed(&error)))?;
    let Some(factor) = found.filter(|factor| factor.confirmed_at_ms.is_none()) else {
        let none = page(StatusCode::CONFLICT, "Second factor", &problem(IN_FORCE));
        return Err(Box::new(none));
    };
    let row = account.to_string();
    let opened = plane
        .sealer
        .open(SealedKind::SecondFactor.table(), &row, &factor.sealed);
    match opened {
        Ok(secret) => Ok((secret, factor.sealed)),
        Err(error) => Err(Box::new(failed(&error))),
    }
}

/// The same secret again, with what was wrong.
pub(super) async fn complain(
    plane: &ControlPlane,
    visitor: &Visitor,
    place: Place<'_>,
    status: StatusCode,
    complaint: &str,
) -> Response {
    match proposed(plane, visitor).await {
        Ok((secret, _)) => form(plane, visitor, place, status, secret, complaint),
        Err(answer) => *answer,
    }
}

fn form(
    plane: &ControlPlane,
    visitor: &Visitor,
    place: Place<'_>,
    status: StatusCode,
    secret: Vec<u8>,
    complaint: &str,
) -> Response {
    let Some(proposal) = Proposal::new(secret, &visitor.account.name) else {
        return failed(&"a second factor cannot be shown");
    };
    let onward = match place {
        Place::WayIn(to) => to.fields(),
        Place::Account => String::new(),
    };
    let body = format!(
        "{}<p>Scan this with an authenticator, or type the secret into it, and enter the code that it shows.</p>\n\
         <div class=\"picture\" role=\"img\" aria-label=\"The same secret as a QR code\">{}</div>\n\
         <p>Secret: <code class=\"secret\">{}</code></p>\n\
         <p><a href=\"{}\">Open it in an authenticator on this device</a></p>\n\
         <form method=\"post\" action=\"{}\">\n{}{onward}\
         <label for=\"code\">The code that your authenticator shows</label>\n\
         <input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" inputmode=\"numeric\" \
         maxlength=\"16\" required autofocus>\n\
         <button type=\"submit\" name=\"step\" value=\"confirm\">Turn on</button>\n</form>\n",
        problem(complaint),
        proposal.picture,
        proposal.base32,
        escape(&proposal.uri),
        place.action(),
        hidden("csrf", &visitor.form_token(plane)),
    );
    page(status, "Set up a second factor", &body)
}

/// The recovery codes: this once.
pub(super) fn show_codes(codes: &[String], to: &Destination) -> Response {
    let items: String = codes
        .iter()
        .map(|code| format!("<li><code>{code}</code></li>\n"))
        .collect();
    let body = format!(
        "<p>Each of these recovery codes lets you in once, should your authenticator be lost. \
         They are not shown again: print them, or keep them where your passwords are.</p>\n\
         <ul class=\"codes\" aria-label=\"Recovery codes\">\n{items}</ul>\n\
         <p><a href=\"{}\">Continue</a></p>\n",
        escape(&to.path()),
    );
    page(StatusCode::OK, "Recovery codes", &body)
}
