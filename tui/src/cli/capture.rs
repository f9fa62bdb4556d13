//! `cmdop capture`: what a session's screen shows, as tmux's capture-pane does.

use std::io::Write as _;

use cmdop_client::sessions;
use cmdop_proto::limits::MAX_CAPTURE_SCROLLBACK;
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;

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
    let request = v1::CaptureRequest {
        session: args.session,
        scrollback_lines: args.scrollback,
        ansi: args.ansi,
    };
    let capture = sessions::capture(&context.connection()?, request).await?;
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
