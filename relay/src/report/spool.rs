//! Reports on this disk, in the order in which they were made, until the control plane has them.
//!
//! Segments of about 1 MiB, each a file of length-delimited messages. All of them together stay below a
//! bound: what does not fit any more is dropped and counted, never what was there before; when there is
//! room again, the count itself is a report. How far a segment was delivered is not written down:
//! after a crash it is delivered again, and the control plane keeps each report once, by its key.
//! Every method blocks on the disk.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cmdop_proto::{limits, v1};
use prost::Message as _;
use tokio::sync::watch;
use uuid::Uuid;

use crate::lock::Lock;

/// A segment is closed above this.
const SEGMENT: u64 = 1 << 20;

/// A delivery that takes this much takes no more reports.
const BATCH_BYTES: u64 = 512 << 10;

/// Reports in one delivery.
const BATCH: usize = 500;

/// One report is never longer; the length of another one is a sign of damage.
const MAX_REPORT: usize = 256 << 10;

// A delivery, with the report that reaches beyond its end and what each adds on the wire, fits a frame.
const _: () = assert!(BATCH_BYTES as usize + MAX_REPORT + 16 * BATCH < limits::MAX_FRAME);

/// The spool; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    /// Bytes of all segments together.
    bound: u64,
    state: Lock<State>,
    /// Whether there is something to deliver.
    has_some: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    next_number: u64,
    /// The end of the last segment, while it grows.
    open: Option<File>,
    /// Reports that found no room, or no disk, since the last that did.
    lost: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Delivered up to here.
    delivered: u64,
}

/// Reports that come next, and where they end.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) reports: Vec<v1::Report>,
    segment: u64,
    end: u64,
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn has_some(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.delivered < segment.bytes)
    }
}

