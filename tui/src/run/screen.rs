//! The user's terminal as something to draw on: each frame is one write, between the marks of a
//! synchronised update, and a frame that changes nothing is none.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;

use cmdop_emulator::{CursorShape, MouseMode};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::output::Output;
use super::restore::{MOTION, NO_MOTION, TakenOver, Terminal as Kind};
use crate::app::{Model, Page};
use crate::frame::{BEGIN, END, FrameWriter};
use crate::pane::Pane;
use crate::view::view;

/// See the module.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<FrameWriter>>,
    writer: FrameWriter,
    output: Output,
    size: Size,
    /// The frame before: the same bytes again change nothing, as only what changed is drawn.
    last: Vec<u8>,
    rings: bool,
    /// Goes out before the next frame: what is copied.
    before_frame: Vec<u8>,
    /// The cursor's look that the terminal was told last.
    shape: CursorShape,
    /// The terminal tells moves without a button.
    tells_motion: bool,
    kind: Kind,
    taken_over: Option<TakenOver>,
}

impl Screen {
    /// Takes over the terminal on stdout.
    pub(super) fn enter(size: Size, kind: Kind) -> io::Result<Self> {
        let taken_over = TakenOver::new(kind)?;
        // Without the buffer of `io::stdout`, which would cut a frame in two.
        let terminal = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut screen = Self::over(terminal, size)?;
        screen.taken_over = Some(taken_over);
        screen.kind = kind;
        Ok(screen)
    }

    /// Draws on anything that takes bytes.
    fn over(terminal: impl Write + Send + 'static, size: Size) -> io::Result<Self> {
        // NO_COLOR is the theme's business: left to the drawing library it would take away weight and
        // reverse too, and the colours of remote programs.
        crossterm::style::force_color_output(true);
        let writer = FrameWriter::default();
        let backend = CrosstermBackend::new(writer.clone());
        let viewport = Viewport::Fixed(Rect::from((ratatui::layout::Position::ORIGIN, size)));
        let terminal_options = TerminalOptions { viewport };
        Ok(Self {
            terminal: Terminal::with_options(backend, terminal_options)?,
            writer,
            output: Output::new(terminal)?,
            size,
            last: Vec::new(),
            rings: false,
            before_frame: Vec::new(),
            shape: CursorShape::Default,
            tells_motion: false,
            kind: Kind::default(),
            taken_over: None,
        })
    }

