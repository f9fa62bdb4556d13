//! One large file between two ends, in chunks: read ahead, written, acknowledged, proved.
//!
//! Reading and writing go on at the same time, and neither end is ever waited for while the other has
//! something to say: a full queue at one end must not stop the answers of the other.

use bytes::Bytes;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::Instant;

use super::chunk::Sizer;
use super::item::Item;
use super::progress::Tally;
use super::ranges::Ranges;
use super::streams::{Ends, cancelled_error};
use super::{Options, Wish};
use crate::error::Error;
use crate::files::{read, unexpected};

const HANDLE: u32 = 1;

/// What is compared as one: smaller than most chunks, so that a cut costs little; its hash is an eight
/// thousandth of it.
pub(super) const COMPARED: u32 = 256 << 10;

/// How often a chunk is sent again that did not arrive as it left.
const REPAIRS: u32 = 5;

/// Whether an earlier try is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Fresh,
    Resume,
}

/// Copies one file. On an error the streams may hold answers of what was under way: they are not to be used again.
pub(super) async fn copy(
    ends: &mut Ends,
    tally: &mut Tally,
    options: &Options,
    (item, source): (&Item, &str),
    start: Start,
) -> Result<(), Error> {
    let reader = v1::FileReader {
        handle: HANDLE,
        path: item.from.clone(),
        without_md5: !options.md5,
    };
    let Response::Entry(entry) = ends.source.ask(Ask::Reader(reader)).await? else {
        return Err(unexpected());
    };
    let data = data(ends, &entry).await?;
    let create = v1::FileCreate {
        handle: HANDLE,
        path: item.to.clone(),
        size: data.bytes(),
        key: item.key(source),
        resume: start == Start::Resume,
        replace: replace(options).into(),
        without_md5: !options.md5,
    };
    let Response::Created(created) = ends.target.ask(Ask::Create(create)).await? else {
        return Err(unexpected());
    };
    let ranges = if created.have > 0 {
        different(ends, entry.size).await?
    } else {
        data
    };
    tally.spared(entry.size.saturating_sub(ranges.bytes()));
    Pump::new(ends, tally, ranges).run().await?;
    finish(ends, item, &entry, options).await
}

pub(super) fn replace(options: &Options) -> v1::FileReplace {
    if options.keep_existing {
        v1::FileReplace::Never
    } else {
        v1::FileReplace::Unspecified
    }
}

/// Where the source has data.
async fn data(ends: &mut Ends, entry: &v1::FileEntry) -> Result<Ranges, Error> {
    if entry.allocated >= entry.size {
        return Ok(Ranges::whole(entry.size));
    }
    match ends
        .source
        .ask(Ask::Map(v1::FileMap { handle: HANDLE }))
        .await?
    {
        Response::Extents(map) => Ok(Ranges::data(&map.extents, entry.size)),
        _ => Err(unexpected()),
    }
}

/// What differs between the source and what an earlier try left; both ends hash at the same time.
async fn different(ends: &mut Ends, size: u64) -> Result<Ranges, Error> {
    let Ends { source, target, .. } = ends;
    let (ours, theirs) = tokio::try_join!(digest(source), digest(target))?;
    Ok(Ranges::different(&ours, &theirs, u64::from(COMPARED), size))
}

/// The hashes of the chunks of the open file.
pub(super) async fn digest(files: &mut crate::files::Files) -> Result<Vec<u8>, Error> {
    let digest = v1::FileDigest {
        handle: HANDLE,
        chunk: COMPARED,
    };
    files.asker.ask(Ask::Digest(digest)).await?;
    let mut hashes = Vec::new();
    loop {
        let (response, last) = read(files.answers.next().await?)?;
        let Response::Digests(digests) = response else {
            return Err(unexpected());
        };
        hashes.extend_from_slice(&digests.blake3);
        if last {
            return Ok(hashes);
        }
    }
}

/// Both ends agree on the whole, then it gets its name.
async fn finish(
    ends: &mut Ends,
    item: &Item,
    entry: &v1::FileEntry,
    options: &Options,
) -> Result<(), Error> {
    let close = v1::FileClose {
        handle: HANDLE,
        md5: options.md5,
    };
    let Response::Closed(closed) = ends.source.ask(Ask::Close(close)).await? else {
        return Err(unexpected());
    };
    if closed.changed {
        let give_up = v1::FileClose {
            handle: HANDLE,
            md5: false,
        };
        ends.target.ask(Ask::Close(give_up)).await?;
        return Err(changed(&item.from));
    }
    let commit = v1::FileCommit {
        handle: HANDLE,
        size: entry.size,
        md5: closed.md5,
        mode: item.mode(options.all_modes),
        mtime_ns: entry.mtime_ns,
    };
    match ends.target.ask(Ask::Commit(commit)).await? {
        Response::Entry(_) => Ok(()),
        _ => Err(unexpected()),
    }
}

fn changed(path: &[u8]) -> Error {
    let path = cmdop_proto::text::shown(&String::from_utf8_lossy(path), 512);
    Error::Refused(
        Refusal::unavailable(
            "source-changed",
            format!("{path} changed while it was read"),
        )
        .hint("copy it again once nothing writes to it"),
    )
}

/// A chunk that was asked for.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    offset: u64,
    length: u64,
    asked: Instant,
}

/// Moves the ranges of the open files.
struct Pump<'a> {
    ends: &'a mut Ends,
    tally: &'a mut Tally,
    ranges: Ranges,
    sizer: Sizer,
    /// Asked for, and not all read.
    reading: VecDeque<Chunk>,
    /// All written, and not acknowledged.
    writing: VecDeque<Chunk>,
    /// A piece that waits for room.
    piece: Option<Ask>,
    under_way: u64,
    /// Nothing is asked for before then.
    free_at: Option<Instant>,
    last_ack: Instant,
    repairs: u32,
    wishes: watch::Receiver<Wish>,
}