impl Spool {
    /// The spool in `directory`, with what an earlier life left there.
    pub(crate) fn open(directory: &Path, bound: u64) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut segments: Vec<Segment> = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".reports"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                segments.push(Segment {
                    number,
                    bytes: entry.metadata()?.len(),
                    delivered: 0,
                });
            }
        }
        segments.sort_by_key(|segment| segment.number);
        let state = State {
            next_number: segments.last().map_or(1, |last| last.number + 1),
            segments: segments.into(),
            ..State::default()
        };
        let has_some = state.has_some();
        Ok(Self {
            shared: Arc::new(Shared {
                directory: directory.to_owned(),
                bound,
                state: Lock::new(state),
                has_some: watch::Sender::new(has_some),
            }),
        })
    }

    /// Returns once there is something to deliver.
    pub(crate) async fn has_some(&self) {
        let mut has_some = self.shared.has_some.subscribe();
        // The sender lives as long as we do.
        let _ = has_some.wait_for(|has_some| *has_some).await;
    }

    /// Reports that are lost and not told of yet.
    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.shared.state.lock().lost
    }

    /// Writes reports, those that have room; `lost` were lost before they came here.
    pub(crate) fn append(&self, reports: &[v1::Report], lost: u64) {
        let mut state = self.shared.state.lock();
        let had_lost = state.lost > 0;
        state.lost += lost;
        let before = state.lost;
        let mut room = self.shared.bound.saturating_sub(state.bytes());
        let mut bytes = Vec::new();
        if state.lost > 0 {
            let told = lost_report(state.lost).encode_length_delimited_to_vec();
            if (told.len() as u64) < room {
                tracing::error!(lost = state.lost, "reports to the control plane were lost");
                room -= told.len() as u64;
                bytes.extend(told);
                state.lost = 0;
            }
        }
        for report in reports {
            let encoded = report.encode_length_delimited_to_vec();
            if encoded.len() as u64 > room || report.encoded_len() > MAX_REPORT {
                state.lost += 1;
                continue;
            }
            room -= encoded.len() as u64;
            bytes.extend(encoded);
        }
        if state.lost > 0 && !had_lost {
            tracing::error!("the spool is full: reports to the control plane are being lost");
        }
        if let Err(error) = self.write(&mut state, &bytes) {
            tracing::error!(%error, "reports to the control plane were not written and are lost");
            // The count itself may be among what was not written.
            state.lost = before + reports.len() as u64;
            self.drop_half_written(&mut state);
        }
        // Under the lock: what is told last is what is so.
        self.shared.has_some.send_replace(state.has_some());
    }

    fn write(&self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let is_full = state
            .segments
            .back()
            .is_none_or(|segment| segment.bytes >= SEGMENT);
        if is_full || state.open.is_none() {
            let number = state.next_number;
            let file = OpenOptions::new()
                .create_new(true)
                .append(true)
                .mode(0o600)
                .open(self.path(number))?;
            state.next_number += 1;
            state.open = Some(file);
            state.segments.push_back(Segment {
                number,
                bytes: 0,
                delivered: 0,
            });
        }
        if let Some(file) = &mut state.open {
            file.write_all(bytes)?;
            file.sync_data()?;
        }
        if let Some(segment) = state.segments.back_mut() {
            segment.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// A segment that something was not written to is not written to again. Without anything in it, it goes: a full disk
    /// must not be filled with empty files.
    fn drop_half_written(&self, state: &mut State) {
        let open = state.open.take();
        let Some(last) = state.segments.back() else {
            return;
        };
        if last.bytes == 0 {
            // What cannot be removed is read, and found empty, with the next start.
            let _ = fs::remove_file(self.path(last.number));
            state.segments.pop_back();
        } else if let Some(file) = open {
            // The rest of it is half a report.
            let _ = file.set_len(last.bytes);
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.shared.directory.join(format!("{number:020}.reports"))
    }

    /// The reports that come next; nothing if all are delivered.
    pub(crate) fn next(&self) -> io::Result<Option<Batch>> {
        let mut state = self.shared.state.lock();
        loop {
            self.remove_delivered(&mut state)?;
            let Some(first) = state.segments.front_mut() else {
                // What seemed to be there may have been damaged: nobody is to come back for it.
                self.shared.has_some.send_replace(false);
                return Ok(None);
            };
            let mut file = File::open(self.path(first.number))?;
            file.seek(SeekFrom::Start(first.delivered))?;
            let mut bytes = Vec::new();
            file.take(BATCH_BYTES + MAX_REPORT as u64)
                .read_to_end(&mut bytes)?;
            let (reports, read) = decode(&bytes);
            if reports.is_empty() {
                // The end of a write that a crash cut off; what is whole comes before it. How many reports that were
                // nobody can say: one at least.
                tracing::error!(
                    segment = first.number,
                    bytes = first.bytes - first.delivered,
                    "the end of a spool's segment is damaged"
                );
                first.delivered = first.bytes;
                state.open = None;
                state.lost += 1;
                continue;
            }
            return Ok(Some(Batch {
                end: first.delivered + read,
                segment: first.number,
                reports,
            }));
        }
    }

    /// The control plane has all of `batch`.
    pub(crate) fn delivered(&self, batch: &Batch) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        if let Some(first) = state.segments.front_mut()
            && first.number == batch.segment
        {
            first.delivered = batch.end;
        }
        let removed = self.remove_delivered(&mut state);
        self.shared.has_some.send_replace(state.has_some());
        removed
    }

    /// Also the one that is being written: the next report begins another.
    fn remove_delivered(&self, state: &mut State) -> io::Result<()> {
        while let Some(first) = state.segments.front()
            && first.delivered >= first.bytes
        {
            let number = first.number;
            state.segments.pop_front();
            if state.segments.is_empty() {
                state.open = None;
            }
            match fs::remove_file(self.path(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The whole messages at the front of `bytes`, as many as go in one delivery, and what they take.
fn decode(bytes: &[u8]) -> (Vec<v1::Report>, u64) {
    let mut rest = bytes;
    let mut reports = Vec::new();
    let mut read = 0;
    while reports.len() < BATCH && read < BATCH_BYTES && !rest.is_empty() {
        let mut after = rest;
        let is_whole = prost::decode_length_delimiter(&mut after)
            .is_ok_and(|length| length <= MAX_REPORT && length <= after.len());
        let mut message = rest;
        let Some(Ok(report)) = is_whole.then(|| v1::Report::decode_length_delimited(&mut message))
        else {
            break;
        };
        read += (rest.len() - message.len()) as u64;
        rest = message;
        reports.push(report);
    }
    (reports, read)
}

/// It concerns no workspace alone: the chain of the control plane itself tells it.
fn lost_report(lost: u64) -> v1::Report {
    v1::Report {
        key: Uuid::now_v7().to_string(),
        workspace_id: Uuid::nil().to_string(),
        at_ms: cmdop_service::now_ms(),
        what: Some(v1::report::What::Event(v1::ReportedEvent {
            action: "reports-lost".into(),
            outcome: "failed".into(),
            detail: [("count".to_owned(), lost.to_string())].into(),
            ..v1::ReportedEvent::default()
        })),
    }
}

#[cfg(test)]
mod tests;
