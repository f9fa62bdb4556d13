//! The system as its users meet it: real programs, real terminals, real credentials, on loopback.
//!
//! One module a subject, one test a promise. Each test makes its own small world, so that they run in
//! any order and side by side.

#![allow(clippy::unwrap_used, reason = "what a test unwraps it asserts")]

mod absence;
mod audit;
mod browsing;
mod catalogue;
mod centrifuge;
mod clock;
mod credentials;
mod delivery;
mod echo;
mod events;
mod exec_detached;
mod exec_exit;
mod exec_many;
mod exec_resume;
mod exec_streams;
mod files;
mod files_access;
mod files_faults;
mod files_many;
mod files_rights;
mod files_verbs;
mod fleet;
mod flood;
mod history;
mod holder;
mod hostile;
mod in_tmux;
mod isolation;
mod keyboard;
mod keys;
mod login;
mod operators;
mod outage;
mod pages;
mod panes;
mod prediction;
mod programs;
mod reconnect;
mod record;
mod recordings;
mod refresh;
mod roaming;
mod rotation;
mod schedules;
mod scripting;
mod size;
mod start;
mod terminal;
mod text;
mod transfers;
mod up;
