//! What cells look like beyond what the grid has room for: kinds and colours of underlines, struck out
//! text, links.
//!
//! A cell that has such a look holds an invisible tag behind its text: one of the variation selectors that
//! are for ideographs (U+E0100 to U+E01EF), which the normaliser takes from no program. So the tag goes
//! where its cell goes, and is gone when the cell is. What a tag means is kept here, for so many looks at a
//! time as there are tags; a screen that has more of them shows the rest without.

use std::borrow::Cow;
use std::sync::Arc;

use crate::pen::{Extra, Pen, read_sgr};

/// How many tags there are.
const TAGS: usize = 240;

/// The first of them.
const FIRST: u32 = 0xe0100;

/// What links of a drawing may take, in bytes: after that, text is drawn without them.
const MAX_LINK_BYTES: usize = 256 << 10;

/// How long a link may be, and the id that it may have; what others take too.
pub(crate) const MAX_URI: usize = 2083;
const MAX_ID: usize = 250;

/// What may be linked to.
const SCHEMES: [&str; 5] = ["http://", "https://", "file://", "mailto:", "ftp://"];

/// Where text leads (OSC 8): to a web page, a file, or a mail address. Somebody else wrote it: it is shown
/// before it is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    uri: Box<str>,
    id: Box<str>,
}

impl Link {
    /// Reads what follows `8;`; none if it ends a link, or leads to where nothing may.
    pub(crate) fn read(parameters: &[u8], uri: &[u8]) -> Option<Self> {
        let uri = std::str::from_utf8(uri).ok()?;
        let is_clean = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        let scheme = |scheme: &str| {
            let start = uri.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if uri.len() > MAX_URI || !is_clean(uri) || !SCHEMES.iter().any(|known| scheme(known)) {
            return None;
        }
        let id = parameters
            .split(|byte| *byte == b':')
            .find_map(|part| part.strip_prefix(b"id="));
        let id = id.and_then(|id| std::str::from_utf8(id).ok());
        let id = id.filter(|id| id.len() <= MAX_ID && is_clean(id));
        Some(Self {
            uri: uri.into(),
            id: id.unwrap_or_default().into(),
        })
    }

    /// The address: visible ASCII, at most 2083 bytes.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Cells with the same address and the same id, if it is not empty, are one link.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Appends what begins a link, or ends it.
pub(crate) fn write_link(link: Option<&Link>, out: &mut String) {
    out.push_str("\x1b]8;");
    if let Some(link) = link {
        if !link.id.is_empty() {
            out.push_str("id=");
            out.push_str(&link.id);
        }
        out.push(';');
        out.push_str(&link.uri);
    } else {
        out.push(';');
    }
    out.push_str("\x1b\\");
}

/// What a tag stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) extra: Extra,
    pub(crate) link: Option<Arc<Link>>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// By tag; what is not in use has the default.
    entries: Vec<Look>,
    /// Looks that found no tag since the last sweep, and those that were asked for.
    asked: usize,
    /// The look asked for last, and its tag.
    last: Option<(Look, Option<char>)>,
    /// Tags are read from a copy of the screen: none may change its meaning.
    pub(crate) is_frozen: bool,
}

impl Looks {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tag for a look; none if there is none left.
    pub(crate) fn tag(&mut self, look: &Look) -> Option<char> {
        self.asked = self.asked.saturating_add(1);
        if let Some((last, tag)) = &self.last
            && last == look
        {
            return *tag;
        }
        let known = self.entries.iter().position(|entry| entry == look);
        let index = known.or_else(|| {
            if let Some(free) = self
                .entries
                .iter()
                .position(|entry| *entry == Look::default())
            {
                self.entries[free] = look.clone();
                return Some(free);
            }
            (self.entries.len() < TAGS).then(|| {
                self.entries.push(look.clone());
                self.entries.len() - 1
            })
        });
        let tag = index.and_then(|index| char::from_u32(FIRST + index as u32));
        self.last = Some((look.clone(), tag));
        tag
    }

    /// Whether it is time to see which tags are still in use: none is left, and looking at all `cells` of
    /// the screens costs little beside what was printed since.
    pub(crate) fn wants_sweep(&self, cells: usize) -> bool {
        let is_full = self.last.as_ref().is_some_and(|(_, tag)| tag.is_none());
        is_full && !self.is_frozen && self.asked >= cells / 8
    }

    /// Keeps the tags that are on one of these screens.
    pub(crate) fn sweep<'a>(&mut self, screens: impl Iterator<Item = &'a vt100::Screen>) {
        let mut used = [false; TAGS];
        for screen in screens {
            let (rows, cols) = screen.size();
            for row in 0..rows.get() {
                for cell in (0..cols.get()).filter_map(|col| screen.cell(row, col)) {
                    if let (_, Some(index)) = split(cell.contents()) {
                        used[index] = true;
                    }
                }
            }
        }
        for (entry, _) in self.entries.iter_mut().zip(used).filter(|(_, used)| !used) {
            *entry = Look::default();
        }
        self.asked = 0;
        self.last = None;
    }

