//! The form with one code, between the first factor and the way in: whose it is, and where they were going.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::destination::Destination;
use super::html::redirect;
use super::session::{Browser, Stage};
use super::visitor::{STALE, UNREADABLE, Visitor, failed, named};
use crate::plane::ControlPlane;
use crate::store;

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct CodeForm {
    csrf: Option<String>,
    code: Option<String>,
    user_code: Option<String>,
    next: Option<String>,
}

/// A form that came back from somebody who is there.
pub(super) struct Returned {
    /// Who.
    pub(super) visitor: Visitor,
    /// Where they were going.
    pub(super) to: Destination,
    /// The code; or the status and the sentence with which the form is shown again.
    pub(super) code: Result<String, (StatusCode, &'static str)>,
}

/// Who this browser says to be, if it has come exactly so far; else the answer that sends it back.
pub(super) async fn at_stage(
    plane: &ControlPlane,
    headers: &HeaderMap,
    wanted: Stage,
    to: &Destination,
) -> Result<Visitor, Box<Response>> {
    match found(plane, headers, wanted).await {
        Ok(Some(visitor)) => Ok(visitor),
        Ok(None) => Err(Box::new(redirect(&to.through("/login")))),
        Err(error) => Err(Box::new(failed(&error))),
    }
}

async fn found(
    plane: &ControlPlane,
    headers: &HeaderMap,
    wanted: Stage,
) -> Result<Option<Visitor>, store::Error> {
    let Some(browser) = Browser::of(headers) else {
        return Ok(None);
    };
    match plane.page_logins.stage_of(&browser, plane.clock.now_ms()) {
        Some((login, stage)) if stage == wanted => named(plane, browser, login).await,
        _ => Ok(None),
    }
}

/// Reads the form of somebody who has come so far.
pub(super) async fn returned(
    plane: &ControlPlane,
    headers: &HeaderMap,
    wanted: Stage,
    submitted: Result<Form<CodeForm>, FormRejection>,
) -> Result<Returned, Box<Response>> {
    let form = submitted.ok().map(|Form(form)| form);
    let to = form.as_ref().map_or(Destination::Device(None), |form| {
        Destination::read(
            form.user_code.as_deref().unwrap_or_default(),
            form.next.as_deref().unwrap_or_default(),
        )
    });
    let visitor = at_stage(plane, headers, wanted, &to).await?;
    let code = match form {
        None => Err((StatusCode::BAD_REQUEST, UNREADABLE)),
        Some(form) if visitor.is_own_form(plane, form.csrf.as_deref()) => {
            Ok(form.code.unwrap_or_default())
        }
        Some(_) => Err((StatusCode::FORBIDDEN, STALE)),
    };
    Ok(Returned { visitor, to, code })
}
