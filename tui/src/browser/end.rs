//! Where files are: on this computer or on a machine, and a path there.
//!
//! A path is bytes, as the file system has it. Text is made of it only to be shown, and never read back.

use bytes::Bytes;
use cmdop_client::files::Place;
use cmdop_client::transfer::Location;
use cmdop_proto::MachineId;

use super::path;

/// This computer, or a machine.
#[derive(Clone, Debug)]
pub enum End {
    /// This computer, as its user.
    Here,
    /// A machine.
    Machine(Machine),
}

/// A machine as this page knows it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Which one.
    pub id: MachineId,
    /// What it is called, stripped.
    pub name: String,
}

impl PartialEq for End {
    /// A machine that was given another name is the same one.
    fn eq(&self, other: &Self) -> bool {
        self.machine() == other.machine()
    }
}

impl Eq for End {}

impl End {
    /// The machine that it is.
    pub fn machine(&self) -> Option<MachineId> {
        match self {
            Self::Here => None,
            Self::Machine(machine) => Some(machine.id),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Here => "here",
            Self::Machine(machine) => &machine.name,
        }
    }

    /// As the client library calls it.
    pub fn place(&self) -> Place {
        match self {
            Self::Here => Place::Here,
            Self::Machine(machine) => Place::Machine(machine.id.to_string()),
        }
    }
}

/// A path at an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Where.
    pub end: End,
    /// The path; empty: the home of whoever reads it.
    pub path: Bytes,
}

impl Spot {
    /// What is called `name` in the directory that this is.
    pub fn child(&self, name: &[u8]) -> Self {
        Self {
            end: self.end.clone(),
            path: path::join(&self.path, name),
        }
    }

    /// As it is shown: `web-1:/var/log`.
    pub fn shown(&self) -> String {
        let place = match self.path.as_ref() {
            b"" => "~".to_owned(),
            place => path::shown(place),
        };
        format!("{}:{place}", self.end.name())
    }

    /// As the client library calls it.
    pub fn location(&self) -> Location {
        Location {
            place: self.end.place(),
            path: self.path.clone(),
        }
    }
}
