//! One side: a directory at an end, what of it is shown in which order, what is selected and what is marked.
//!
//! Selection and marks are names, never places: a directory that changes under the user's hand never turns a key on
//! another file. What was asked for is numbered, and an answer to an older question is not taken.

use std::collections::BTreeSet;

use bytes::Bytes;
use cmdop_proto::Refusal;

use super::entry::{Entry, Kind, Order};
use super::path;
use super::{End, Spot};

/// Directories that [`Side::back`] remembers.
const MAX_TRAIL: usize = 50;

/// How what is shown stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was asked for.
    Loading,
    /// It was there when it was asked for.
    Listed,
    /// It cannot be listed.
    Failed(Refusal),
}

/// Whether names with a dot at their beginning are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// They are not.
    #[default]
    Omitted,
    /// They are.
    Shown,
}

/// A directory as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Where the end's paths begin.
    pub home: Bytes,
    /// Its path.
    pub path: Bytes,
    /// What is in it, in no order.
    pub entries: Vec<Entry>,
    /// There is more than we keep.
    pub is_cut: bool,
    /// Bytes that may still be written there; `None`: nobody knows.
    pub free: Option<u64>,
    /// Files may be changed there.
    pub may_write: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Side {
    spot: Spot,
    state: State,
    /// The number of the newest question.
    asked: u64,
    listing: Listing,
    order: Order,
    hidden: Hidden,
    filter: String,
    /// Places in the listing, of what is shown.
    rows: Vec<usize>,
    at: usize,
    selected: Option<Bytes>,
    /// What is to be selected is not there yet.
    is_waiting: bool,
    marks: BTreeSet<Bytes>,
    trail: Vec<Bytes>,
    pub(super) top: usize,
}

impl Side {
    /// The home of an end, not looked at yet.
    pub(super) fn new(end: End) -> Self {
        Self {
            spot: Spot {
                end,
                path: Bytes::new(),
            },
            state: State::Loading,
            asked: 0,
            listing: Listing {
                home: Bytes::new(),
                path: Bytes::new(),
                entries: Vec::new(),
                is_cut: false,
                free: None,
                may_write: true,
            },
            order: Order::default(),
            hidden: Hidden::default(),
            filter: String::new(),
            rows: Vec::new(),
            at: 0,
            selected: None,
            is_waiting: false,
            marks: BTreeSet::new(),
            trail: Vec::new(),
            top: 0,
        }
    }

    // ------------------------------------------------------------ what is asked

    /// Which directory.
    pub fn spot(&self) -> &Spot {
        &self.spot
    }

    /// How it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What was found there.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The order.
    pub fn order(&self) -> Order {
        self.order
    }

    /// What names must hold to be shown; may be empty.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether names with a dot are shown.
    pub fn hidden(&self) -> Hidden {
        self.hidden
    }

