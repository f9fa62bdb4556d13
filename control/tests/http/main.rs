//! A control plane in this process, on a port of its own, met as its clients meet it: TLS, forms,
//! pages, gRPC, and the binary on its data.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "what a test unwraps it asserts; its world is nobody else's"
)]

mod attempts;
mod audit;
mod authorize;
mod backup;
mod binary;
mod calls;
mod database;
mod events;
mod events_refused;
mod events_slow;
mod external;
mod fleet_members;
mod fleets;
mod introspection;
mod isolation;
mod keys;
mod logins;
mod machines;
mod members;
mod metrics;
mod pages;
mod permissions;
mod relays;
mod reports;
mod reseal;
mod rotation;
mod schedules;
mod schedules_lost;
mod second_factor;
mod socket;
mod world;
