//! The one loop of the full-screen client: waits for keys, servers and timers, tells the model, does
//! what it wants, and draws.
//!
//! It draws at the leading edge: the first change at once, floods at most 60 times a second, a key
//! and its echo always at once. It never waits for the network or for the user's terminal, and when
//! nothing happens it sleeps.

mod attachments;
mod clipboard;
mod effects;
mod output;
mod restore;
mod screen;
mod signals;

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use cmdop_client::follow::Follow;
use cmdop_client::{Connection, machines, sessions};
use cmdop_proto::{Refusal, v1};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use ratatui::layout::Size;
use tokio::time::Instant;

use crate::app::tour::Tour;
use crate::app::{Effect, Model, Msg, Now, Redraw, Saved, Setup, update};
use crate::browser::Bookmarks;
use crate::config::{self, Config};
use crate::copy::clipboard::{Clipboard, Facts, choose, sequence};
use crate::pane::Decoration;
use crate::theme::{Depth, NotRead, Reload, Theme};
use effects::Effects;
pub use restore::Terminal;
use screen::Screen;
use signals::{Signal, Signals};

/// The shortest time between two frames that nobody waits for.
const FRAME: Duration = Duration::from_micros(16_667);

/// Messages are taken in for at most this long before it is looked whether to draw: a flood must not
/// hold up a key's echo.
const BATCH: Duration = Duration::from_millis(2);

/// How often a theme's file is looked at.
const LOOK_AT_THEME: Duration = Duration::from_secs(1);

/// How it looks, as the environment says.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// A theme's name; `None`: that of the configuration, or the default one.
    pub theme: Option<String>,
    /// The colours that the terminal has.
    pub depth: Depth,
    /// What it has beyond plain underlines.
    pub decoration: Decoration,
    /// What else the terminal can do.
    pub terminal: Terminal,
    /// Where copied text can go.
    pub clipboard: Facts,
}

impl Look {
    /// What the environment says: `CMDOP_THEME`, `NO_COLOR`, `COLORTERM`, `TERM`; `variable` looks one up.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let theme = variable("CMDOP_THEME").filter(|name| !name.is_empty());
        Self {
            theme,
            terminal: Terminal::of_environment(&variable),
            clipboard: clipboard::facts(&variable),
            decoration: Decoration::of_environment(&variable),
            depth: Depth::of_environment(variable),
        }
    }
}

/// Why the full screen could not be had, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of a theme that there is not.
    #[error("there is no theme `{name}`; there are {known}")]
    Theme {
        /// What was asked for.
        name: String,
        /// Which there are.
        known: String,
    },
    /// A theme's file.
    #[error(transparent)]
    ThemeFile(#[from] NotRead),
    /// The user's configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The terminal.
    #[error("cannot use this terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// How the client begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the list of machines and sessions.
    List,
    /// With a shell, where there is one machine and no session yet.
    Shell,
}

/// Shows the machines and sessions of a profile until the user leaves, and returns the exit code:
/// 0, or 128 and the number of the signal that ended it. Sessions live on.
///
/// Takes over the terminal that the process stands on, and gives it back on every way out, panics
/// and signals included.
pub async fn start(
    connection: Connection,
    directory: &Path,
    look: &Look,
    start: Start,
) -> Result<u8, Error> {
    let config = Config::load(directory)?;
    let mut theme_file = None;
    let theme = theme(look, &config, directory, &mut theme_file)?;
    let mut signals = Signals::new()?;
    let (columns, rows) = crossterm::terminal::size()?;
    let profile = connection.profile().name.clone();
    let layout_file = directory.join("layouts").join(format!("{profile}.json"));
    let bookmarks_file = directory.join("bookmarks").join(format!("{profile}.json"));
    let setup = Setup {
        bookmarks: bookmarks(&bookmarks_file),
        saved: saved(&layout_file).filter(|_| config.restore),
        profile,
        theme,
        depth: look.depth,
        decoration: look.decoration,
        screen: Size::new(columns, rows),
        first_shell: start == Start::Shell,
        config,
    };
    let screen = Screen::enter(setup.screen, look.terminal.with_mouse(setup.config.mouse))?;
    let mut running = Running {
        model: Model::new(setup, now()),
        machines: Some(machines::watch(&connection)),
        sessions: Some(sessions::watch(&connection)),
        effects: Effects::new(connection, layout_file, bookmarks_file),
        keys: EventStream::new(),
        screen,
        redraw: Redraw::Now,
        last_frame: None,
        is_leaving: false,
        directory: directory.to_owned(),
        look: look.clone(),
        theme_file,
    };
    if is_first_start(directory) {
        running.model.tour = Some(Tour::default());
    }
    let result = running.run(&mut signals).await;
    running.screen.leave().await;
    running.effects.finish().await;
    result.map_err(Error::from)
}

