//! The control plane: who may do what. It is never in the path of a keystroke.
//!
//! It keeps accounts, machines and relays in one database, is the private CA of its servers, signs
//! the tokens that relays check offline, and tells relays what changes. Everybody who wants a token
//! comes through one endpoint; there is no other way in, and `admin` works on the database only.

pub mod admin;
pub mod args;
pub mod backup;
pub mod clock;
pub mod config;
pub mod lifetimes;
pub mod store;

mod api_key;
mod assertion;
mod bootstrap;
mod ca;
mod enrollment;
mod events;
mod grpc;
mod guesses;
mod housekeeping;
mod invitation;
mod meters;
mod names;
mod oauth;
mod oidc;
mod pages;
mod password;
mod permission;
mod plane;
mod publication;
mod routes;
mod schedules;
mod sealed;
mod second_factor;
mod secret;
mod serve;
mod signer;
mod strikes;
mod throttle;
mod tokens;

pub use clock::Clock;
pub use config::Config;
pub use oidc::Settings as OidcSettings;
pub use routes::listed as http_routes;
pub use secret::Secret;
pub use serve::{Error, Running, serve};
