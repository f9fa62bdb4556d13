//! Faults on the network: a TCP proxy whose connections can be cut and refused.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A way to `target` that the test can cut.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Connections that were made under an older number are dead.
    generation: u64,
    /// New connections are closed at once.
    closed: bool,
    /// The connections that were ever made.
    made: u64,
}

impl Proxy {
    /// Listens on a free port and forwards to `target`, which need not be there yet.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::over(listener, target)
    }

    /// Forwards what arrives on `listener`.
    pub fn over(listener: TcpListener, target: SocketAddr) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        let state = watch::Sender::new(State::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, state.clone()));
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection, with a reset; new ones are welcome.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Cuts every connection and refuses new ones until [`Proxy::open`].
    pub fn close(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.closed = true;
        });
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.state.send_modify(|state| state.closed = false);
    }

    /// How many connections were ever let through.
    pub fn connections(&self) -> u64 {
        self.state.borrow().made
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Sender<State>) {
    let mut tasks = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while tasks.try_join_next().is_some() {}
        if state.borrow().closed {
            reset(&near);
            continue;
        }
        state.send_modify(|state| state.made += 1);
        tasks.spawn(forward(near, target, state.subscribe()));
    }
}

async fn forward(mut near: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let generation = state.borrow().generation;
    let Ok(mut far) = TcpStream::connect(target).await else {
        return reset(&near);
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let cut = state.wait_for(|state| state.generation != generation);
    // Dropping the copy loses bytes on their way: that is what a cut is.
    tokio::select! {
        _ = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, 64 << 10, 64 << 10) => {}
        _ = cut => {
            reset(&near);
            reset(&far);
        }
    }
}

/// Closing then sends a reset, as a router that lost its state does.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_old_connections_and_lets_new_ones_through() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(target.local_addr().unwrap()).await;
        let mut near = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut far, _) = target.accept().await.unwrap();
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        proxy.cut();
        near.read_u8().await.unwrap_err();
        far.read_u8().await.unwrap_err();
        TcpStream::connect(proxy.address()).await.unwrap();
        target.accept().await.unwrap();
        assert_eq!(proxy.connections(), 2);
    }
}
