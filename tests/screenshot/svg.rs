//! An emulator's screen as SVG: rectangles behind, text before, each in the columns that it has.

use std::fmt::Write as _;

use cmdop_emulator::{Cell, Color, Emulator};

/// The size of a cell, in pixels.
const WIDTH: u32 = 8;
const HEIGHT: u32 = 17;

/// How far a row's text stands from its top.
const BASELINE: u32 = 13;

/// Where the terminal begins.
const MARGIN: u32 = 10;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d5d8df";

/// The sixteen colours of ANSI as most terminals have them.
const ANSI: [&str; 16] = [
    "#22252c", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
    "#5c6370", "#ef7f88", "#a9d48a", "#f0cf8f", "#74bff9", "#d48ae8", "#67c7d3", "#ffffff",
];

/// A part of a row whose cells look the same.
struct Run {
    col: u16,
    width: u16,
    text: String,
    look: Look,
}

#[derive(Clone, PartialEq, Eq)]
struct Look {
    text: String,
    behind: String,
    is_bold: bool,
    is_faint: bool,
    is_underlined: bool,
}

/// The whole picture.
pub(crate) fn draw(screen: &Emulator) -> String {
    let (rows, cols) = screen.size();
    let (width, height) = (
        u32::from(cols) * WIDTH + 2 * MARGIN,
        u32::from(rows) * HEIGHT + 2 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" \
         font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..rows {
        for run in runs(screen, row) {
            draw_run(&mut svg, row, &run);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn runs(screen: &Emulator, row: u16) -> Vec<Run> {
    let (_, cols) = screen.size();
    let mut runs: Vec<Run> = Vec::new();
    for (col, cell) in (0..cols).filter_map(|col| Some((col, screen.cell(row, col)?))) {
        if cell.width == 0 {
            continue;
        }
        let look = look(cell);
        let text = if cell.text.is_empty() { " " } else { cell.text };
        let width = u16::from(cell.width);
        match runs.last_mut() {
            // A wide character is placed by itself: fonts do not agree about its width.
            Some(run)
                if run.look == look && width == 1 && run.text.is_ascii() && text.is_ascii() =>
            {
                run.text.push_str(text);
                run.width += 1;
            }
            _ => runs.push(Run {
                col,
                width,
                text: text.to_owned(),
                look,
            }),
        }
    }
    runs
}

fn draw_run(svg: &mut String, row: u16, run: &Run) {
    let (x, y) = (
        MARGIN + u32::from(run.col) * WIDTH,
        MARGIN + u32::from(row) * HEIGHT,
    );
    let width = u32::from(run.width) * WIDTH;
    let look = &run.look;
    if look.behind != BACKGROUND {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
            look.behind
        );
    }
    if run.text.trim().is_empty() {
        return;
    }
    let mut style = String::new();
    for (is_so, said) in [
        (look.is_bold, " font-weight=\"bold\""),
        (look.is_faint, " opacity=\"0.6\""),
        (look.is_underlined, " text-decoration=\"underline\""),
    ] {
        style.push_str(if is_so { said } else { "" });
    }
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" textLength=\"{width}\" xml:space=\"preserve\" fill=\"{}\"{style}>{}</text>",
        y + BASELINE,
        look.text,
        escaped(&run.text)
    );
}

fn look(cell: Cell<'_>) -> Look {
    let (text, behind) = (hex(cell.fg, FOREGROUND), hex(cell.bg, BACKGROUND));
    let (text, behind) = if cell.inverse {
        (behind, text)
    } else {
        (text, behind)
    };
    Look {
        text,
        behind,
        is_bold: cell.bold,
        is_faint: cell.dim,
        is_underlined: cell.underline,
    }
}

fn hex(color: Color, default: &str) -> String {
    match color {
        Color::Default => default.to_owned(),
        Color::Indexed(index @ 0..16) => ANSI[usize::from(index)].to_owned(),
        Color::Indexed(index @ 232..) => {
            let level = 8 + 10 * (index - 232);
            format!("#{level:02x}{level:02x}{level:02x}")
        }
        Color::Indexed(index) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = index - 16;
            let (r, g, b) = (level(cube / 36), level(cube / 6 % 6), level(cube % 6));
            format!("#{r:02x}{g:02x}{b:02x}")
        }
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
