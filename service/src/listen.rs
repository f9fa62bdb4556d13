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
         (`ss -ltnp` names it), or choose another with {option}"
    )]
    InUse {
        /// What was asked for.
        address: SocketAddr,
        /// Where it was asked for.
        option: &'static str,
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

/// Listens on the `address` that `--listen` gives; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    bind_for("--listen", address).await
}

/// Listens on the `address` that another option gives, which an error names.
pub async fn bind_for(option: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|reason| {
        if reason.kind() == io::ErrorKind::AddrInUse {
            Error::InUse { address, option }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_the_option_that_asked_for_it() {
        let taken = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind_for("--metrics-listen", address).await.unwrap_err();
        assert!(error.to_string().contains("--metrics-listen"), "{error}");
        let error = bind(address).await.unwrap_err();
        assert!(error.to_string().ends_with("with --listen"), "{error}");
    }
}
