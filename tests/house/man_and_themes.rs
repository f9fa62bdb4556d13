//! The pages and colours that are shipped beside the programs.

use crate::tree::root;

/// The programs that have a manual page.
const PROGRAMS: [&str; 5] = [
    "cmdop",
    "cmdopd",
    "cmdop-relay",
    "cmdop-control",
    "cmdop-router",
];

#[test]
fn every_program_has_a_manual_page() {
    for program in PROGRAMS {
        let page = root().join("man").join(format!("{program}.1"));
        let text = std::fs::read_to_string(&page)
            .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(
            text.contains(".TH") && text.contains(".SH"),
            "{} is not a manual page",
            page.display()
        );
    }
}

#[test]
fn every_theme_is_toml() {
    let themes = root().join("themes");
    let entries =
        std::fs::read_dir(&themes).unwrap_or_else(|error| panic!("{}: {error}", themes.display()));
    let mut count = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(&path).expect("a theme can be read");
            text.parse::<toml::Table>()
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            count += 1;
        }
    }
    assert!(count > 0, "themes/ holds no theme");
}