    /// Whether the last frame is still on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.output.is_busy()
    }

    /// The last frame is written. Cancel-safe.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        self.output.written().await
    }

    /// Rings with the next frame.
    pub(super) fn ring(&mut self) {
        self.rings = true;
    }

    /// Sends this with the next frame.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.before_frame.extend_from_slice(bytes);
    }

    /// The cursor's look, if the terminal has to be told: that of the focused program.
    fn shape(&mut self, model: &Model) -> &'static [u8] {
        let has_keys = model.page == Page::Tabs && model.overlay.is_none();
        let pane = model.focused_pane().filter(|_| has_keys);
        let shape = pane.map_or(CursorShape::Default, Pane::cursor_shape);
        if shape == self.shape || !self.kind.is_modern {
            return b"";
        }
        self.shape = shape;
        match shape {
            CursorShape::Default => b"\x1b[0 q",
            CursorShape::BlinkingBlock => b"\x1b[1 q",
            CursorShape::Block => b"\x1b[2 q",
            CursorShape::BlinkingUnderline => b"\x1b[3 q",
            CursorShape::Underline => b"\x1b[4 q",
            CursorShape::BlinkingBar => b"\x1b[5 q",
            CursorShape::Bar => b"\x1b[6 q",
        }
    }

    /// Whether moves of the mouse are told, if that changes: the focused program wants them without a button.
    fn motion(&mut self, model: &Model) -> &'static [u8] {
        let has_mouse = model.page == Page::Tabs && model.overlay.is_none() && self.kind.mouse;
        let pane = model.focused_pane().filter(|_| has_mouse);
        let wants = pane.is_some_and(|pane| pane.modes().mouse == MouseMode::AnyMotion);
        match (std::mem::replace(&mut self.tells_motion, wants), wants) {
            (false, true) => MOTION,
            (true, false) => NO_MOTION,
            _ => b"",
        }
    }

    /// Draws, unless nothing changed.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        if self.size != model.setup.screen {
            self.size = model.setup.screen;
            self.terminal
                .resize(Rect::from((ratatui::layout::Position::ORIGIN, self.size)))?;
        }
        self.terminal.draw(|frame| view(model, frame))?;
        let drawn = self.writer.take();
        let rings = std::mem::take(&mut self.rings);
        let before = std::mem::take(&mut self.before_frame);
        let (shape, motion) = (self.shape(model), self.motion(model));
        let is_same = drawn == self.last && before.is_empty();
        if is_same && !rings && shape.is_empty() && motion.is_empty() {
            return Ok(());
        }
        let bell: &[u8] = if rings { b"\x07" } else { b"" };
        let (begin, end): (&[u8], &[u8]) = if self.kind.is_modern {
            (BEGIN, END)
        } else {
            (b"", b"")
        };
        let frame = [before.as_slice(), begin, &drawn, shape, motion, bell, end].concat();
        self.last = drawn;
        self.output.send(frame)
    }

    /// The terminal is in an unknown state: everything is drawn anew.
    pub(super) fn reenter(&mut self) -> io::Result<()> {
        if let Some(taken_over) = &self.taken_over {
            taken_over.again()?;
        }
        self.shape = CursorShape::Default;
        self.tells_motion = false;
        self.repaint()
    }

    /// Something else wrote on the terminal: everything is drawn anew.
    pub(super) fn repaint(&mut self) -> io::Result<()> {
        self.last.clear();
        // `Terminal::clear` would ask the terminal where its cursor is, and take the keys that are
        // typed meanwhile for the answer.
        self.writer.write_all(b"\x1b[m\x1b[2J")?;
        self.terminal
            .resize(Rect::from((ratatui::layout::Position::ORIGIN, self.size)))
    }

    /// Gives the terminal back.
    pub(super) async fn leave(&mut self) {
        self.output.finish(self.kind.leave().to_vec()).await;
        if let Some(taken_over) = self.taken_over.take() {
            taken_over.has_left();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::app::{Msg, Now, Setup, update};
    use crate::theme::{Depth, Theme};

    /// Tells each write.
    struct Writes(mpsc::Sender<Vec<u8>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn model(size: Size) -> (Model, Now) {
        let theme = Theme::standard(Depth::None);
        let setup = Setup {
            profile: "p".into(),
            theme,
            depth: Depth::Palette,
            decoration: crate::pane::Decoration::Plain,
            screen: size,
            first_shell: false,
            config: crate::config::Config::default(),
            saved: None,
            bookmarks: crate::browser::Bookmarks::default(),
        };
        let now = Now {
            instant: tokio::time::Instant::now(),
            wall_ms: 0,
        };
        (Model::new(setup, now), now)
    }

    #[tokio::test]
    async fn a_frame_is_one_write_and_one_without_change_is_none() {
        let size = Size::new(60, 10);
        let (sender, writes) = mpsc::channel();
        let mut screen = Screen::over(Writes(sender), size).unwrap();
        let (mut model, now) = model(size);
        screen.draw(&model).unwrap();
        screen.written().await.unwrap();
        let first = writes.recv().unwrap();
        assert!(first.starts_with(BEGIN) && first.ends_with(END));
        assert!(writes.try_recv().is_err(), "the whole frame is one write");
        for _ in 0..3 {
            screen.draw(&model).unwrap();
            if screen.is_busy() {
                // Only the cursor's state may follow, once.
                screen.written().await.unwrap();
                assert!(writes.recv().unwrap().len() < 60);
            }
        }
        screen.draw(&model).unwrap();
        assert!(!screen.is_busy(), "nothing changed, so nothing is written");
        let help = crossterm::event::KeyCode::Char('?').into();
        update(&mut model, Msg::Key(help), now);
        screen.draw(&model).unwrap();
        screen.written().await.unwrap();
        assert!(writes.recv().unwrap().len() > 60);
    }

    #[tokio::test]
    async fn the_mouse_tells_its_moves_while_the_focused_program_wants_them() {
        use crate::testing::Client;
        let (sender, writes) = mpsc::channel();
        let mut client = Client::new(60, 10).with_fleet().with_build();
        let mut screen = Screen::over(Writes(sender), Size::new(60, 10)).unwrap();
        let mut frame = async |client: &Client| {
            screen.draw(&client.model).unwrap();
            screen.written().await.unwrap();
            writes.recv().unwrap()
        };
        let holds = |frame: &[u8], what: &[u8]| frame.windows(what.len()).any(|part| part == what);
        assert!(!holds(&frame(&client).await, MOTION));
        client.prints("\x1b[?1003h one");
        assert!(holds(&frame(&client).await, MOTION));
        client.prints("two");
        assert!(!holds(&frame(&client).await, MOTION));
        client.chord("C-b");
        client.chord("?");
        assert!(holds(&frame(&client).await, NO_MOTION));
    }

    #[tokio::test]
    async fn a_new_size_is_drawn_whole() {
        let (sender, writes) = mpsc::channel();
        let (mut model, now) = model(Size::new(60, 10));
        let mut screen = Screen::over(Writes(sender), Size::new(60, 10)).unwrap();
        screen.draw(&model).unwrap();
        screen.written().await.unwrap();
        writes.recv().unwrap();
        update(&mut model, Msg::Resized(Size::new(20, 5)), now);
        screen.draw(&model).unwrap();
        screen.written().await.unwrap();
        let mut shown = cmdop_emulator::Emulator::new(5, 20, cmdop_emulator::Options::default());
        shown.feed(&writes.recv().unwrap());
        let row = |row| {
            (0..20)
                .filter_map(|col| shown.cell(row, col))
                .map(|c| c.text)
                .collect::<String>()
        };
        assert!(
            row(0).starts_with('┌') && row(3).starts_with('└'),
            "{:?}",
            row(0)
        );
        assert!(row(4).contains("FLEET"), "{:?}", row(4));
    }
}
