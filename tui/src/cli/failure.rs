//! How a command fails: a sentence, what to do next, and an exit code. The only place that prints errors.

use std::process::ExitCode;

use cmdop_proto::text::shown;
use cmdop_proto::{ErrorKind, Refusal};

use super::context::Globals;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    refusal: Refusal,
    code: u8,
}

impl Failure {
    /// The command line asks for something that cannot be (exit code 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Refusal::invalid("bad-request", message).into()
    }

    /// Something that is needed is not there (exit code 69).
    pub fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Refusal::unavailable(reason, message).into()
    }

    /// It took too long (exit code 75).
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::from(Refusal::new(ErrorKind::Exhausted, "timeout", message))
            .hint("try again, or give it longer with --timeout")
    }

    /// A bug of ours (exit code 70).
    pub fn internal(message: impl Into<String>) -> Self {
        Refusal::internal(message).into()
    }

    /// The same with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.refusal.hint = hint.into();
        self
    }

    /// What it means.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Prints it to stderr, and gives its exit code.
    pub fn report(&self, globals: &Globals) -> ExitCode {
        if globals.json {
            let error = serde_json::json!({"error": {
                "reason": self.refusal.reason, "message": self.refusal.message,
                "hint": self.refusal.hint, "exit_code": self.code,
            }});
            eprintln!("{error}");
        } else {
            eprint!("{}", self.text());
        }
        ExitCode::from(self.code)
    }

    /// The message in one line, the hint in the next.
    fn text(&self) -> String {
        // A message of ours may hold lines (the end of a log); each is stripped alone.
        let lines: Vec<_> = self
            .refusal
            .message
            .lines()
            .map(|l| shown(l, 2048))
            .collect();
        let mut text = format!("cmdop: {}\n", lines.join("\n"));
        if !self.refusal.hint.is_empty() {
            let hint = shown(&self.refusal.hint, 1024);
            text.extend(["  ", &hint, "\n"]);
        }
        text
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.reason.as_str() {
            // Whatever kind a server gives to its own timeouts.
            "timeout" => 75,
            _ => refusal.kind.exit_code(),
        };
        Self { refusal, code }
    }
}

impl From<cmdop_client::Error> for Failure {
    fn from(error: cmdop_client::Error) -> Self {
        error.refusal().into()
    }
}

impl From<cmdop_client::profile::Error> for Failure {
    fn from(error: cmdop_client::profile::Error) -> Self {
        cmdop_client::Error::from(error).into()
    }
}

impl From<cmdop_client::token_store::Error> for Failure {
    fn from(error: cmdop_client::token_store::Error) -> Self {
        cmdop_client::Error::from(error).into()
    }
}

impl From<cmdop_client::oauth::Error> for Failure {
    fn from(error: cmdop_client::oauth::Error) -> Self {
        cmdop_client::Error::from(error).into()
    }
}

impl From<cmdop_client::dial::Error> for Failure {
    fn from(error: cmdop_client::dial::Error) -> Self {
        cmdop_client::Error::from(error).into()
    }
}

/// What stdout or stderr said when we wrote to it. A reader that went away is not worth a message.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::internal(format!("cannot write the result: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_sentence_and_what_to_do() {
        let failure = Failure::from(
            Refusal::unavailable("machine-offline", "web-1 is \x1b[31moffline")
                .hint("start cmdopd"),
        );
        assert_eq!(
            failure.text(),
            "cmdop: web-1 is [31moffline\n  start cmdopd\n"
        );
        assert_eq!(failure.code(), 69);
    }

    #[test]
    fn a_timeout_is_75_whatever_its_kind() {
        let failure = Failure::from(Refusal::unavailable("timeout", "too long"));
        assert_eq!(failure.code(), 75);
    }
}
