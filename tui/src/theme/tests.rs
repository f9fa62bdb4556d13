//! What every theme that comes with the program keeps to.

use ratatui::style::Modifier;

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

/// Lines are drawn with it, nothing is written: it may be quieter than text.
const NOT_TEXT: Role = Role::Border;

/// WCAG 2.2, success criterion 1.4.3, and for high contrast 1.4.6.
const READABLE: f64 = 4.5;
const STRONG: f64 = 7.0;

/// Relative luminance, as WCAG defines it.
fn luminance(color: Color) -> f64 {
    let Color::Rgb(r, g, b) = color else {
        panic!("{color:?}: a theme with a background names every colour by its value")
    };
    let part = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
}

fn contrast(one: Color, other: Color) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_text_is_readable_on_the_background_of_its_theme() {
    let mut checked = 0;
    for (name, text) in BUILT_IN {
        let theme = Theme::parse(text).unwrap();
        let Some(background) = theme.background() else {
            // The user's own colours, or none.
            assert!(
                matches!(name, "sixteen" | "mono"),
                "{name} needs a background"
            );
            continue;
        };
        let least = if name == "high-contrast" {
            STRONG
        } else {
            READABLE
        };
        for role in Role::ALL.iter().filter(|role| **role != NOT_TEXT) {
            let style = theme.style(*role);
            let (ink, paper) = (style.fg.unwrap(), style.bg.unwrap_or(background));
            let found = contrast(ink, paper);
            assert!(found >= least, "{name}: {role:?} has {found:.2}");
            checked += 1;
        }
    }
    assert!(checked >= 5 * (Role::ALL.len() - 1));
}

#[test]
fn contrast_is_that_of_the_standard() {
    let (black, white) = (Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255));
    assert!((contrast(black, white) - 21.0).abs() < 1e-9);
    assert!((contrast(Color::Rgb(0x77, 0x77, 0x77), white) - 4.48).abs() < 0.01);
}

#[test]
fn a_theme_of_the_users_own_has_no_colour_where_none_is_wanted_and_its_errors_are_seen_all_the_same()
 {
    let text = include_str!("../../../themes/gruvbox-dark.toml");
    assert_eq!(
        Theme::custom(text, Depth::None).unwrap(),
        Theme::named("mono", Depth::None).unwrap()
    );
    assert!(Theme::custom("[roles]", Depth::None).is_err());
    assert_eq!(
        Theme::custom(text, Depth::True).unwrap(),
        Theme::named("gruvbox-dark", Depth::True).unwrap()
    );
}
