//! `/oauth/authorize` (RFC 6749, section 4.1): a program sent the browser here; a person who is logged in sees
//! which one, and says yes or no. The answer goes back by the browser, with `iss` (RFC 9207) and `state`.
//!
//! Whatever is wrong with the program or its address is said here and sent nowhere.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::destination::Destination;
use super::html::{escape, hidden, page, page_leading_to, problem, redirect};
use super::visitor::{STALE, UNREADABLE, Visitor, failed, slow, visitor};
use crate::lifetimes::AUTHORIZATION_CODE;
use crate::oauth::{CLIENT, RedirectUri};
use crate::plane::{ControlPlane, Shared};
use crate::secret::Secret;
use crate::store::NewAuthorizationCode;
use crate::throttle::STRANGER;
use crate::tokens::SCOPE;

/// The longest state that is carried for a program.
const MAX_STATE: usize = 1024;

/// What a SHA-256 is in base64url.
const CHALLENGE: usize = 43;

/// What a program asks for; the form sends it again, with a decision.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Parameters {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    state: Option<String>,
    scope: Option<String>,
    csrf: Option<String>,
    decision: Option<String>,
}

/// A request that can be decided.
struct Asked {
    redirect: RedirectUri,
    challenge: String,
    state: Option<String>,
}

/// Why not.
enum Wrong {
    /// Said here: nothing is known to which an answer could go.
    Here(&'static str),
    /// Told to the program (RFC 6749, section 4.1.2.1).
    Back(Box<Answer>, &'static str, &'static str),
}

/// Where an answer goes, and what the program knows it by.
struct Answer {
    to: Url,
    state: Option<String>,
}

/// The question.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return refuse("The address of this page could not be read.");
    };
    let asked = match parameters.read(&plane) {
        Ok(asked) => asked,
        Err(wrong) => return wrong.told(&plane),
    };
    match visitor(&plane, &headers).await {
        Ok(Some(visitor)) => ask(&plane, &visitor, &parameters, &asked),
        Ok(None) => redirect(&parameters.after_login()),
        Err(error) => failed(&error),
    }
}

/// The answer comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    headers: HeaderMap,
    parameters: Result<Form<Parameters>, FormRejection>,
) -> Response {
    let Ok(Form(parameters)) = parameters else {
        return refuse(UNREADABLE);
    };
    let visitor = match visitor(&plane, &headers).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return redirect(&parameters.after_login()),
        Err(error) => return failed(&error),
    };
    if !visitor.is_own_form(&plane, parameters.csrf.as_deref()) {
        return page(StatusCode::FORBIDDEN, "Not done", &problem(STALE));
    }
    let asked = match parameters.read(&plane) {
        Ok(asked) => asked,
        Err(wrong) => return wrong.told(&plane),
    };
    match parameters.decision.as_deref() {
        Some("approve") => approve(&plane, &visitor, asked).await,
        Some("deny") => {
            plane.page_logins.log_out(&visitor.browser);
            let answer = asked.answer();
            answer.error(&plane, "access_denied", "the person refused")
        }
        _ => ask(&plane, &visitor, &parameters, &asked),
    }
}

impl Parameters {
    fn read(&self, plane: &ControlPlane) -> Result<Asked, Wrong> {
        if self.client_id.as_deref() != Some(CLIENT) {
            return Err(Wrong::Here("The program that sent you here is not known."));
        }
        let redirect = self.redirect_uri.as_deref().unwrap_or_default();
        let Some(redirect) = RedirectUri::read(redirect, &plane.redirect_uris) else {
            return Err(Wrong::Here(
                "The address to which the program wants to be answered is not allowed: it is one of this \
                 computer (http://127.0.0.1:PORT/ or http://[::1]:PORT/), or one that was configured.",
            ));
        };
        let state = self.state.clone();
        let is_state = |state: &String| state.len() <= MAX_STATE && state.is_ascii();
        if !state.as_ref().is_none_or(is_state) {
            return Err(Wrong::Here(
                "The program's `state` is too long, or not plain ASCII.",
            ));
        }
        let asked = Asked {
            redirect,
            challenge: self.code_challenge.clone().unwrap_or_default(),
            state,
        };
        match self.fault() {
            None => Ok(asked),
            Some((error, description)) => {
                Err(Wrong::Back(Box::new(asked.answer()), error, description))
            }
        }
    }

