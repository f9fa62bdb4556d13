//! What the program's own parts look like: semantic roles, filled in by themes/*.toml.
//!
//! The colours of a remote program are its own and never themed; [`Depth`] only brings them, and
//! the theme's, down to what the terminal can show.

mod depth;
mod file;
mod role;

pub use depth::Depth;
pub use file::Error;
pub use role::Role;

use ratatui::style::Style;

/// The themes that come with the program, by name.
const BUILT_IN: [(&str, &str); 5] = [
    ("sixteen", include_str!("../../themes/sixteen.toml")),
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../themes/high-contrast.toml"),
    ),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// A style for every role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    styles: [Style; Role::ALL.len()],
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
        Ok(Self {
            styles: file::parse(text)?,
        })
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
        self
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Modifier};

    use super::*;

    #[test]
    fn every_built_in_theme_parses_and_styles_every_role() {
        for (name, text) in BUILT_IN {
            Theme::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn every_theme_file_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../themes");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let mut names: Vec<_> = Theme::names().map(str::to_owned).collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
    }

    fn colors(theme: &Theme) -> impl Iterator<Item = Color> {
        theme
            .styles
            .iter()
            .flat_map(|style| [style.fg, style.bg])
            .flatten()
    }

    #[test]
    fn without_colours_no_theme_has_any() {
        for name in Theme::names() {
            let theme = Theme::named(name, Depth::None).unwrap();
            assert_eq!(colors(&theme).next(), None, "{name}");
        }
    }

    #[test]
    fn sixteen_uses_nothing_but_the_sixteen() {
        let theme = Theme::standard(Depth::True);
        let beyond = |color: &Color| matches!(color, Color::Rgb(..) | Color::Indexed(16..));
        assert_eq!(colors(&theme).find(beyond), None);
    }

    #[test]
    fn a_selection_is_told_apart_without_colour() {
        let mono = Theme::named("mono", Depth::True).unwrap();
        let selected = mono.style(Role::Selected);
        assert!(selected.add_modifier.contains(Modifier::REVERSED));
        assert_ne!(selected, mono.style(Role::SelectedUnfocused));
    }

    #[test]
    fn a_theme_that_does_not_exist_is_none() {
        assert_eq!(Theme::named("neon", Depth::True), None);
    }
}
