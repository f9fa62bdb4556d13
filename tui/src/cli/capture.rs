//! `cmdop capture`: what a session's screen shows, as tmux's capture-pane does.

use std::io::Write as _;
use std::ops::Range;

use cmdop_client::history::{Pager, Taken};
use cmdop_client::{Connection, sessions};
use cmdop_proto::limits::MAX_CAPTURE_SCROLLBACK;
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;

/// What is held of the lines above the screen: twice what an agent keeps.
const MOST: usize = 16 << 20;

/// Print what a session's screen shows
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop capture build --scrollback 100")]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Also this many lines above the screen
    #[arg(long, value_name = "LINES", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_CAPTURE_SCROLLBACK)))]
    scrollback: u32,
    /// Keep colours and attributes as escape sequences
    #[arg(long)]
    ansi: bool,
}

#[derive(Serialize)]
struct Record {
    text: String,
    rows: Option<u32>,
    cols: Option<u32>,
    offset: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let session = args.session;
    let request = v1::CaptureRequest {
        session: session.clone(),
        scrollback_lines: args.scrollback,
        ansi: args.ansi,
    };
    let connection = context.connection()?;
    let mut capture = sessions::capture(&connection, request).await?;
    let older = Older::of(&capture, args.scrollback);
    if let Some(older) = older.filter(|older| !older.numbers.is_empty()) {
        let mut text = older
            .read(context, &connection, &session, args.ansi)
            .await?;
        text.extend_from_slice(&capture.text);
        capture.text = text.into();
    }
    if context.globals.json {
        output::json(&Record {
            text: String::from_utf8_lossy(&capture.text).into_owned(),
            rows: capture.size.map(|size| size.rows),
            cols: capture.size.map(|size| size.cols),
            offset: capture.offset,
        })?;
        return Ok(0);
    }
    if args.ansi {
        // Asked for as it is: colours and all.
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&capture.text)?;
        stdout.flush()?;
    } else {
        output::print(&plain(&capture.text))?;
    }
    Ok(0)
}

/// Lines that a capture had no room for.
struct Older {
    mark: v1::HistoryMark,
    numbers: Range<u64>,
}

impl Older {
    /// Those of the `wanted` lines above the screen that the agent has and the capture lacks.
    fn of(capture: &v1::CaptureResponse, wanted: u32) -> Option<Self> {
        let mark = capture.history?;
        let end = mark.next.saturating_add(u64::from(mark.goes_on));
        let start = end.saturating_sub(wanted.into()).max(mark.first_kept);
        Some(Self {
            mark,
            numbers: start..end.saturating_sub(capture.scrollback_lines.into()),
        })
    }

    /// Reads them page by page. The program prints on meanwhile: what the agent drops in the meantime
    /// is missing, and that is said.
    async fn read(
        self,
        context: &Context,
        connection: &Connection,
        session: &str,
        ansi: bool,
    ) -> Result<Vec<u8>, Failure> {
        let mut pager = Pager::at(self.mark, MOST);
        while let Some(ask) = pager.next(self.numbers.clone()) {
            let page = sessions::history(connection, ask.of(session)).await?;
            let taken = pager.take(ask, &page);
            if taken.map_err(|error| Failure::internal(error.to_string()))? == Taken::Anew {
                context
                    .warn("the lines above were renumbered while they were read: some are missing");
                return Ok(Vec::new());
            }
        }
        let held = self.numbers.clone().filter_map(|number| pager.line(number));
        if held.clone().count() as u64 != self.numbers.end - self.numbers.start {
            context.warn("the oldest lines were dropped while they were read");
        }
        Ok(held.fold(Vec::new(), |mut text, line| {
            if ansi {
                text.extend_from_slice(line.text().as_bytes());
                text.extend_from_slice(b"\x1b[m");
            } else {
                text.extend_from_slice(line.plain().trim_end_matches(' ').as_bytes());
            }
            text.push(b'\n');
            text
        }))
    }
}

/// Text and line ends, nothing else: the agent says that it is plain, but it may be anybody's.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let kept = text
        .chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control());
    kept.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_plain_capture_holds_no_escapes() {
        assert_eq!(super::plain(b"a\n\x1b[2Jb\r\xc2\x9b"), "a\n[2Jb");
    }
}
