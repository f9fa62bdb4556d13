//! What a machine reads, on its way into a feed instead of to the caller: the answers become the requests that
//! write it elsewhere.
//!
//! The machine that reads is not trusted: what it was not asked for gets no path at the target, and what it sends
//! is proved by the machine that writes. Both were opened with what the caller may do there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};

use crate::feed::{Copies, Feeds, Owner, Piece, Producer};

/// Requests of one stream whose answers are carried, at the same time; and what their paths may take.
const MAX_CARRIED: usize = 256;
const MAX_PATHS: usize = 4 << 20;

/// What a request, and each of its paths, takes beside the bytes of names.
const ENTRY: usize = 128;

/// The requests of one stream whose answers go into a feed.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    state: Mutex<VecDeque<Order>>,
}

/// What is done with the answers to one request.
#[derive(Debug)]
struct Order {
    id: u64,
    carry: v1::FileCarry,
    /// Where each path that was asked for goes.
    to: HashMap<Bytes, Bytes>,
    cost: usize,
}

impl Carried {
    /// Takes from a request what the machine need not know.
    pub(crate) fn asked(&self, request: &mut v1::FileRequest) -> Result<(), Refusal> {
        let (carry, paths): (_, &[Bytes]) = match &mut request.request {
            Some(Ask::Read(read)) => (read.carry.take(), &[]),
            Some(Ask::Fetch(fetch)) => (fetch.carry.take(), &fetch.paths),
            _ => return Ok(()),
        };
        let Some(mut carry) = carry else {
            return Ok(());
        };
        if carry.to.len() != paths.len() {
            return Err(Refusal::invalid(
                "bad-request",
                "what is carried has not as many destinations as paths",
            ));
        }
        if paths.len() > limits::MAX_STAGED {
            let message = format!("more than {} paths in one request", limits::MAX_STAGED);
            return Err(Refusal::invalid("bad-request", message));
        }
        let to = std::mem::take(&mut carry.to);
        let names: usize = paths.iter().chain(&to).map(Bytes::len).sum();
        let cost = names + carry.feed.len() + ENTRY * (paths.len() + 1);
        let to = own_pairs(paths, &to, names);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = state.iter().map(|order| order.cost).sum();
        if state.len() >= MAX_CARRIED || all.saturating_add(cost) > MAX_PATHS {
            return Err(Refusal::exhausted(
                "too-many-requests",
                "too many answers are to be carried on this stream",
            ));
        }
        state.push_back(Order {
            id: request.id,
            carry,
            to,
            cost,
        });
        Ok(())
    }

    /// What is to be done with an answer: `None` if it is the caller's as it is.
    fn order(&self, response: &mut v1::FileResponse) -> Result<Option<Load>, Refusal> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was passed over is not answered any more.
        while state.front().is_some_and(|order| order.id < response.id) {
            state.pop_front();
        }
        let Some(order) = state.front_mut().filter(|order| order.id == response.id) else {
            return Ok(None);
        };
        let ask = match &mut response.response {
            Some(Response::Data(data)) => Some(order.write(data)?),
            Some(Response::Batch(batch)) => Some(order.put(batch)?),
            _ => None,
        };
        let load = ask.map(|ask| Load {
            feed: order.carry.feed.clone(),
            ask,
        });
        if response.last {
            state.pop_front();
        }
        Ok(load)
    }
}

/// A request on its way into a feed.
#[derive(Debug)]
struct Load {
    feed: String,
    ask: Ask,
}

impl Order {
    /// The data goes; the hash stays with the caller too, who sees that the chunk is complete.
    fn write(&self, data: &mut v1::FileData) -> Result<Ask, Refusal> {
        if data.data.len() > limits::FILE_PIECE {
            return Err(Refusal::unavailable(
                "bad-answer",
                "the machine sent more of a file at once than fits into a piece",
            ));
        }
        Ok(Ask::Write(v1::FileWrite {
            handle: self.carry.handle,
            offset: data.offset,
            data: std::mem::take(&mut data.data),
            blake3: data.blake3.clone(),
        }))
    }

    /// Each file under its path at the target, without the bits that stay behind.
    fn put(&mut self, batch: &mut v1::FileBatch) -> Result<Ask, Refusal> {
        let mut files = Vec::with_capacity(batch.files.len());
        for file in &mut batch.files {
            let path = self.to.remove(&file.path).ok_or_else(unasked)?;
            let told = v1::SmallFile {
                path: file.path.clone(),
                ..v1::SmallFile::default()
            };
            let mut file = std::mem::replace(file, told);
            file.path = path;
            file.mode &= self.carry.modes;
            file.replace = self.carry.replace;
            files.push(file);
        }
        let put = v1::FilePut { files };
        // Longer paths at the target must not make a message that no machine takes.
        if prost::Message::encoded_len(&put) + 64 > limits::MAX_FRAME {
            return Err(crate::incoming::too_large());
        }
        Ok(Ask::Put(put))
    }
}

/// Where each path goes. It waits for the answer, so it is copied: what was decoded would keep the whole request.
fn own_pairs(paths: &[Bytes], to: &[Bytes], names: usize) -> HashMap<Bytes, Bytes> {
    let mut copies = Copies::with_room(names);
    let pairs = paths.iter().zip(to);
    pairs
        .map(|(path, to)| (copies.of(path), copies.of(to)))
        .collect()
}

fn unasked() -> Refusal {
    Refusal::unavailable(
        "bad-answer",
        "the machine sent a file that nobody asked for",
    )
}

/// The way of a stream's answers into its feed.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    producer: Option<Producer>,
    loaded: Option<(v1::FileResponse, Piece)>,
}

impl Carrier {
    /// Whether an answer waits for room; the next one is to be pulled only then.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    /// Takes an answer from the machine.
    pub(crate) fn load(
        &mut self,
        carried: &Carried,
        (feeds, owner): (&Feeds, &Owner),
        mut response: v1::FileResponse,
    ) -> Result<Option<v1::FileResponse>, Refusal> {
        let Some(load) = carried.order(&mut response)? else {
            return Ok(Some(response));
        };
        let is_known = |producer: &Producer| producer.feed().to_string() == load.feed;
        if !self.producer.as_ref().is_some_and(is_known) {
            self.producer = Some(Producer::new(feeds.find(&load.feed, owner)?));
        }
        self.loaded = Some((response, Piece::new(load.ask)?));
        Ok(None)
    }

    /// Waits for room in the feed, then tells the caller what went there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<v1::FileResponse, Refusal>> {
        let (Some((_, piece)), Some(producer)) = (&self.loaded, &mut self.producer) else {
            return Poll::Pending;
        };
        let (number, counted) = ready!(producer.poll_push(cx, piece))?;
        // By the length of what is written its caller sees when a chunk is complete.
        let bytes = match piece.ask() {
            Ask::Write(write) => write.data.len() as u64,
            _ => counted,
        };
        let Some((mut response, _)) = self.loaded.take() else {
            return Poll::Pending;
        };
        let carried = Some(v1::FileCarried {
            piece: number,
            bytes,
        });
        match &mut response.response {
            Some(Response::Data(data)) => data.carried = carried,
            Some(Response::Batch(batch)) => batch.carried = carried,
            _ => {}
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests;
