//! Ways to the system's clipboard: only ever into it, never out of it.
//!
//! Pure: facts about the environment come in, and what to write to the terminal or which program to run
//! comes out. A program that is remote asks through [`from_program`], which lets through what is bounded
//! and well formed; whether it may is the caller's decision.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How much text is given to a terminal by OSC 52; many cut or drop what is longer than 100 000 bytes of
/// base64, and say nothing.
pub const MAX_TERMINAL: usize = 74_000;

/// How much text is given to a program.
pub const MAX_TOOL: usize = 16 << 20;

/// How much a remote program may put into the clipboard, in bytes of text.
pub const MAX_FROM_PROGRAM: usize = 100 << 10;

/// How tmux and screen take what is meant for the terminal around them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passthrough {
    /// As it is: the terminal itself, or a multiplexer that understands OSC 52.
    #[default]
    None,
    /// tmux: `allow-passthrough` has to be on there.
    Tmux,
    /// GNU screen, in pieces that it does not cut.
    Screen,
}

/// GNU screen drops a longer string.
const SCREEN_PIECE: usize = 700;

/// What is known about where this runs. Programs are those that `PATH` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// `WAYLAND_DISPLAY` is set.
    pub has_wayland: bool,
    /// `DISPLAY` is set.
    pub has_x11: bool,
    /// `TMUX` is set.
    pub in_tmux: bool,
    /// `STY` is set: GNU screen.
    pub in_screen: bool,
    /// `SSH_CONNECTION` or `SSH_TTY` is set: a program here would reach the wrong machine's clipboard.
    pub over_ssh: bool,
    /// It is macOS.
    pub is_mac: bool,
    /// The programs of [`Tool::ALL`] that are there.
    pub tools: Vec<Tool>,
}

/// A program that puts what it reads into a clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Wayland's.
    WlCopy,
    /// X11's.
    Xclip,
    /// X11's, another one.
    Xsel,
    /// macOS'.
    Pbcopy,
    /// tmux' own buffer, and from there the terminal around it.
    Tmux,
}

impl Tool {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::WlCopy,
        Self::Xclip,
        Self::Xsel,
        Self::Pbcopy,
        Self::Tmux,
    ];

    /// What to run, with the text on its input.
    pub fn command(self) -> &'static [&'static str] {
        match self {
            Self::WlCopy => &["wl-copy"],
            Self::Xclip => &["xclip", "-in", "-selection", "clipboard"],
            Self::Xsel => &["xsel", "--input", "--clipboard"],
            Self::Pbcopy => &["pbcopy"],
            Self::Tmux => &["tmux", "load-buffer", "-w", "-"],
        }
    }

    /// Whether it stays, to serve what it was given: it must not be waited for.
    pub fn stays(self) -> bool {
        matches!(self, Self::WlCopy | Self::Xclip | Self::Xsel)
    }
}

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clipboard {
    /// To the terminal, which has the clipboard of the person in front of it.
    Terminal(Passthrough),
    /// To a program.
    Tool(Tool),
}

/// The best way there is: a program where the clipboard is this machine's, the terminal else.
pub fn choose(facts: &Facts) -> Clipboard {
    let has = |tool| facts.tools.contains(&tool);
    if facts.in_tmux && has(Tool::Tmux) {
        return Clipboard::Tool(Tool::Tmux);
    }
    let local = [
        (facts.is_mac, Tool::Pbcopy),
        (facts.has_wayland, Tool::WlCopy),
        (facts.has_x11, Tool::Xclip),
        (facts.has_x11, Tool::Xsel),
    ];
    let tool = local.into_iter().find(|(fits, tool)| *fits && has(*tool));
    match tool {
        Some((_, tool)) if !facts.over_ssh => Clipboard::Tool(tool),
        _ if facts.in_screen => Clipboard::Terminal(Passthrough::Screen),
        _ if facts.in_tmux => Clipboard::Terminal(Passthrough::Tmux),
        _ => Clipboard::Terminal(Passthrough::None),
    }
}

/// What a terminal has to be told to put `text` into its clipboard; none if it is too long for that.
pub fn sequence(text: &str, passthrough: Passthrough) -> Option<String> {
    if text.len() > MAX_TERMINAL {
        return None;
    }
    let inner = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    Some(match passthrough {
        Passthrough::None => inner,
        Passthrough::Tmux => format!("\x1bPtmux;{}\x1b\\", inner.replace('\x1b', "\x1b\x1b")),
        Passthrough::Screen => {
            // All of it is ASCII: any cut is between two characters. An escape must not end a piece.
            let pieces = inner.as_bytes().chunks(SCREEN_PIECE);
            let piece = |piece| format!("\x1bP{}\x1b\\", String::from_utf8_lossy(piece));
            pieces.map(piece).collect()
        }
    })
}

/// Why a remote program gets nothing into the clipboard.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// It asked for what is in it.
    #[error("a program may not read the clipboard")]
    Read,
    /// It is not base64, or not text.
    #[error("what the program wants to copy is no text")]
    NoText,
    /// More than [`MAX_FROM_PROGRAM`].
    #[error("what the program wants to copy is more than 100 KiB")]
    TooLong,
    /// Neither the clipboard nor the primary selection.
    #[error("the program names no clipboard that there is")]
    Elsewhere,
}

