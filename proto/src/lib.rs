//! The protocol of cmdop: its messages, and the rules that give them meaning.
//!
//! Nothing here does IO or reads a clock. The field-level reference is in `cmdop/v1/*.proto`;
//! this crate adds the types that make a wrong value hard to write.

pub mod audit;
pub mod error;
pub mod feed;
pub mod file_change;
pub mod ids;
pub mod limits;
pub mod offset;
pub mod reach;
pub mod scope;
pub mod size;
pub mod text;
pub mod token;

/// The generated messages, clients and servers of package `cmdop.v1`.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
pub mod v1 {
    tonic::include_proto!("cmdop.v1");
}

/// The encoded descriptors of `cmdop.v1`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cmdop.v1.bin"));

pub use error::{ErrorKind, Refusal};
pub use ids::{
    AccountId, ClientId, CommandId, FleetId, InputSeq, LinkEpoch, LoginId, MachineId, RelayId,
    RunId, SessionId, TransferId, WorkspaceId,
};
pub use offset::Offset;
pub use reach::Reach;
pub use size::Size;
