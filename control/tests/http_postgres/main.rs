//! The suite of `tests/http` once more, word for word, with the facts on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "what a test unwraps it asserts; its world is nobody else's"
)]

#[path = "../http/attempts.rs"]
mod attempts;
#[path = "../http/audit.rs"]
mod audit;
#[path = "../http/authorize.rs"]
mod authorize;
#[path = "../http/backup.rs"]
mod backup;
mod beside;
#[path = "../http/calls.rs"]
mod calls;
mod certificates;
mod database;
#[path = "../http/events.rs"]
mod events;
mod events_beside;
#[path = "../http/events_refused.rs"]
mod events_refused;
#[path = "../http/events_slow.rs"]
mod events_slow;
#[path = "../http/external.rs"]
mod external;
#[path = "../http/fleet_members.rs"]
mod fleet_members;
#[path = "../http/fleets.rs"]
mod fleets;
#[path = "../http/introspection.rs"]
mod introspection;
#[path = "../http/isolation.rs"]
mod isolation;
#[path = "../http/keys.rs"]
mod keys;
#[path = "../http/logins.rs"]
mod logins;
#[path = "../http/machines.rs"]
mod machines;
#[path = "../http/members.rs"]
mod members;
#[path = "../http/metrics.rs"]
mod metrics;
#[path = "../http/pages.rs"]
mod pages;
#[path = "../http/permissions.rs"]
mod permissions;
#[path = "../http/relays.rs"]
mod relays;
#[path = "../http/reports.rs"]
mod reports;
#[path = "../http/reseal.rs"]
mod reseal;
#[path = "../http/rotation.rs"]
mod rotation;
#[path = "../http/schedules.rs"]
mod schedules;
#[path = "../http/schedules_lost.rs"]
mod schedules_lost;
#[path = "../http/second_factor.rs"]
mod second_factor;
#[path = "../postgres/server.rs"]
mod server;
#[path = "../http/socket.rs"]
mod socket;
mod starts;
#[path = "../http/world.rs"]
mod world;
