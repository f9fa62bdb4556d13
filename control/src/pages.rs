//! The pages on which a person logs in, approves a device or a program, and keeps the account. Plain HTML: no scripts, nothing loaded
//! from elsewhere, every word from outside escaped.
//!
//! A browser holds one cookie with a random id. Forms carry a token that only we can make for that id
//! ([`session`]): another site can send our forms but cannot fill this in.

mod account;
mod authorize;
mod code;
mod code_form;
mod destination;
mod device;
mod enrol;
mod entry;
mod external;
mod failure;
mod html;
mod invitation;
mod login;
mod session;
mod visitor;

pub(crate) use session::PageLogins;

use crate::routes::Route;

/// The routes of the pages.
pub(crate) fn routes() -> Vec<Route> {
    let at = Route::at;
    vec![
        at("/login").get(login::show).post(login::submit),
        at("/login/code").get(code::show).post(code::submit),
        at("/login/second-factor")
            .get(enrol::show)
            .post(enrol::submit),
        at("/login/external").get(external::leave),
        at("/login/external/callback").get(external::arrive),
        at("/account").get(account::show),
        at("/account/password").post(account::password::change),
        at("/account/second-factor").post(account::second_factor),
        at("/account/logins").post(account::end_login),
        at("/logout").post(account::leave),
        at("/oauth/authorize")
            .get(authorize::show)
            .post(authorize::submit),
        at("/device").get(device::show).post(device::submit),
        at("/invitation")
            .get(invitation::show)
            .post(invitation::submit),
        at("/style.css").get(html::style),
    ]
}
