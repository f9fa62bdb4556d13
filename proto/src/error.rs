//! Why something was refused: six kinds, mapped here and nowhere else to gRPC and to exit codes.

use std::fmt;

use prost::Message as _;
use tonic::{Code, Status};

use crate::v1::ErrorDetail;

/// What a refusal means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong; the same request will fail again.
    Invalid,
    /// The caller may not do this, or is not known.
    Denied,
    /// What it names does not exist.
    NotFound,
    /// A limit was reached; later it may work.
    Exhausted,
    /// Something that is needed is not there now; it may come back.
    Unavailable,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// The process exit code (sysexits.h; see docs of the command line).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Denied => 77,
            Self::NotFound | Self::Unavailable => 69,
            Self::Exhausted => 75,
            Self::Internal => 70,
        }
    }

    /// The gRPC status code under which it travels.
    pub fn code(self) -> Code {
        match self {
            Self::Invalid => Code::InvalidArgument,
            Self::Denied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::Exhausted => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::Internal => Code::Internal,
        }
    }

    /// What a status code of any server means here.
    pub fn of(code: Code) -> Self {
        match code {
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Unimplemented => Self::Invalid,
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied,
            Code::NotFound => Self::NotFound,
            Code::ResourceExhausted => Self::Exhausted,
            Code::Unavailable | Code::Aborted | Code::Cancelled | Code::DeadlineExceeded => {
                Self::Unavailable
            }
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

/// A request that was not done: what, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means to the caller.
    pub kind: ErrorKind,
    /// A stable word for programs, for example `machine-offline`.
    pub reason: String,
    /// One sentence for people, without a full stop: what failed, on what, why.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(kind: ErrorKind, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            hint: String::new(),
        }
    }

    /// The request is wrong.
    pub fn invalid(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, reason, message)
    }

    /// The caller may not.
    pub fn denied(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, reason, message)
    }

    /// It does not exist.
    pub fn not_found(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, reason, message)
    }

    /// A limit was reached.
    pub fn exhausted(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Exhausted, reason, message)
    }

    /// Something is not there now.
    pub fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, reason, message)
    }

    /// A bug of ours; log the cause where it is found, the caller gets only this.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", message)
    }

    /// The same with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The machine-readable part.
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail {
            reason: self.reason.clone(),
            hint: self.hint.clone(),
        }
    }

    /// Puts a refusal together again from its parts on the wire.
    pub fn from_parts(code: Code, message: &str, detail: Option<ErrorDetail>) -> Self {
        let detail = detail.unwrap_or_default();
        Self {
            kind: ErrorKind::of(code),
            reason: crate::text::shown(&detail.reason, 64),
            message: crate::text::shown(message, 1024),
            hint: crate::text::shown(&detail.hint, 512),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.detail().encode_to_vec();
        Status::with_details(refusal.kind.code(), refusal.message, detail.into())
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let detail = ErrorDetail::decode(status.details()).ok();
        Self::from_parts(status.code(), status.message(), detail)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_wire() {
        let refusal = Refusal::unavailable("machine-offline", "web-1 is offline").hint("wait");
        assert_eq!(Refusal::from(Status::from(refusal.clone())), refusal);
    }

    #[test]
    fn a_server_cannot_print_escapes_through_its_errors() {
        let status = Status::internal("\x1b]0;owned\x07");
        assert_eq!(Refusal::from(status).message, "]0;owned");
    }
}