    /// The text of a cell, and what it looks like.
    pub(crate) fn of<'a>(&self, cell: &'a vt100::Cell) -> (&'a str, Pen, Option<&Link>) {
        let pen = Pen::of(cell);
        if self.is_empty() {
            return (cell.contents(), pen, None);
        }
        let (text, look) = self.read(cell.contents());
        match look {
            Some(look) => (text, pen.with(look.extra), look.link.as_deref()),
            None => (text, pen, None),
        }
    }

    /// Text without its tag, and what the tag means.
    pub(crate) fn read<'a>(&self, contents: &'a str) -> (&'a str, Option<&Look>) {
        let (text, index) = split(contents);
        (text, index.and_then(|index| self.entries.get(index)))
    }

    /// A drawing of the grid with sequences in place of tags.
    pub(crate) fn expand<'a>(&self, drawing: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(drawing);
        }
        let mut expansion = Expansion {
            looks: self,
            out: String::with_capacity(drawing.len()),
            pen: Pen::default(),
            written: Pen::default(),
            link: None,
            room: MAX_LINK_BYTES,
        };
        expansion.drawing(drawing);
        Cow::Owned(expansion.out)
    }
}

/// Whether a program may not print this.
pub(crate) fn is_tag(character: char) -> bool {
    (FIRST..FIRST + TAGS as u32).contains(&(character as u32))
}

/// Text and the tag behind it.
fn split(contents: &str) -> (&str, Option<usize>) {
    let tag = contents.chars().next_back().filter(|last| is_tag(*last));
    match tag {
        Some(tag) => {
            let text = &contents[..contents.len() - tag.len_utf8()];
            (text, Some((tag as u32 - FIRST) as usize))
        }
        None => (contents, None),
    }
}

/// A drawing that is written anew.
struct Expansion<'a> {
    looks: &'a Looks,
    out: String,
    /// What the drawing says, and what was written.
    pen: Pen,
    written: Pen,
    link: Option<&'a Link>,
    room: usize,
}

impl Expansion<'_> {
    fn drawing(&mut self, drawing: &str) {
        let mut rest = drawing;
        loop {
            let (text, sequence) = rest.split_at(rest.find('\x1b').unwrap_or(rest.len()));
            self.text(text);
            if sequence.is_empty() {
                break;
            }
            if let Some(length) = read_sgr(sequence.as_bytes(), &mut self.pen) {
                self.write_pen(self.pen);
                rest = &sequence[length..];
            } else {
                // What it does, it does in the attributes of the drawing. The grid's are short: up to
                // the first letter.
                let end = sequence.find(|c: char| c.is_ascii_alphabetic());
                let (sequence, after) = sequence.split_at(end.map_or(sequence.len(), |at| at + 1));
                self.plain(sequence);
                rest = after;
            }
        }
        self.write_link(None);
    }

    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some((at, tag)) = rest.char_indices().find(|(_, c)| is_tag(*c)) {
            let start = glyph_start(&rest[..at]);
            self.plain(&rest[..start]);
            let end = at + tag.len_utf8();
            let looks = self.looks;
            let (glyph, look) = looks.read(&rest[start..end]);
            let look = look.cloned().unwrap_or_default();
            self.write_pen(self.pen.with(look.extra));
            let link = looks
                .read(&rest[start..end])
                .1
                .and_then(|look| look.link.as_deref());
            self.write_link(link);
            self.out.push_str(glyph);
            rest = &rest[end..];
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            self.write_pen(self.pen);
            self.write_link(None);
            self.out.push_str(text);
        }
    }

    fn write_pen(&mut self, pen: Pen) {
        pen.write_change(self.written, &mut self.out);
        self.written = pen;
    }
}

impl<'a> Expansion<'a> {
    fn write_link(&mut self, link: Option<&'a Link>) {
        if link == self.link {
            return;
        }
        let before = self.out.len();
        let cost = link.map_or(0, |link| link.uri.len() + link.id.len());
        let link = link.filter(|_| cost <= self.room);
        if link != self.link {
            write_link(link, &mut self.out);
            self.room = self.room.saturating_sub(self.out.len() - before);
        }
        self.link = link;
    }
}

/// Where the last character with its marks begins.
fn glyph_start(text: &str) -> usize {
    use unicode_width::UnicodeWidthChar as _;
    let wide = text
        .char_indices()
        .rev()
        .find(|(_, c)| c.width() != Some(0));
    wide.map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
