//! The form of a theme file: a palette of named colours, a style for each role, and the background that
//! they were chosen for.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::Role;

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, an unknown role or an unknown attribute.
    #[error("the theme is not readable: {0}")]
    Toml(#[from] toml::de::Error),
    /// A role without a style.
    #[error("the theme gives the role {0:?} no style")]
    Missing(Role),
    /// Neither a name nor a number of a colour.
    #[error(
        "`{0}` is no colour: give a name of the palette, one of the sixteen (`red`, `bright-red`), \
         a number from 0 to 255, `#rrggbb`, or `default`"
    )]
    Color(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    background: Option<String>,
    #[serde(default)]
    palette: BTreeMap<String, String>,
    roles: BTreeMap<Role, Look>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of its own in the file"
)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    reverse: bool,
}

/// A style for every role, and the background that they are made for; `None`: whatever the terminal has.
pub(super) type Parsed = ([Style; Role::ALL.len()], Option<Color>);

pub(super) fn parse(text: &str) -> Result<Parsed, Error> {
    let file: File = toml::from_str(text)?;
    let background = file.background.as_ref();
    let background = background
        .map(|name| color(file.palette.get(name).unwrap_or(name)))
        .transpose()?;
    let mut styles = [Style::new(); Role::ALL.len()];
    for (style, role) in styles.iter_mut().zip(Role::ALL) {
        let look = file.roles.get(role).ok_or(Error::Missing(*role))?;
        *style = look.style(&file.palette)?;
    }
    Ok((styles, background))
}

impl Look {
    fn style(&self, palette: &BTreeMap<String, String>) -> Result<Style, Error> {
        let resolve = |name: &Option<String>| {
            name.as_ref()
                .map(|name| color(palette.get(name).unwrap_or(name)))
                .transpose()
        };
        let mut style = Style::new();
        style.fg = resolve(&self.fg)?;
        style.bg = resolve(&self.bg)?;
        for (on, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

fn color(text: &str) -> Result<Color, Error> {
    Ok(match text {
        "default" => Color::Reset,
        "black" => Color::Black,
        "red" => Color::Red,
        "green" => Color::Green,
        "yellow" => Color::Yellow,
        "blue" => Color::Blue,
        "magenta" => Color::Magenta,
        "cyan" => Color::Cyan,
        "white" => Color::Gray,
        "bright-black" => Color::DarkGray,
        "bright-red" => Color::LightRed,
        "bright-green" => Color::LightGreen,
        "bright-yellow" => Color::LightYellow,
        "bright-blue" => Color::LightBlue,
        "bright-magenta" => Color::LightMagenta,
        "bright-cyan" => Color::LightCyan,
        "bright-white" => Color::White,
        _ => number(text).ok_or_else(|| Error::Color(text.to_owned()))?,
    })
}

fn number(text: &str) -> Option<Color> {
    let Some(hex) = text.strip_prefix('#') else {
        return text.parse().ok().map(Color::Indexed);
    };
    if hex.len() != 6 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let part = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    Some(Color::Rgb(part(0)?, part(2)?, part(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_in_every_form() {
        for (text, expected) in [
            ("default", Color::Reset),
            ("white", Color::Gray),
            ("bright-white", Color::White),
            ("178", Color::Indexed(178)),
            ("#0a1B2c", Color::Rgb(10, 27, 44)),
        ] {
            assert_eq!(color(text).unwrap(), expected, "{text}");
        }
        for text in ["", "#12345", "#gggggg", "256", "reddish", "#äää"] {
            assert!(color(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_theme_is_said() {
        let said = |text: &str| parse(text).unwrap_err().to_string();
        assert!(
            said("[roles]\ntext = {}").contains("Muted"),
            "{}",
            said("[roles]\ntext = {}")
        );
        assert!(said("[roles]\nborders = {}").contains("unknown variant `borders`"));
        assert!(said("[roles]\ntext = { blink = true }").contains("blink"));
        assert!(said("[roles]\ntext = { fg = \"reddish\" }").contains("`reddish` is no colour"));
    }
}
