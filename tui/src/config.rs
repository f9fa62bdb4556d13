//! What the user configured of the full-screen client: `tui.toml` in the client's directory.
//!
//! Whatever is not in the file is as it is without one. A file with a mistake is refused as a whole,
//! with the place of it: half a configuration would surprise more.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::keymap::tables::{self, Wanted};
use crate::keymap::{Chord, Keymap};
use crate::predict;

/// The name of the file.
pub const FILE: &str = "tui.toml";

/// A configuration larger than this is none.
const MAX_FILE: u64 = 1 << 20;

/// What to draw frames with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Borders {
    /// Box-drawing characters.
    #[default]
    Lines,
    /// `+`, `-` and `|`, for terminals and fonts that have nothing else.
    Ascii,
}

/// The keys of copy mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyKeys {
    /// As in vi.
    #[default]
    Vi,
    /// As in Emacs.
    Emacs,
}

/// Whether what is typed is shown before the program has echoed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// Never.
    Off,
    /// Always, but where the terminal does not echo.
    On,
    /// Where the way there and back takes long enough to be felt.
    #[default]
    Auto,
}

/// Whether what is copied goes to the clipboard of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clipboard {
    /// Through the terminal (OSC 52), or a program of this machine where there is one for it.
    #[default]
    Auto,
    /// Through the terminal only.
    Terminal,
    /// It stays in here.
    Off,
}

/// The file, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    theme: Option<String>,
    prefix: Vec<String>,
    mouse: bool,
    borders: Borders,
    copy_keys: CopyKeys,
    prediction: Prediction,
    clipboard: Clipboard,
    program_clipboard: bool,
    restore: bool,
    transfer_limit: Option<u64>,
    which_key_ms: u64,
    repeat_ms: u64,
    keys: Wanted,
}

impl Default for File {
    fn default() -> Self {
        Self {
            theme: None,
            prefix: Vec::new(),
            mouse: true,
            borders: Borders::default(),
            copy_keys: CopyKeys::default(),
            prediction: Prediction::default(),
            clipboard: Clipboard::default(),
            program_clipboard: true,
            restore: true,
            transfer_limit: None,
            which_key_ms: 300,
            repeat_ms: 500,
            keys: Wanted::default(),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The theme's name, or the path of a theme's file; `None`: the default one.
    pub theme: Option<String>,
    /// The keys.
    pub keymap: Keymap,
    /// Whether the mouse is ours. Without it the terminal selects text itself.
    pub mouse: bool,
    /// What frames are drawn with.
    pub borders: Borders,
    /// The keys of copy mode.
    pub copy_keys: CopyKeys,
    /// Whether what is typed is shown at once.
    pub prediction: Prediction,
    /// Where copied text goes.
    pub clipboard: Clipboard,
    /// Whether programs may set the clipboard.
    pub program_clipboard: bool,
    /// Whether the panes of the last time are opened again.
    pub restore: bool,
    /// What a transfer of files may take, in bytes a second; `None`: as fast as it goes.
    pub transfer_limit: Option<u64>,
    /// How long after a prefix its keys are shown.
    pub which_key: Duration,
    /// How long a key that repeats needs no prefix.
    pub repeat: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self::of(File::default()).expect("a test reads the empty file")
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Error {
    path: PathBuf,
    source: Why,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("is larger than {} KiB", MAX_FILE >> 10)]
    Large,
    #[error("{0}")]
    Toml(#[from] Box<toml::de::Error>),
    #[error("prefix: {0}")]
    Prefix(#[from] crate::keymap::chord::NoKey),
    #[error("{0}")]
    Keys(#[from] tables::Error),
}

impl Config {
    /// What the file in this directory says; without one, the defaults.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let text = match std::fs::metadata(&path) {
            Ok(found) if found.len() > MAX_FILE => Err(Why::Large),
            Ok(_) => std::fs::read_to_string(&path).map_err(Why::Read),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Why::Read(error)),
        };
        text.and_then(|text| Self::parse(&text))
            .map_err(|source| Error { path, source })
    }

    /// When keys are guessed.
    pub fn prediction(&self) -> predict::Mode {
        match self.prediction {
            Prediction::Off => predict::Mode::Off,
            Prediction::On => predict::Mode::On,
            Prediction::Auto => predict::Mode::Auto,
        }
    }

    fn parse(text: &str) -> Result<Self, Why> {
        Self::of(toml::from_str(text).map_err(Box::new)?)
    }

    fn of(file: File) -> Result<Self, Why> {
        let prefixes: Result<Vec<Chord>, _> = file.prefix.iter().map(|key| key.parse()).collect();
        let mut keymap = Keymap::default().with_prefixes(prefixes?);
        keymap.bind(&file.keys)?;
        Ok(Self {
            theme: file.theme,
            keymap,
            mouse: file.mouse,
            borders: file.borders,
            copy_keys: file.copy_keys,
            prediction: file.prediction,
            clipboard: file.clipboard,
            program_clipboard: file.program_clipboard,
            restore: file.restore,
            transfer_limit: file.transfer_limit.filter(|limit| *limit > 0),
            which_key: Duration::from_millis(file.which_key_ms),
            repeat: Duration::from_millis(file.repeat_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_everything_is_at_its_default() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::load(directory.path()).unwrap();
        assert_eq!(config, Config::default());
        assert!(config.mouse && config.restore);
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let text = "prefix = ['C-a']\nborders = 'ascii'\nprediction = 'off'\n[keys.prefix]\n'v' = 'split-right'\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.keymap.prefix().to_string(), "C-a");
        assert_eq!(config.borders, Borders::Ascii);
        assert_eq!(config.prediction, Prediction::Off);
        assert_eq!(config.which_key, Config::default().which_key);
    }

    #[test]
    fn a_mistake_is_told_with_its_file() {
        for (text, part) in [
            ("colour = 'red'", "unknown field `colour`"),
            ("prefix = ['X-x']", "`X-x` is no key"),
            (
                "[keys.prefix]\n'v' = 'spilt-right'",
                "did you mean `split-right`",
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(FILE), text).unwrap();
            let said = Config::load(directory.path()).unwrap_err().to_string();
            assert!(said.contains(FILE) && said.contains(part), "{said}");
        }
    }
}
