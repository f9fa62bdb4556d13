//! The relay as its peers meet it: real gRPC over real TLS on loopback, with an agent that is a few
//! lines of test and keeps its log as a real one does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agent;
mod client;
mod world;

mod attach;
mod control_plane;
mod credentials;
mod exec;
mod flood;
mod leaving;
mod links;
mod sessions;
