//! Taking a port, and saying which one it became.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the port.
    #[error(
        "cannot listen on {address}: the port is in use; stop the program that has it \
         (`ss -ltnp` names it), or choose another with --listen"
    )]
    InUse {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {address}: {reason}")]
    Refused {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
}

/// Listens on `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|reason| {
        if reason.kind() == io::ErrorKind::AddrInUse {
            Error::InUse { address }
        } else {
            Error::Refused { address, reason }
        }
    })
}

/// Tells whoever started the program that it is ready: the address alone in one line on stdout.
/// A reader that went away is no reason to stop.
pub fn announce(address: SocketAddr) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{address}");
    let _ = stdout.flush();
}
