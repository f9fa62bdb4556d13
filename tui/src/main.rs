//! The `cmdop` program: reads the environment, and leaves the rest to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cmdop_tui::cli::main(&cmdop_tui::cli::Environment {
        cmdop_home: std::env::var_os("CMDOP_HOME").map(Into::into),
        token_store: std::env::var("CMDOP_TOKEN_STORE").ok(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        log: std::env::var("CMDOP_LOG").ok(),
        look: cmdop_tui::run::Look::of_environment(|name| std::env::var(name).ok()),
    })
}