/// The text that a remote program asks to be copied (OSC 52), as the emulator gives the request; empty
/// if it wants the clipboard cleared.
pub fn from_program(selection: &str, data: &str) -> Result<String, Refused> {
    if data.trim() == "?" {
        return Err(Refused::Read);
    }
    let is_known = selection.is_empty() || selection.contains(['c', 's', 'p']);
    if !is_known {
        return Err(Refused::Elsewhere);
    }
    // Before it is decoded: four characters of base64 are three bytes.
    if data.len() > MAX_FROM_PROGRAM.div_ceil(3) * 4 {
        return Err(Refused::TooLong);
    }
    let bytes = STANDARD.decode(data).map_err(|_| Refused::NoText)?;
    if bytes.len() > MAX_FROM_PROGRAM {
        return Err(Refused::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused::NoText)?;
    // What is pasted into a shell later must not steer it, nor the terminal.
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(is_text) {
        Ok(text)
    } else {
        Err(Refused::NoText)
    }
}

#[cfg(test)]
mod hostile {
    use super::*;

    #[test]
    fn a_program_cannot_put_controls_into_the_clipboard() {
        let asks = |text: &str| from_program("c", &STANDARD.encode(text));
        assert_eq!(asks("two\nlines\t").unwrap(), "two\nlines\t");
        assert!(asks("\x1b[201~rm -rf /\n").is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = Facts {
            tools: Tool::ALL.to_vec(),
            ..Facts::default()
        };
        change(&mut facts);
        facts
    }

    #[test]
    fn the_clipboard_of_the_person_is_chosen() {
        for (facts, expected) in [
            (facts(|_| {}), Clipboard::Terminal(Passthrough::None)),
            (facts(|f| f.is_mac = true), Clipboard::Tool(Tool::Pbcopy)),
            (facts(|f| f.has_x11 = true), Clipboard::Tool(Tool::Xclip)),
            (
                facts(|f| (f.has_x11, f.has_wayland) = (true, true)),
                Clipboard::Tool(Tool::WlCopy),
            ),
            (
                facts(|f| (f.has_x11, f.over_ssh) = (true, true)),
                Clipboard::Terminal(Passthrough::None),
            ),
            (
                facts(|f| (f.in_tmux, f.over_ssh) = (true, true)),
                Clipboard::Tool(Tool::Tmux),
            ),
            (
                facts(|f| (f.in_tmux, f.tools) = (true, Vec::new())),
                Clipboard::Terminal(Passthrough::Tmux),
            ),
            (
                facts(|f| f.in_screen = true),
                Clipboard::Terminal(Passthrough::Screen),
            ),
        ] {
            assert_eq!(choose(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_terminal_gets_base64_and_nothing_else() {
        assert_eq!(
            sequence("hi\x1b", Passthrough::None).unwrap(),
            "\x1b]52;c;aGkb\x07"
        );
        assert_eq!(
            sequence("hi", Passthrough::Tmux).unwrap(),
            "\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"
        );
        assert_eq!(
            sequence(&"x".repeat(MAX_TERMINAL + 1), Passthrough::None),
            None
        );
    }

    #[test]
    fn screen_gets_pieces_that_join_to_the_whole() {
        let text = "x".repeat(3000);
        let sequence_ = sequence(&text, Passthrough::Screen).unwrap();
        let pieces: Vec<_> = sequence_
            .split("\x1b\\")
            .filter(|piece| !piece.is_empty())
            .collect();
        assert!(pieces.len() > 4);
        let joined: String = pieces
            .iter()
            .map(|piece| {
                assert!(piece.len() <= SCREEN_PIECE + 2);
                piece.strip_prefix("\x1bP").unwrap()
            })
            .collect();
        assert_eq!(joined, sequence(&text, Passthrough::None).unwrap());
    }

    #[test]
    fn a_program_may_write_bounded_text_and_read_nothing() {
        assert_eq!(from_program("c", "aGk="), Ok("hi".into()));
        assert_eq!(from_program("", ""), Ok(String::new()));
        assert_eq!(from_program("c", "?"), Err(Refused::Read));
        assert_eq!(from_program("7", "aGk="), Err(Refused::Elsewhere));
        assert_eq!(from_program("c", "aGk"), Err(Refused::NoText));
        assert_eq!(from_program("c", "/w=="), Err(Refused::NoText));
        let most = STANDARD.encode("x".repeat(MAX_FROM_PROGRAM));
        assert_eq!(from_program("c", &most).unwrap().len(), MAX_FROM_PROGRAM);
        let more = STANDARD.encode("x".repeat(MAX_FROM_PROGRAM + 1));
        assert_eq!(from_program("c", &more), Err(Refused::TooLong));
        assert_eq!(
            from_program("c", &"A".repeat(1 << 20)),
            Err(Refused::TooLong)
        );
    }
}
