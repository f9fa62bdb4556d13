//! Tab stops: every eight columns, until a program sets its own.

/// The distance of the stops a terminal starts with.
const EVERY: u16 = 8;

/// Where a tab goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tabs {
    /// Stops a program chose, sorted; `None` while they are the default ones.
    own: Option<Vec<u16>>,
}

impl Tabs {
    pub(crate) fn is_default(&self) -> bool {
        self.own.is_none()
    }

    /// The stops, if they are not the default ones.
    pub(crate) fn own(&self) -> Option<&[u16]> {
        self.own.as_deref()
    }

    /// Sets a stop at `col` of a screen of `cols` columns (HTS).
    pub(crate) fn set(&mut self, col: u16, cols: u16) {
        let stops = self.own_mut(cols);
        if let Err(place) = stops.binary_search(&col) {
            stops.insert(place, col);
        }
    }

    /// Removes the stop at `col` (TBC 0).
    pub(crate) fn clear(&mut self, col: u16, cols: u16) {
        let stops = self.own_mut(cols);
        if let Ok(place) = stops.binary_search(&col) {
            stops.remove(place);
        }
    }

    /// Removes all stops (TBC 3).
    pub(crate) fn clear_all(&mut self) {
        self.own = Some(Vec::new());
    }

    /// Columns that a wider screen adds have default stops.
    pub(crate) fn resize(&mut self, old: u16, new: u16) {
        if let Some(stops) = &mut self.own {
            stops.retain(|&stop| stop < new);
            stops.extend((old..new).filter(|col| col % EVERY == 0));
        }
    }

    /// The stop after `col`, or the last column.
    pub(crate) fn next(&self, col: u16, cols: u16) -> u16 {
        let stop = match &self.own {
            None => Some((col / EVERY + 1) * EVERY),
            Some(stops) => stops.iter().copied().find(|&stop| stop > col),
        };
        stop.unwrap_or(cols).min(cols - 1)
    }

    /// The stop before `col`, or the first column.
    pub(crate) fn previous(&self, col: u16) -> u16 {
        let stop = match &self.own {
            None => Some(col.saturating_sub(1) / EVERY * EVERY),
            Some(stops) => stops.iter().rev().copied().find(|&stop| stop < col),
        };
        stop.unwrap_or(0)
    }

    fn own_mut(&mut self, cols: u16) -> &mut Vec<u16> {
        self.own
            .get_or_insert_with(|| (0..cols).step_by(usize::from(EVERY)).collect())
    }
}