    /// What the program has wrong, in the standard's word and in a sentence.
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let challenge = self.code_challenge.as_deref().unwrap_or_default();
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_challenge = challenge.len() == CHALLENGE && challenge.bytes().all(is_base64url);
        let scope = self.scope.as_deref().unwrap_or_default();
        match self.response_type.as_deref() {
            None => Some((
                "invalid_request",
                "the parameter `response_type` is missing",
            )),
            Some("code") if self.code_challenge_method.as_deref() != Some("S256") => Some((
                "invalid_request",
                "the parameter `code_challenge_method` is not S256",
            )),
            Some("code") if !is_challenge => Some((
                "invalid_request",
                "the parameter `code_challenge` is not a SHA-256 in base64url",
            )),
            Some("code") if !scope.is_empty() && scope != SCOPE => Some((
                "invalid_scope",
                "the only scope of a login is `cmdop`; keys have others",
            )),
            Some("code") => None,
            Some(_) => Some((
                "unsupported_response_type",
                "the only response type is `code`",
            )),
        }
    }

    /// The login page that leads back to this question.
    fn after_login(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(self.asked()).finish();
        let question = format!("/oauth/authorize?{query}");
        Destination::read("", &question).through("/login")
    }

    fn fields(&self) -> String {
        self.asked()
            .map(|(name, value)| hidden(name, value))
            .collect()
    }

    /// What the program asked, without what our form added.
    fn asked(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
            ("state", &self.state),
            ("scope", &self.scope),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

impl Asked {
    fn answer(&self) -> Answer {
        Answer {
            to: self.redirect.url().clone(),
            state: self.state.clone(),
        }
    }
}

impl Wrong {
    fn told(self, plane: &ControlPlane) -> Response {
        match self {
            Self::Here(sentence) => refuse(sentence),
            Self::Back(answer, error, description) => answer.error(plane, error, description),
        }
    }
}

impl Answer {
    fn error(self, plane: &ControlPlane, error: &str, description: &str) -> Response {
        let said = [("error", error), ("error_description", description)];
        self.send(plane, &said)
    }

    fn send(mut self, plane: &ControlPlane, said: &[(&str, &str)]) -> Response {
        self.to
            .query_pairs_mut()
            .extend_pairs(said)
            .extend_pairs(self.state.as_deref().map(|state| ("state", state)))
            .append_pair("iss", &plane.issuer);
        redirect(self.to.as_str())
    }
}

fn refuse(sentence: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not allowed", &problem(sentence))
}

fn ask(
    plane: &ControlPlane,
    visitor: &Visitor,
    parameters: &Parameters,
    asked: &Asked,
) -> Response {
    let body = format!(
        "<p>The program <strong>{}</strong> at <code class=\"address\">{}</code> asks to act as \
         <strong>{}</strong> ({}).</p>\n\
         <p>Allow it only if you started it just now.</p>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n{}{}\
         <button type=\"submit\" name=\"decision\" value=\"approve\">Allow</button>\n\
         <button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\n</form>\n",
        escape(CLIENT),
        escape(&asked.redirect.shown()),
        escape(&visitor.account.name),
        visitor.account.role.as_str(),
        hidden("csrf", &visitor.form_token(plane)),
        parameters.fields(),
    );
    page_leading_to(&asked.redirect.source(), "Allow this program?", &body)
}

async fn approve(plane: &ControlPlane, visitor: &Visitor, asked: Asked) -> Response {
    let bucket = format!("authorize/{}", visitor.account.id);
    if let Err(wait) = plane.throttle.take(bucket, STRANGER, Instant::now()) {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return page(status, "Not done", &problem(&slow(wait)));
    }
    let code = Secret::random("cmdop_code_");
    let now_ms = plane.clock.now_ms();
    let new = NewAuthorizationCode {
        hash: &code.hash(),
        account: visitor.account.id,
        client: CLIENT,
        redirect_uri: asked.redirect.given(),
        challenge: &asked.challenge,
        expires_at_ms: now_ms + AUTHORIZATION_CODE.as_millis() as u64,
    };
    let workspace = visitor.workspace(plane);
    if let Err(error) = workspace.add_authorization_code(new, now_ms).await {
        return failed(&error);
    }
    // This is what the login on the page was for; an open browser is worth nothing afterwards.
    plane.page_logins.log_out(&visitor.browser);
    tracing::info!(account = %visitor.account.name, "allowed a program");
    asked.answer().send(plane, &[("code", code.expose())])
}
