//! Curves: one row of blocks, or an area of braille dots; both with an ASCII form.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Charset;
use super::cells::{Canvas, Pen};

/// Dots of a braille cell, from the bottom up, for its left and its right column.
const DOTS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// Parts of a cell that ASCII can tell apart, from the bottom up.
const ASCII_PARTS: [char; 3] = ['.', ':', '#'];

/// One row; a value of `top` is as high as it gets.
pub(super) fn line(
    pen: &mut Pen<'_>,
    values: impl Iterator<Item = Option<f32>>,
    top: f32,
    charset: Charset,
    style: Style,
) {
    for value in values {
        match value {
            Some(value) => pen.put(charset.level(value / top), style),
            None => pen.skip(1),
        }
    }
}

/// How many values fill an area of this width.
pub(super) fn points(width: u16, charset: Charset) -> usize {
    match charset {
        Charset::Unicode => usize::from(width) * 2,
        Charset::Ascii => usize::from(width),
    }
}

/// An area, filled below the curve.
pub(super) fn area(
    canvas: &mut Canvas<'_>,
    area: Rect,
    values: &[Option<f32>],
    top: f32,
    style: Style,
) {
    let charset = canvas.charset;
    let (across, steps) = match charset {
        Charset::Unicode => (2, 4),
        Charset::Ascii => (1, ASCII_PARTS.len()),
    };
    let height = usize::from(area.height) * steps;
    let level = |value: &Option<f32>| {
        value.map_or(0, |value| {
            let share = (value / top).clamp(0.0, 1.0);
            // What is known is seen, even if it is nothing.
            ((share * height as f32).round() as usize).max(1)
        })
    };
    for (x, pair) in (area.x..area.right()).zip(values.chunks(across)) {
        let levels: Vec<_> = pair.iter().map(level).collect();
        for row in 0..area.height {
            let below = usize::from(area.height - 1 - row) * steps;
            let filled = |level: usize| level.saturating_sub(below).min(steps);
            let sign = match charset {
                Charset::Unicode => braille(levels.iter().map(|level| filled(*level))),
                Charset::Ascii => levels
                    .first()
                    .and_then(|level| filled(*level).checked_sub(1).map(|part| ASCII_PARTS[part])),
            };
            if let Some(sign) = sign {
                canvas.buffer[(x, area.y + row)]
                    .set_char(sign)
                    .set_style(style);
            }
        }
    }
}

/// The cell with so many dots from the bottom in each column.
fn braille(filled: impl Iterator<Item = usize>) -> Option<char> {
    let dots = filled
        .zip(DOTS)
        .flat_map(|(count, dots)| dots.into_iter().take(count));
    let bits = dots.fold(0, |bits, dot| bits | u32::from(dot));
    (bits != 0).then(|| char::from_u32(0x2800 + bits).expect("the block has all 256"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_braille_cell_is_filled_from_the_bottom() {
        assert_eq!(braille([0, 0].into_iter()), None);
        assert_eq!(braille([4, 4].into_iter()), Some('⣿'));
        assert_eq!(braille([1, 2].into_iter()), Some('⣠'));
        assert_eq!(braille([3].into_iter()), Some('⡆'));
    }
}
