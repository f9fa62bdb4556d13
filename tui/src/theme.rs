//! What the program's own parts look like: semantic roles, filled in by themes/*.toml.
//!
//! The colours of a remote program are its own and never themed; [`Depth`] only brings them, and
//! the theme's, down to what the terminal can show.

mod depth;
mod file;
mod reload;
mod role;

pub use depth::Depth;
pub use file::Error;
pub use reload::{NotRead, Reload};
pub use role::Role;

use ratatui::style::{Color, Style};

/// The themes that come with the program, by name.
const BUILT_IN: [(&str, &str); 7] = [
    ("sixteen", include_str!("../../themes/sixteen.toml")),
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../themes/high-contrast.toml"),
    ),
    (
        "catppuccin-mocha",
        include_str!("../../themes/catppuccin-mocha.toml"),
    ),
    (
        "gruvbox-dark",
        include_str!("../../themes/gruvbox-dark.toml"),
    ),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// A style for every role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    styles: [Style; Role::ALL.len()],
    background: Option<Color>,
}

impl Theme {
    /// The names of the themes that come with the program; the first is the default.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The theme of that name, in the colours that the terminal has. `None` if there is no such theme.
    ///
    /// Without colours (`NO_COLOR`) it is always `mono`; what remote programs print keeps its colours.
    pub fn named(name: &str, depth: Depth) -> Option<Self> {
        let name = if depth == Depth::None { "mono" } else { name };
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        let theme = Self::parse(text).expect("a test parses every built-in theme");
        Some(theme.at(depth))
    }

    /// The default theme.
    pub fn standard(depth: Depth) -> Self {
        Self::named(BUILT_IN[0].0, depth).expect("it is in the list")
    }

    /// Reads a theme file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (styles, background) = file::parse(text)?;
        Ok(Self { styles, background })
    }

    /// Reads a theme file of the user's, in the colours that the terminal has. Without colours it is checked
    /// all the same, and `mono` is what comes of it.
    pub fn custom(text: &str, depth: Depth) -> Result<Self, Error> {
        let theme = Self::parse(text)?;
        Ok(match depth {
            Depth::None => Self::named("mono", depth).expect("it is in the list"),
            _ => theme.at(depth),
        })
    }

    /// The background that the theme is made for; it is not painted. `None`: whatever the terminal has.
    pub fn background(&self) -> Option<Color> {
        self.background
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    fn at(mut self, depth: Depth) -> Self {
        for style in &mut self.styles {
            style.fg = style.fg.map(|color| depth.nearest(color));
            style.bg = style.bg.map(|color| depth.nearest(color));
        }
        self.background = self.background.map(|color| depth.nearest(color));
        self
    }
}

#[cfg(test)]
mod tests;
