//! What holder and worker tell each other. Encoded as protocol buffers, because a holder meets workers
//! of later versions: fields are added, never reused.

use cmdop_proto::v1;
use prost::Message as _;

/// From the worker to the holder.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FromWorker {
    #[prost(oneof = "from_worker::Message", tags = "1, 2, 3, 4")]
    pub(crate) message: Option<from_worker::Message>,
}

pub(crate) mod from_worker {
    /// One of them.
    #[derive(Clone, PartialEq, prost::Oneof)]
    #[allow(
        clippy::large_enum_variant,
        reason = "as many are made as sessions are started"
    )]
    pub(crate) enum Message {
        #[prost(message, tag = "1")]
        Hello(super::Hello),
        #[prost(message, tag = "2")]
        Start(super::Start),
        #[prost(message, tag = "3")]
        Release(super::Release),
        #[prost(message, tag = "4")]
        Program(super::Program),
    }
}

/// From the holder to the worker.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FromHolder {
    #[prost(oneof = "from_holder::Message", tags = "1, 2, 3, 4")]
    pub(crate) message: Option<from_holder::Message>,
}

pub(crate) mod from_holder {
    /// One of them.
    #[derive(Clone, PartialEq, prost::Oneof)]
    #[allow(
        clippy::large_enum_variant,
        reason = "as many are made as sessions are started"
    )]
    pub(crate) enum Message {
        #[prost(message, tag = "1")]
        Held(super::Held),
        #[prost(message, tag = "2")]
        Ready(super::Ready),
        #[prost(message, tag = "3")]
        Failed(super::Failed),
        #[prost(message, tag = "4")]
        Ended(super::Ended),
    }
}

/// A worker begins: it wants to have all sessions, and then `ready`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    /// The worker's version, for people.
    #[prost(string, tag = "1")]
    pub(crate) version: String,
}

/// Start a session's program on a terminal; answered by `held` or `failed`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Start {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
    /// Empty: the login shell that stands in `env` as SHELL.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) argv: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) cwd: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) env: Vec<Variable>,
    #[prost(message, optional, tag = "5")]
    pub(crate) size: Option<v1::Size>,
    /// How much output the memory is to hold.
    #[prost(uint64, tag = "6")]
    pub(crate) log_bytes: u64,
    /// What a later worker needs to know of the session.
    #[prost(message, optional, tag = "7")]
    pub(crate) record: Option<v1::Session>,
}

/// One variable of an environment.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Variable {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// The session is over for the worker: reap its process and forget it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Release {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
}

/// A program without a terminal, which the worker has started itself: it is to end with the worker.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Program {
    #[prost(int32, tag = "1")]
    pub(crate) pid: i32,
    /// It is over, and its id may pass to another.
    #[prost(bool, tag = "2")]
    pub(crate) over: bool,
}

/// A session that is held. Its terminal and the parts of its memory come as descriptors.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Held {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
    #[prost(int32, tag = "2")]
    pub(crate) pid: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) record: Option<v1::Session>,
    /// How its process ended, if it has.
    #[prost(message, optional, tag = "4")]
    pub(crate) exit: Option<v1::Exit>,
}

/// All that were held have been told.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ready {}

/// A session could not be started.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Failed {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// A session's process ended. Its id stays taken until the session is released.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ended {
    #[prost(string, tag = "1")]
    pub(crate) session_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) exit: Option<v1::Exit>,
}

impl FromWorker {
    pub(crate) fn bytes(message: from_worker::Message) -> Vec<u8> {
        Self {
            message: Some(message),
        }
        .encode_to_vec()
    }

    /// `None`: it is damaged, or of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<from_worker::Message> {
        Self::decode(bytes).ok()?.message
    }
}

impl FromHolder {
    pub(crate) fn bytes(message: from_holder::Message) -> Vec<u8> {
        Self {
            message: Some(message),
        }
        .encode_to_vec()
    }

    /// `None`: it is damaged, or of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<from_holder::Message> {
        Self::decode(bytes).ok()?.message
    }
}
