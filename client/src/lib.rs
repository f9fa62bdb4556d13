//! How anything talks to a relay and a control plane: the SDK under the terminal client, the command
//! line, the agent's and the relay's outgoing calls, and the tests.

pub mod backoff;
pub mod dial;