/// What happened.
enum Event {
    Acknowledged(v1::FileResponse),
    Room,
    Read(v1::FileResponse),
    Asked,
    Again,
}

impl<'a> Pump<'a> {
    fn new(ends: &'a mut Ends, tally: &'a mut Tally, ranges: Ranges) -> Self {
        let wishes = tally.wishes();
        Self {
            ends,
            tally,
            ranges,
            sizer: Sizer::default(),
            reading: VecDeque::new(),
            writing: VecDeque::new(),
            piece: None,
            under_way: 0,
            free_at: None,
            last_ack: Instant::now(),
            repairs: 0,
            wishes,
        }
    }

    async fn run(mut self) -> Result<(), Error> {
        while !(self.ranges.is_empty() && self.reading.is_empty() && self.writing.is_empty()) {
            let wish = *self.wishes.borrow_and_update();
            if wish == Wish::Cancel {
                return Err(cancelled_error());
            }
            match self.next(wish).await? {
                Event::Acknowledged(answer) => self.acknowledged(answer)?,
                Event::Room => self.send().await?,
                Event::Read(answer) => self.took(answer)?,
                Event::Asked => self.ask().await?,
                Event::Again => {}
            }
        }
        Ok(())
    }

    /// Waits for whatever can be done next. All branches are cancel-safe.
    async fn next(&mut self, wish: Wish) -> Result<Event, Error> {
        let now = Instant::now();
        let mut window = self.sizer.window();
        if self.ends.is_carried() {
            // What does not fit into the feed would stand in the way of other streams of the machine.
            window = window.min(limits::FEED_WINDOW as u64);
        }
        let is_free = self.free_at.is_none_or(|free_at| free_at <= now);
        let asks =
            wish == Wish::Run && is_free && !self.ranges.is_empty() && self.under_way < window;
        let free_at = self.free_at.filter(|free_at| *free_at > now);
        let Ends { source, target, .. } = &mut *self.ends;
        tokio::select! {
            biased;
            answer = target.answers.next(), if !self.writing.is_empty() => Ok(Event::Acknowledged(answer?)),
            room = target.asker.ready(), if self.piece.is_some() => room.map(|()| Event::Room),
            answer = source.answers.next(), if self.piece.is_none() && !self.reading.is_empty() => {
                Ok(Event::Read(answer?))
            }
            room = source.asker.ready(), if asks => room.map(|()| Event::Asked),
            () = tokio::time::sleep_until(free_at.unwrap_or(now)), if free_at.is_some() => Ok(Event::Again),
            changed = self.wishes.changed() => {
                changed.map_err(|_| cancelled_error()).map(|()| Event::Again)
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Error> {
        let Some((offset, length)) = self.ranges.take(self.sizer.chunk() as u64) else {
            return Ok(());
        };
        let range = v1::FileRead {
            handle: HANDLE,
            offset,
            length: length as u32,
            carry: self.ends.carry(HANDLE),
        };
        self.ends.source.asker.ask(Ask::Read(range)).await?;
        self.under_way += length;
        self.free_at = self.tally.limit(length);
        self.reading.push_back(Chunk {
            offset,
            length,
            asked: Instant::now(),
        });
        Ok(())
    }

    /// A piece was read: it waits for room at the target.
    fn took(&mut self, answer: v1::FileResponse) -> Result<(), Error> {
        let (Response::Data(data), last) = read(answer)? else {
            return Err(unexpected());
        };
        let chunk = *self.reading.front().ok_or_else(unexpected)?;
        let length = data.carried.map_or(data.data.len() as u64, |to| to.bytes);
        let end = data.offset.saturating_add(length);
        if data.offset < chunk.offset || end > chunk.offset + chunk.length {
            return Err(unexpected());
        }
        if last {
            let came = end - chunk.offset;
            if came != chunk.length {
                // The file has become shorter: that is told when it is closed, and nothing more is wanted of it.
                self.ranges = Ranges::default();
                self.under_way = self.under_way.saturating_sub(chunk.length - came);
            }
            self.reading.pop_front();
            self.writing.push_back(Chunk {
                length: came,
                ..chunk
            });
        }
        self.piece = Some(match data.carried {
            Some(to) => Ask::Piece(v1::FilePiece {
                number: to.piece,
                is_silent: !last,
            }),
            None => Ask::Write(v1::FileWrite {
                handle: HANDLE,
                offset: data.offset,
                data: data.data,
                blake3: if last { data.blake3 } else { Bytes::new() },
            }),
        });
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        match self.piece.take() {
            Some(piece) => self.ends.target.asker.ask(piece).await,
            None => Ok(()),
        }
    }

    fn acknowledged(&mut self, answer: v1::FileResponse) -> Result<(), Error> {
        let chunk = self.writing.pop_front().ok_or_else(unexpected)?;
        self.under_way = self.under_way.saturating_sub(chunk.length);
        match read(answer) {
            Ok(_) => {}
            Err(Error::Refused(refusal))
                if refusal.reason == "chunk-differs" && self.repairs < REPAIRS =>
            {
                self.repairs += 1;
                self.ranges.give_back(chunk.offset, chunk.length);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        self.sizer
            .acknowledged(chunk.length, now - self.last_ack, now - chunk.asked);
        self.last_ack = now;
        self.tally.sent(chunk.length);
        Ok(())
    }
}