/// Whether nobody was here before; from now on somebody was.
fn is_first_start(directory: &Path) -> bool {
    let mark = directory.join("toured");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(mark);
    file.is_ok()
}

/// The panes of the last time; none if there was no last time, or nothing of it can be read.
fn saved(file: &Path) -> Option<Saved> {
    Saved::read(&cmdop_service::private_file::read(file).ok()?)
}

/// The bookmarks; none if they were never kept, or nothing of them can be read.
fn bookmarks(file: &Path) -> Bookmarks {
    let text = cmdop_service::private_file::read(file);
    text.map_or_else(|_| Bookmarks::default(), |text| Bookmarks::read(&text))
}

/// The environment's theme, else that of the configuration: the name of one, or a file, looked for from
/// the client's directory.
fn theme(
    look: &Look,
    config: &Config,
    directory: &Path,
    file: &mut Option<Reload>,
) -> Result<Theme, Error> {
    *file = None;
    let Some(name) = look.theme.as_ref().or(config.theme.as_ref()) else {
        return Ok(Theme::standard(look.depth));
    };
    if let Some(theme) = Theme::named(name, look.depth) {
        return Ok(theme);
    }
    if Path::new(name)
        .extension()
        .is_some_and(|kind| kind == "toml")
    {
        let mut reload = Reload::new(directory.join(name), look.depth);
        if let Some(read) = reload.look() {
            let theme = read?;
            *file = Some(reload);
            return Ok(theme);
        }
    }
    Err(Error::Theme {
        name: cmdop_proto::text::shown(name, 64),
        known: Theme::names().collect::<Vec<_>>().join(", "),
    })
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall_ms: cmdop_service::now_ms(),
    }
}

struct Running {
    model: Model,
    machines: Option<Follow<v1::Machine>>,
    sessions: Option<Follow<v1::Session>>,
    effects: Effects,
    keys: EventStream,
    screen: Screen,
    redraw: Redraw,
    last_frame: Option<Instant>,
    is_leaving: bool,
    directory: PathBuf,
    look: Look,
    /// A theme of the user's own, read again when it changes.
    theme_file: Option<Reload>,
}

/// What woke the loop.
#[allow(
    clippy::large_enum_variant,
    reason = "it is handed on at once; a box would cost every message"
)]
enum Woken {
    By(Msg),
    Signal(Signal),
    Written(std::io::Result<()>),
    Key(Option<std::io::Result<Event>>),
    DrawNow,
}

impl Running {
    async fn run(&mut self, signals: &mut Signals) -> std::io::Result<u8> {
        while !self.is_leaving {
            self.draw_if_due()?;
            match self.wait(signals).await {
                Woken::By(message) => self.tell(message)?,
                Woken::Key(event) => self.key(event)?,
                Woken::Written(result) => result?,
                Woken::DrawNow => {}
                Woken::Signal(Signal::Continue) => self.back_from_the_shell()?,
                Woken::Signal(Signal::Leave(number)) => return Ok(128 + number),
            }
            self.take_what_is_ready().await?;
        }
        Ok(0)
    }

    /// Every branch is cancel-safe: each only takes one whole item, or waits.
    async fn wait(&mut self, signals: &mut Signals) -> Woken {
        let wake = self.model.next_wake();
        let due = if self.screen.is_busy() {
            None
        } else {
            self.draw_at(Instant::now())
        };
        tokio::select! {
            biased;
            signal = signals.next() => Woken::Signal(signal),
            event = self.keys.next() => Woken::Key(event),
            written = self.screen.written() => Woken::Written(written),
            () = until(due) => Woken::DrawNow,
            message = self.effects.next() => Woken::By(message),
            message = change(&mut self.machines, Msg::Machines) => Woken::By(message),
            message = change(&mut self.sessions, Msg::Sessions) => Woken::By(message),
            () = until(wake) => Woken::By(Msg::Tick),
            read = changed_theme(&mut self.theme_file) => Woken::By(read),
        }
    }

