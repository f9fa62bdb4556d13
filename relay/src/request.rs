//! The parts that several requests share, checked at the edge: commands, environments, signals.

use std::collections::HashMap;

use cmdop_proto::{Refusal, limits};

/// The last signal that has a name. Those beyond, the real-time ones, mean something else to each
/// program, and agents do not send them.
const MAX_SIGNAL: u32 = 31;

/// argv and environment that a program could be started with.
pub(crate) fn check_program(
    command: &[String],
    cwd: &str,
    env: &HashMap<String, String>,
) -> Result<(), Refusal> {
    let command_bytes: usize = command.iter().map(|argument| argument.len() + 1).sum();
    let env_bytes: usize = env
        .iter()
        .map(|(key, value)| key.len() + value.len() + 2)
        .sum();
    let has_nul = |text: &str| text.contains('\0');
    if command_bytes > limits::MAX_COMMAND {
        return Err(too_long("the command", command_bytes));
    }
    if env_bytes > limits::MAX_COMMAND {
        return Err(too_long("the environment", env_bytes));
    }
    if cwd.len() > 4096 {
        return Err(Refusal::invalid(
            "bad-request",
            "the working directory is longer than 4096 bytes",
        ));
    }
    if env.len() > limits::MAX_ENV {
        return Err(Refusal::invalid(
            "bad-request",
            format!(
                "{} variables are more than the limit of {}",
                env.len(),
                limits::MAX_ENV
            ),
        ));
    }
    if command.first().is_some_and(String::is_empty) {
        return Err(Refusal::invalid(
            "bad-request",
            "the program's name is empty",
        ));
    }
    if command.iter().any(|argument| has_nul(argument)) || has_nul(cwd) {
        return Err(Refusal::invalid(
            "bad-request",
            "a command or directory cannot hold a NUL byte",
        ));
    }
    let bad_variable = |(key, value): (&String, &String)| {
        key.is_empty() || key.contains('=') || has_nul(key) || has_nul(value)
    };
    if env.iter().any(bad_variable) {
        return Err(Refusal::invalid(
            "bad-request",
            "a variable has no name, or a `=` in its name, or a NUL byte",
        ));
    }
    Ok(())
}

fn too_long(what: &str, bytes: usize) -> Refusal {
    Refusal::invalid(
        "bad-request",
        format!(
            "{what} has {bytes} bytes; the limit is {}",
            limits::MAX_COMMAND
        ),
    )
    .hint("pass long data on stdin or in a file")
}

/// A signal that agents can send.
pub(crate) fn check_signal(signal: u32) -> Result<(), Refusal> {
    if (1..=MAX_SIGNAL).contains(&signal) {
        return Ok(());
    }
    Err(Refusal::invalid(
        "bad-request",
        format!("there is no signal {signal} to send: they go from 1 to {MAX_SIGNAL}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(command: &[&str], env: &[(&str, &str)]) -> Option<String> {
        let command: Vec<_> = command
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let env = env
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        check_program(&command, "", &env)
            .err()
            .map(|refusal| refusal.message)
    }

    #[test]
    fn what_no_program_can_be_started_with_is_refused() {
        assert_eq!(reason(&["ls"], &[("A", "b")]), None);
        let long = "x".repeat(limits::MAX_COMMAND);
        for (command, env) in [
            (&[long.as_str()][..], &[][..]),
            (&["a\0b"], &[]),
            (&[""], &[]),
            (&["ls"], &[("A=B", "c")]),
            (&["ls"], &[("", "c")]),
        ] {
            assert!(reason(command, env).is_some(), "{env:?}");
        }
    }

    #[test]
    fn signals_are_those_that_an_agent_can_send() {
        for none in [0, 32, 64, 65, u32::MAX] {
            assert!(check_signal(none).is_err(), "{none}");
        }
        assert!((1..=31).all(|signal| check_signal(signal).is_ok()));
    }
}
