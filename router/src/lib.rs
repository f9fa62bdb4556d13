//! The model router: one door to language models and web search.
//!
//! So far it is the house without the rooms: configuration, the port, health, and an orderly end.
//! It routes nothing yet and says so: every path but `/healthz` is answered with 404.

pub mod args;
pub mod config;
pub mod serve;
