//! Pictures of the screen that a later worker begins with, and where the numbering of lines stood at each.
//!
//! Two are kept in turns. The record that says which is the newer is written last and by one call, so a
//! SIGKILL leaves either the older or the newer, whole.

use std::io;
use std::os::fd::OwnedFd;

use cmdop_proto::{Offset, Size};

use super::Memory;
use super::layout::{
    CHECKPOINT_AT, CHECKPOINT_BYTES, LINES_AT, numbers, read_all, words, write_all,
};

/// Where the numbering of the lines that left the screen stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) epoch: u64,
    pub(crate) next: u64,
}

/// A screen at one offset of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) offset: Offset,
    pub(crate) size: Size,
    /// What redraws it.
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: Lines,
}

impl Memory {
    /// Where the newest checkpoint stands; `None`: there is none.
    pub(crate) fn checkpoint_at(&self) -> Option<Offset> {
        self.checkpoint.is_there().then_some(self.checkpoint.offset)
    }

    /// Keeps a picture of the screen; one that is too large is not kept.
    pub(crate) fn set_checkpoint(&mut self, picture: &Picture) -> io::Result<()> {
        if picture.bytes.len() > CHECKPOINT_BYTES {
            return Ok(());
        }
        let next = self.checkpoint.next(picture);
        let file = &self.parts.file;
        write_all(file, &picture.bytes, self.layout.picture(next.slot))?;
        let Lines { epoch, next: line } = picture.lines;
        write_all(file, words([epoch, line]).as_flattened(), next.lines_at())?;
        next.write(file)?;
        self.checkpoint = next;
        Ok(())
    }

    /// The newest checkpoint.
    pub(crate) fn checkpoint(&self) -> io::Result<Option<Picture>> {
        let Some(size) = self.checkpoint.size() else {
            return Ok(None);
        };
        let mut bytes = vec![0; self.checkpoint.length];
        let place = self.layout.picture(self.checkpoint.slot);
        read_all(&self.parts.file, &mut bytes, place)?;
        let mut lines = [0; 16];
        read_all(&self.parts.file, &mut lines, self.checkpoint.lines_at())?;
        let [epoch, next] = numbers(&lines);
        Ok(Some(Picture {
            offset: self.checkpoint.offset,
            size,
            bytes,
            lines: Lines { epoch, next },
        }))
    }
}

/// Where the newest checkpoint is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checkpoint {
    /// 0 or 1; the other one is written next.
    slot: u64,
    offset: Offset,
    length: usize,
    rows: u64,
    cols: u64,
}

impl Checkpoint {
    pub(super) fn read(file: &OwnedFd) -> io::Result<Self> {
        let mut bytes = [0; 40];
        read_all(file, &mut bytes, CHECKPOINT_AT)?;
        let [slot, offset, length, rows, cols] = numbers(&bytes);
        Ok(Self {
            slot: slot & 1,
            offset: Offset(offset),
            length: (length as usize).min(CHECKPOINT_BYTES),
            rows,
            cols,
        })
    }

    fn write(self, file: &OwnedFd) -> io::Result<()> {
        let all = [
            self.slot,
            self.offset.0,
            self.length as u64,
            self.rows,
            self.cols,
        ];
        write_all(file, words(all).as_flattened(), CHECKPOINT_AT)
    }

    fn next(self, picture: &Picture) -> Self {
        Self {
            slot: 1 - self.slot,
            offset: picture.offset,
            length: picture.bytes.len(),
            rows: picture.size.rows().into(),
            cols: picture.size.cols().into(),
        }
    }

    /// Where the numbering that belongs to it is.
    fn lines_at(self) -> u64 {
        LINES_AT + self.slot * 16
    }

    fn is_there(self) -> bool {
        self.rows > 0
    }

    fn size(self) -> Option<Size> {
        let (rows, cols) = (self.rows.try_into().ok()?, self.cols.try_into().ok()?);
        Size::new(rows, cols).ok()
    }
}
