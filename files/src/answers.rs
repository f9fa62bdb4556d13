//! How an operation answers: some parts, then a last one; and how it stops.

use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};

/// Why an operation did not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was refused; the caller is told.
    Refused(Refusal),
    /// Nobody listens any more.
    Gone,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whoever asked.
pub trait Caller {
    /// Tells an answer; `false`: nobody listens.
    fn tell(&mut self, response: v1::FileResponse) -> bool;

    /// Whether nobody listens any more: what takes long and says nothing meanwhile looks now and then.
    fn is_gone(&self) -> bool;
}

/// One that listens as long as it is told something.
impl<F: FnMut(v1::FileResponse) -> bool> Caller for F {
    fn tell(&mut self, response: v1::FileResponse) -> bool {
        self(response)
    }

    fn is_gone(&self) -> bool {
        false
    }
}

/// Where the answers to one request go.
pub(crate) struct Answers<'a> {
    id: u64,
    caller: &'a mut dyn Caller,
}

impl<'a> Answers<'a> {
    pub(crate) fn new(id: u64, caller: &'a mut dyn Caller) -> Self {
        Self { id, caller }
    }

    /// Stops what nobody waits for.
    pub(crate) fn wanted(&self) -> Result<(), Stop> {
        if self.caller.is_gone() {
            return Err(Stop::Gone);
        }
        Ok(())
    }

    /// One of several.
    pub(crate) fn part(&mut self, response: Response) -> Result<(), Stop> {
        self.tell(false, response)
    }

    /// The last one.
    pub(crate) fn last(&mut self, response: Response) -> Result<(), Stop> {
        self.tell(true, response)
    }

    /// The last one, where there is nothing to say but how many.
    pub(crate) fn done(&mut self, count: u64) -> Result<(), Stop> {
        self.last(Response::Done(v1::FileDone { count }))
    }

    /// The last one: no.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> Result<(), Stop> {
        self.last(Response::Refused(refused(refusal, &[])))
    }

    fn tell(&mut self, last: bool, response: Response) -> Result<(), Stop> {
        let response = v1::FileResponse {
            id: self.id,
            last,
            response: Some(response),
        };
        if self.caller.tell(response) {
            Ok(())
        } else {
            Err(Stop::Gone)
        }
    }
}

/// A refusal as it travels, about one of several paths.
pub(crate) fn refused(refusal: &Refusal, path: &[u8]) -> v1::FileRefused {
    v1::FileRefused {
        grpc_code: refusal.kind.code() as u32,
        message: refusal.message.clone(),
        detail: Some(refusal.detail()),
        path: bytes::Bytes::copy_from_slice(path),
    }
}

/// Refusals about several paths, told in pieces that fit a frame.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    refused: Vec<v1::FileRefused>,
    done: u64,
}

/// A refusal has at most a path and two sentences: so many stay well below a frame.
const MAX_OUTCOMES: usize = 64;

impl Outcomes {
    pub(crate) fn done(&mut self) {
        self.done += 1;
    }

    pub(crate) fn refuse(
        &mut self,
        answers: &mut Answers<'_>,
        refusal: &Refusal,
        path: &[u8],
    ) -> Result<(), Stop> {
        self.refused.push(refused(refusal, path));
        if self.refused.len() < MAX_OUTCOMES {
            return Ok(());
        }
        let refused = std::mem::take(&mut self.refused);
        let part = v1::FileOutcomes { refused, done: 0 };
        answers.part(Response::Outcomes(part))
    }

    pub(crate) fn tell(self, answers: &mut Answers<'_>) -> Result<(), Stop> {
        answers.last(Response::Outcomes(v1::FileOutcomes {
            refused: self.refused,
            done: self.done,
        }))
    }
}
