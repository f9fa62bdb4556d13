//! Which columns have room, from the most important on, and how wide they are.

use super::super::column::Column;

/// The mark before each row.
pub(super) const MARK: u16 = 2;

/// The state as a sign, and with its word.
const SIGN: u16 = 2;
const WORD: u16 = 8;

/// What a name keeps before another column gets room, and what is enough for it.
const NAME_MIN: u16 = 10;
const NAME_ENOUGH: u16 = 16;
const NAME_MAX: u16 = 40;

/// A curve that is worth a look, and half an hour at three columns a minute.
const CURVE_MIN: u16 = 12;
const CURVE_MAX: u16 = 60;

const LABELS_MIN: u16 = 12;

/// A column with its width; the space before it is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) column: Column,
    pub(super) width: u16,
}

/// What gets room after the name, in the order of its importance.
const WANTED: [(Column, u16); 9] = [
    (Column::Cpu, 6),
    (Column::Memory, 6),
    (Column::Age, 5),
    (Column::Disk, 6),
    (Column::Sessions, 5),
    (Column::Load, 7),
    (Column::History, CURVE_MIN + 1),
    (Column::Battery, 6),
    (Column::System, 15),
];

/// The order from left to right.
const ORDER: [Column; 12] = [
    Column::State,
    Column::Name,
    Column::Cpu,
    Column::Memory,
    Column::Disk,
    Column::Load,
    Column::Battery,
    Column::Sessions,
    Column::Age,
    Column::History,
    Column::System,
    Column::Labels,
];

/// The columns of a table that is so wide, from left to right.
pub(super) fn columns(width: u16) -> Vec<Placed> {
    let mut left = width.saturating_sub(MARK);
    let mut widths = vec![(Column::State, SIGN.min(left))];
    left -= SIGN.min(left);
    let mut name = left.min(NAME_MIN);
    left -= name;
    for (column, wanted) in WANTED {
        // With the readings there, a name gets what is enough for it before a curve does.
        if column == Column::History {
            let more = left.min(NAME_ENOUGH.saturating_sub(name));
            (name, left) = (name + more, left - more);
        }
        if left < wanted {
            break;
        }
        widths.push((column, wanted));
        left -= wanted;
    }
    if left >= WORD + 4 {
        widths[0].1 += WORD;
        left -= WORD;
    }
    let more = left.min(NAME_MAX.saturating_sub(name)) / 2;
    (name, left) = (name + more, left - more);
    if let Some(curve) = widths
        .iter_mut()
        .find(|(column, _)| *column == Column::History)
    {
        let more = left.min(CURVE_MAX - CURVE_MIN) / 2;
        curve.1 += more;
        left -= more;
    }
    if left > LABELS_MIN {
        widths.push((Column::Labels, left));
    } else {
        name += left;
    }
    widths.push((Column::Name, name));
    let placed = |column: &Column| {
        let width = widths.iter().find(|(known, _)| known == column)?.1;
        Some(Placed {
            column: *column,
            width,
        })
    };
    ORDER.iter().filter_map(placed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_width_and_come_in_the_order_of_their_importance() {
        let mut before = 0;
        for width in 0..=400 {
            let placed = columns(width);
            let sum: u16 = placed.iter().map(|placed| placed.width).sum();
            assert_eq!(sum + MARK.min(width), width);
            let has = |column| placed.iter().any(|placed| placed.column == column);
            for pair in WANTED.windows(2) {
                assert!(has(pair[0].0) || !has(pair[1].0), "{width}: {pair:?}");
            }
            assert!(
                placed.len() >= before,
                "{width}: a wider table has fewer columns"
            );
            before = placed.len();
        }
        assert_eq!(before, ORDER.len());
    }

    #[test]
    fn a_small_screen_has_the_processor_and_a_usual_one_all_readings() {
        let names = |width| {
            let placed = columns(width);
            placed
                .iter()
                .map(|placed| placed.column.heading())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(20), ["state", "machine", "cpu"]);
        assert_eq!(
            names(80),
            [
                "state",
                "machine",
                "cpu",
                "mem",
                "disk",
                "load",
                "bat",
                "sess",
                "seen",
                "cpu, 30 min"
            ]
        );
    }
}
