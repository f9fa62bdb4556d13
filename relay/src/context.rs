//! What every session and every call of one relay shares.

use crate::config::Limits;
use crate::deadlines::Deadlines;
use crate::directory::Directory;
use crate::lingering::Lingering;
use crate::machines::Machines;
use crate::meters::Meters;
use crate::report::Reporter;
use crate::transfers::Transfers;

/// The shared parts. None of them refers back to a session's owner.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) limits: Limits,
    pub(crate) directory: Directory,
    pub(crate) machines: Machines,
    pub(crate) deadlines: Deadlines,
    pub(crate) lingering: Lingering,
    pub(crate) meters: Meters,
    pub(crate) reporter: Reporter,
    pub(crate) transfers: Transfers,
}
