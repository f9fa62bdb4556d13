//! `cmdop attach`: a session on this terminal, raw, as ssh does it.
//!
//! Bytes pass through as they are: the remote program can do to the terminal what any program can
//! that is run in it. Only queries are taken out, since the agent has answered them already.
//! The terminal is restored on every way out. A terminal that is smaller than the session shows the
//! part around the cursor instead, drawn from an emulator.

mod escape;
mod keyboard;
mod pass;
pub(super) mod screen;
mod signals;
pub(super) mod terminal;
mod viewport;

use std::io::IsTerminal as _;

use cmdop_client::Connection;
use cmdop_client::attach::{Attachment, Options};
use cmdop_proto::Size;
use cmdop_proto::v1;

pub(super) use escape::Keystroke;
pub(super) use pass::AtEnd;
pub(super) use signals::{Got, Signals};
pub(super) use terminal::size as terminal_size;

use super::context::Context;
use super::failure::Failure;
use super::sessions::{exit, title};
use super::stdin::Stdin;
use super::stdout::Stdout;
use pass::{Outcome, Pass};

/// Attach this terminal to a session; detach with ctrl-] d
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop attach build\n\nThe session's output reaches this terminal \
                  unfiltered, as with ssh; a terminal that is smaller than the session shows the part \
                  around its cursor. Detach with ctrl-] d; ctrl-] ctrl-] types ctrl-].\n\n\
                  Where the keyboard is exclusive (see `cmdop keyboard`): ctrl-] r requests it, \
                  ctrl-] g gives it to who asked, ctrl-] t takes it; ctrl-] ? lists these keys. What \
                  happens to it is told in the terminal's title."
)]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Watch only: nothing that is typed reaches the session
    #[arg(long)]
    observe: bool,
    /// Show the newest state instead of every byte, at most so many times a second
    #[arg(long)]
    latest: bool,
    /// How many times a second, 1 to 60; means --latest [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: Option<u32>,
    /// What detaches, after which `d` follows: `^]`, `^a` or one character
    #[arg(long, default_value = "^]", value_name = "KEY")]
    escape: Keystroke,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    let view = View {
        session: args.session,
        mode: if args.observe {
            v1::AttachMode::Observer
        } else {
            v1::AttachMode::Operator
        },
        escape: args.escape,
        at_end: AtEnd::Detach,
        latest: args.fps.or(args.latest.then_some(0)),
        from_start: false,
    };
    attach(context, &connection, view).await
}

/// What to attach to, and how.
#[derive(Debug)]
pub(super) struct View {
    session: String,
    mode: v1::AttachMode,
    escape: Keystroke,
    at_end: AtEnd,
    /// See [`Options::latest`].
    latest: Option<u32>,
    from_start: bool,
}

impl View {
    /// To type into a session that was just made, and see all of it: it may have ended already.
    pub(super) fn of_new(session: &str, escape: Keystroke, at_end: AtEnd) -> Self {
        Self {
            session: session.to_owned(),
            mode: v1::AttachMode::Operator,
            escape,
            at_end,
            latest: None,
            from_start: true,
        }
    }
}

/// Attaches this terminal until its user detaches or the session ends; the session's exit code.
///
/// Without a terminal (tests, pipes) bytes are passed all the same, and the end of stdin detaches.
pub(super) async fn attach(
    context: &Context,
    connection: &Connection,
    view: View,
) -> Result<u8, Failure> {
    let operator = view.mode == v1::AttachMode::Operator;
    let options = Options {
        session: view.session,
        mode: view.mode,
        size: terminal_size().filter(|_| operator),
        latest: view.latest,
        from_start: view.from_start,
    };
    let attachment = cmdop_client::attach::open(connection, options).await?;
    context.warn_of_clock(connection);
    let session = attachment.session().clone();
    let typing = (operator, view.at_end);
    let outcome = pass(context, attachment, view.escape, typing).await?;
    finish(context, &session, outcome)
}

async fn pass(
    context: &Context,
    attachment: Attachment,
    escape: Keystroke,
    typing: (bool, AtEnd),
) -> Result<Outcome, Failure> {
    let broken =
        |error: std::io::Error| Failure::internal(format!("cannot use the terminal: {error}"));
    let raw = if std::io::stdin().is_terminal() {
        Some(terminal::Raw::enter().map_err(broken)?)
    } else {
        None
    };
    let stdin = Stdin::open().map_err(broken)?;
    let stdout = Stdout::open().map_err(broken)?;
    let notices = std::io::stderr().is_terminal() && !context.globals.quiet;
    let outcome = Pass::new(attachment, stdout, escape, typing, notices)
        .run(stdin, raw.as_ref())
        .await;
    drop(raw);
    outcome.map_err(broken)
}

/// Says how it ended, on a sane screen.
fn finish(context: &Context, session: &v1::Session, outcome: Outcome) -> Result<u8, Failure> {
    match outcome {
        Outcome::Detached => {
            context.progress(&format!("[detached from {}]", title(session)));
            Ok(0)
        }
        Outcome::Cut => Err(Failure::timeout(format!(
            "detached from {}, which did not take all that was typed",
            title(session)
        ))
        .hint("look with `cmdop capture` what has arrived")),
        Outcome::Ended(session) => {
            let how = exit(&session);
            let reason = cmdop_proto::text::shown(&session.reason, 256);
            let how = if how.is_empty() { reason } else { how };
            context.progress(&format!("[session {} ended: {how}]", title(&session)));
            Ok(exit_code(&session))
        }
        Outcome::Failed(error) => Err(error.into()),
        Outcome::Killed(signal) => Ok(128 + signal),
    }
}

/// The session's exit code as a shell would say it. One that nobody saw is no success.
pub(super) fn exit_code(session: &v1::Session) -> u8 {
    match session.exit.and_then(|exit| exit.outcome) {
        Some(v1::exit::Outcome::Code(code)) => code as u8,
        Some(v1::exit::Outcome::Signal(signal)) => (128 + signal.min(127)) as u8,
        None => 69,
    }
}

/// A terminal's size as a session can have it.
pub(super) fn clamped(rows: u16, cols: u16) -> Option<Size> {
    (rows > 0 && cols > 0).then(|| Size::clamped(rows, cols))
}
