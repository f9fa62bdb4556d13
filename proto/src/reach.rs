//! Which machines of its workspace an account reaches. The control plane decides it; relays apply it, offline, to
//! every machine and session that a caller names or is told of.

use serde::{Deserialize, Serialize};

use crate::ids::FleetId;

/// See the module. In a token it is the claim `fleets`: a list of ids, or nothing for all machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<FleetId>>", into = "Option<Vec<FleetId>>")]
pub enum Reach {
    /// Every machine of the workspace.
    #[default]
    All,
    /// The machines that are in one of these fleets; of none, if there is no fleet.
    Fleets(Vec<FleetId>),
}

impl Reach {
    /// Whether it is every machine.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Whether a machine that is in `fleets` is reached.
    pub fn includes(&self, fleets: &[FleetId]) -> bool {
        match self {
            Self::All => true,
            Self::Fleets(reached) => fleets.iter().any(|fleet| reached.contains(fleet)),
        }
    }
}

impl From<Option<Vec<FleetId>>> for Reach {
    fn from(fleets: Option<Vec<FleetId>>) -> Self {
        fleets.map_or(Self::All, Self::Fleets)
    }
}

impl From<Reach> for Option<Vec<FleetId>> {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::All => None,
            Reach::Fleets(fleets) => Some(fleets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_reached_by_one_fleet_and_nothing_is_reached_by_none() {
        let (eu, us) = (FleetId::new(), FleetId::new());
        let some = Reach::Fleets(vec![eu]);
        assert!(some.includes(&[us, eu]) && !some.includes(&[us]) && !some.includes(&[]));
        let none = Reach::Fleets(Vec::new());
        assert!(!none.includes(&[eu]) && !none.includes(&[]));
        assert!(Reach::All.includes(&[]) && Reach::All.is_all());
    }

    #[test]
    fn a_list_of_no_fleet_is_not_the_absence_of_a_list() {
        let read = |text: &str| serde_json::from_str::<Reach>(text);
        assert_eq!(read("[]").unwrap(), Reach::Fleets(Vec::new()));
        assert_eq!(read("null").unwrap(), Reach::All);
        // Nothing that cannot be read becomes "all".
        for bad in ["\"\"", "[\"eu\"]", "{}", "0"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let kept = Reach::Fleets(vec![FleetId::new()]);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(read(&text).unwrap(), kept);
    }
}