    /// Keys first, then what servers sent, for a short while: then one frame shows all of it.
    async fn take_what_is_ready(&mut self) -> std::io::Result<()> {
        let stop = Instant::now() + BATCH;
        while !self.is_leaving && Instant::now() < stop {
            if let Poll::Ready(event) = pressed(&mut self.keys).await {
                self.key(event)?;
            } else if let Some(message) = self.effects.try_next() {
                self.tell(message)?;
            } else if let Some(message) = ready(&mut self.machines, Msg::Machines) {
                self.tell(message)?;
            } else if let Some(message) = ready(&mut self.sessions, Msg::Sessions) {
                self.tell(message)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    fn key(&mut self, event: Option<std::io::Result<Event>>) -> std::io::Result<()> {
        let gone = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "its input has ended");
        match event.ok_or_else(gone)?? {
            Event::Key(key) => self.tell(Msg::Key(key)),
            Event::Paste(text) => self.tell(Msg::Paste(text)),
            Event::Resize(columns, rows) => self.tell(Msg::Resized(Size::new(columns, rows))),
            Event::Mouse(event) => self.tell(Msg::Mouse(event)),
            Event::FocusGained => self.tell(Msg::Focused(true)),
            Event::FocusLost => self.tell(Msg::Focused(false)),
        }
    }

    fn tell(&mut self, message: Msg) -> std::io::Result<()> {
        for effect in update(&mut self.model, message, now()) {
            match effect {
                Effect::Quit => self.is_leaving = true,
                Effect::Bell => self.screen.ring(),
                Effect::Copy(text) => self.copy(text),
                Effect::Repaint => self.screen.repaint()?,
                Effect::Reload => self.reload()?,
                effect => self.effects.run(effect),
            }
        }
        self.redraw = self.redraw.max(self.model.take_redraw());
        Ok(())
    }

    /// Puts text where the user wants copied text.
    fn copy(&mut self, text: String) {
        let way = match self.model.setup.config.clipboard {
            config::Clipboard::Off => return,
            config::Clipboard::Terminal => choose(&Facts {
                tools: Vec::new(),
                ..self.look.clipboard.clone()
            }),
            config::Clipboard::Auto => choose(&self.look.clipboard),
        };
        match way {
            Clipboard::Tool(tool) => self.effects.give(tool, text),
            Clipboard::Terminal(passthrough) => match sequence(&text, passthrough) {
                Some(sequence) => self.screen.send(sequence.as_bytes()),
                None => {
                    let what = "too much for the clipboard of the terminal: paste it with the prefix and ]";
                    self.effects.fail(Refusal::exhausted("clipboard", what));
                }
            },
        }
    }

    /// Reads the configuration again; with a mistake in it, everything stays as it is.
    fn reload(&mut self) -> std::io::Result<()> {
        let read = Config::load(&self.directory).map_err(Error::from);
        let read = read.and_then(|config| {
            let file = &mut self.theme_file;
            Ok((theme(&self.look, &config, &self.directory, file)?, config))
        });
        self.tell(match read {
            Ok((theme, config)) => Msg::Configured(Box::new((config, theme))),
            Err(error) => Msg::Failed(Refusal::invalid("bad-configuration", error.to_string())),
        })
    }

    /// When the next frame is to be drawn; `now` if at once.
    fn draw_at(&self, now: Instant) -> Option<Instant> {
        match self.redraw {
            Redraw::No => None,
            Redraw::Now => Some(now),
            Redraw::Soon => Some(self.last_frame.map_or(now, |last| last + FRAME)),
        }
    }

    /// While the terminal has not taken the last frame none is drawn: the next one will show it all.
    fn draw_if_due(&mut self) -> std::io::Result<()> {
        let now = Instant::now();
        if !self.screen.is_busy() && self.draw_at(now).is_some_and(|due| due <= now) {
            self.redraw = Redraw::No;
            self.last_frame = Some(now);
            self.screen.draw(&self.model)?;
        }
        Ok(())
    }

    /// The process was stopped and goes on; the terminal may be in any state and size.
    fn back_from_the_shell(&mut self) -> std::io::Result<()> {
        self.screen.reenter()?;
        let (columns, rows) = crossterm::terminal::size()?;
        self.tell(Msg::Resized(Size::new(columns, rows)))?;
        Ok(())
    }
}

/// A key that was pressed already. Asked with this task's own waker: the stream of keys remembers the
/// first that asks, and would wake nobody for the next key if that were a dummy.
async fn pressed(keys: &mut EventStream) -> Poll<Option<std::io::Result<Event>>> {
    std::future::poll_fn(|context| Poll::Ready(keys.poll_next_unpin(context))).await
}

/// The theme of the user's own changed. Looked for now and then, and only where there is one.
async fn changed_theme(file: &mut Option<Reload>) -> Msg {
    let Some(file) = file else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LOOK_AT_THEME).await;
        match file.look() {
            Some(Ok(theme)) => return Msg::Themed(Box::new(theme)),
            Some(Err(error)) => {
                let why = Refusal::invalid("bad-theme", error.to_string());
                return Msg::Failed(why);
            }
            None => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The next change of a followed list; one that has ended is never ready again.
async fn change<T: Send + 'static>(
    list: &mut Option<Follow<T>>,
    message: impl Fn(cmdop_client::follow::Change<T>) -> Msg,
) -> Msg {
    if let Some(follow) = list {
        if let Some(change) = follow.next().await {
            return message(change);
        }
        *list = None;
    }
    std::future::pending().await
}

fn ready<T: Send + 'static>(
    list: &mut Option<Follow<T>>,
    message: impl Fn(cmdop_client::follow::Change<T>) -> Msg,
) -> Option<Msg> {
    list.as_mut()?.try_next().map(message)
}