    /// What is shown, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.rows.iter().map(|at| &self.listing.entries[*at])
    }

    /// The place of what is selected.
    pub fn place(&self) -> usize {
        self.at
    }

    /// What is selected.
    pub fn selected(&self) -> Option<&Entry> {
        let place = *self.rows.get(self.at)?;
        self.listing.entries.get(place)
    }

    /// Whether an entry is marked.
    pub fn is_marked(&self, entry: &Entry) -> bool {
        self.marks.contains(&entry.name)
    }

    /// How many are marked, and how many bytes they are.
    pub fn marked(&self) -> (usize, u64) {
        let entries = self.listing.entries.iter();
        let marked = entries.filter(|entry| self.is_marked(entry));
        let sizes = marked.filter(|entry| entry.kind == Kind::File);
        let bytes = sizes.fold(0u64, |sum, entry| sum.saturating_add(entry.size));
        (self.marks.len(), bytes)
    }

    /// The names that a command is about: what is marked, else what is selected.
    pub fn wanted(&self) -> Vec<Bytes> {
        if !self.marks.is_empty() {
            return self.marks.iter().cloned().collect();
        }
        self.selected()
            .map(|entry| entry.name.clone())
            .into_iter()
            .collect()
    }

    /// How many of the marked ones are not shown.
    pub fn hidden_marks(&self) -> usize {
        let shown = self.rows().filter(|entry| self.is_marked(entry)).count();
        self.marks.len() - shown
    }

    /// All names that are there; `None`: they are not known, or not all of them.
    pub fn names(&self) -> Option<BTreeSet<Bytes>> {
        let is_known = self.state == State::Listed && !self.listing.is_cut;
        let entries = self.listing.entries.iter();
        is_known.then(|| entries.map(|entry| entry.name.clone()).collect())
    }

    /// How many of these names are directories.
    pub fn directories(&self, names: &[Bytes]) -> usize {
        let entries = self.listing.entries.iter();
        let directories = entries.filter(|entry| entry.kind == Kind::Directory);
        directories
            .filter(|entry| names.contains(&entry.name))
            .count()
    }

    // ------------------------------------------------------------ going somewhere

    /// To a directory, with this selected when it is there.
    pub(super) fn go(&mut self, spot: Spot, select: Option<Bytes>) {
        if spot.end != self.spot.end {
            self.trail.clear();
            self.listing.home = Bytes::new();
        } else if spot.path != self.spot.path && !self.spot.path.is_empty() {
            self.trail.push(self.spot.path.clone());
            let surplus = self.trail.len().saturating_sub(MAX_TRAIL);
            self.trail.drain(..surplus);
        }
        self.spot = spot;
        self.state = State::Loading;
        self.listing.entries.clear();
        self.listing.is_cut = false;
        self.listing.free = None;
        self.marks.clear();
        self.filter.clear();
        self.is_waiting = select.is_some();
        self.selected = select;
        (self.at, self.top) = (0, 0);
        self.arrange();
    }

    /// The directory above, and what this one is called there.
    pub(super) fn above(&self) -> Option<(Spot, Bytes)> {
        let (parent, name) = path::split(&self.spot.path)?;
        let end = self.spot.end.clone();
        Some((Spot { end, path: parent }, name))
    }

    /// The directory before this one.
    pub(super) fn back(&mut self) -> Option<Spot> {
        let path = self.trail.pop()?;
        let end = self.spot.end.clone();
        // Going there would remember this one: back and forth.
        Some(Spot { end, path })
    }

    /// It was asked for, under this number.
    pub(super) fn ask(&mut self, number: u64) {
        self.asked = number;
    }

    /// Whether what is shown is the answer to this question, or will be.
    pub(super) fn is_answer_to(&self, number: u64) -> bool {
        self.asked == number
    }

    /// This one is selected when it is there.
    pub(super) fn will_select(&mut self, name: Bytes) {
        self.selected = Some(name);
        self.is_waiting = true;
    }

    /// The answer to a question; `false`: to an older one.
    pub(super) fn answered(&mut self, number: u64, answer: Result<Listing, Refusal>) -> bool {
        if number != self.asked {
            return false;
        }
        match answer {
            Ok(listing) => {
                self.spot.path = listing.path.clone();
                self.listing = listing;
                self.state = State::Listed;
                self.is_waiting = false;
                let names: BTreeSet<_> = self
                    .listing
                    .entries
                    .iter()
                    .map(|entry| &entry.name)
                    .collect();
                self.marks.retain(|name| names.contains(name));
            }
            Err(why) => {
                self.listing.entries.clear();
                self.marks.clear();
                self.state = State::Failed(why);
            }
        }
        self.arrange();
        true
    }

    /// These names are gone.
    pub(super) fn without(&mut self, names: &[Bytes]) {
        let gone: BTreeSet<_> = names.iter().collect();
        self.listing
            .entries
            .retain(|entry| !gone.contains(&entry.name));
        self.marks.retain(|name| !gone.contains(name));
        self.arrange();
    }

    // ------------------------------------------------------------ what is shown

    pub(super) fn set_order(&mut self, order: Order) {
        self.order = order;
        self.arrange();
    }

    pub(super) fn set_filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
        self.arrange();
    }

    pub(super) fn toggle_hidden(&mut self) {
        self.hidden = match self.hidden {
            Hidden::Omitted => Hidden::Shown,
            Hidden::Shown => Hidden::Omitted,
        };
        self.arrange();
    }

    /// The rows anew; the selection stays with what it is on, or at its place if that is gone.
    fn arrange(&mut self) {
        let entries = &self.listing.entries;
        let wanted = self.filter.to_lowercase();
        let is_shown = |entry: &Entry| {
            (self.hidden == Hidden::Shown || !entry.is_hidden())
                && (wanted.is_empty() || entry.shown.to_lowercase().contains(&wanted))
        };
        let places = (0..entries.len()).filter(|at| is_shown(&entries[*at]));
        self.rows = places.collect();
        let order = self.order;
        self.rows
            .sort_by(|one, other| order.compare(&entries[*one], &entries[*other]));
        let kept = self.selected.as_ref().and_then(|name| {
            let mut rows = self.rows.iter();
            rows.position(|at| entries[*at].name == *name)
        });
        self.at = kept
            .unwrap_or(self.at)
            .min(self.rows.len().saturating_sub(1));
        // What is not there yet may still come.
        if !self.is_waiting {
            self.follow();
        }
    }

    fn follow(&mut self) {
        self.selected = self.selected().map(|entry| entry.name.clone());
    }

    /// To another row.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.select(self.at.saturating_add_signed(by).min(last));
    }

    /// To the row at a place, if there is one; `false`: there is none.
    pub(super) fn select(&mut self, place: usize) -> bool {
        if place >= self.rows.len() {
            return false;
        }
        self.at = place;
        self.is_waiting = false;
        self.follow();
        true
    }

    // ------------------------------------------------------------ marks

    /// Marks what is selected, or takes its mark away.
    pub(super) fn mark(&mut self) {
        if let Some(name) = self.selected().map(|entry| entry.name.clone())
            && !self.marks.remove(&name)
        {
            self.marks.insert(name);
        }
    }

    /// Marks what is shown, or if all of it is, none of it.
    pub(super) fn mark_all(&mut self) {
        let shown: Vec<_> = self.rows().map(|entry| entry.name.clone()).collect();
        if shown.iter().all(|name| self.marks.contains(name)) {
            for name in shown {
                self.marks.remove(&name);
            }
        } else {
            self.marks.extend(shown);
        }
    }

    /// Of what is shown exactly the others are marked.
    pub(super) fn invert(&mut self) {
        let shown: Vec<_> = self.rows().map(|entry| entry.name.clone()).collect();
        for name in shown {
            if !self.marks.remove(&name) {
                self.marks.insert(name);
            }
        }
    }

    /// Marks what is shown and has such a name; how many that are.
    pub(super) fn mark_matching(&mut self, is_match: impl Fn(&str) -> bool) -> usize {
        let found: Vec<_> = self
            .rows()
            .filter(|entry| is_match(&entry.shown))
            .map(|entry| entry.name.clone())
            .collect();
        let count = found.len();
        self.marks.extend(found);
        count
    }

    pub(super) fn clear_marks(&mut self) {
        self.marks.clear();
    }

    /// The machine is called that now.
    pub(super) fn renamed(&mut self, end: &End) {
        if self.spot.end == *end {
            self.spot.end = end.clone();
        }
    }
}
