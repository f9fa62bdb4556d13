//! `cmdop`: what a person sees, on the command line and on the full screen.
//!
//! `cli` reads the command line and does one thing; the full screen's modules hold a model, an
//! update and a view. Both speak to servers through `cmdop_client` only.

pub mod cli;

// The full screen.
pub mod app;
pub mod browser;
pub mod config;
pub mod copy;
pub mod dashboard;
mod frame;
pub mod keymap;
pub mod line;
pub mod pane;
pub mod predict;
pub mod run;
#[cfg(test)]
mod testing;
pub mod theme;
pub mod tiles;
pub mod view;

/// The full-screen client on `connection`, until its user leaves.
pub async fn start(
    connection: cmdop_client::Connection,
    directory: &std::path::Path,
    look: &run::Look,
    start: run::Start,
) -> Result<u8, cli::Failure> {
    run::start(connection, directory, look, start)
        .await
        .map_err(|error| cli::Failure::usage(error.to_string()))
}
