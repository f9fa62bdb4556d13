//! Faults on the network: a TCP proxy whose connections can be cut and refused, and whose side of the
//! network can get another address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A way to `target` that the test can cut.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    carried: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Connections that were made under an older number are dead.
    generation: u64,
    /// New connections are closed at once.
    closed: bool,
    /// The connections that were ever made.
    made: u64,
    /// Where they come from, as `target` sees it.
    source: Ipv4Addr,
    /// Connections that were made under another source hang on this side instead of ending.
    moved: bool,
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
        let state = watch::Sender::new(State {
            generation: 0,
            closed: false,
            made: 0,
            source: Ipv4Addr::LOCALHOST,
            moved: false,
        });
        let mut tasks = JoinSet::new();
        let carried = Arc::new(AtomicU64::new(0));
        tasks.spawn(accept(listener, target, state.clone(), carried.clone()));
        Self {
            address,
            state,
            carried,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection, with a reset; new ones are welcome.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.moved = false;
        });
    }

    /// Cuts every connection and refuses new ones until [`Proxy::open`].
    pub fn close(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            (state.closed, state.moved) = (true, false);
        });
    }

    /// Whoever is on this side has another address from now on, one of 127.0.0.0/8: the connections of
    /// the old one end here, and the target never hears of it.
    pub fn move_to(&self, source: Ipv4Addr) {
        self.state.send_modify(|state| {
            state.generation += 1;
            (state.source, state.moved) = (source, true);
        });
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.state.send_modify(|state| state.closed = false);
    }

    /// How many bytes passed, both ways together.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// How many connections were ever let through.
    pub fn connections(&self) -> u64 {
        self.state.borrow().made
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    state: watch::Sender<State>,
    carried: Arc<AtomicU64>,
) {
    let mut tasks = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while tasks.try_join_next().is_some() {}
        if state.borrow().closed {
            reset(&near);
            continue;
        }
        state.send_modify(|state| state.made += 1);
        let carried = carried.clone();
        tasks.spawn(forward(near, target, state.subscribe(), carried));
    }
}

async fn forward(
    mut near: TcpStream,
    target: SocketAddr,
    state: watch::Receiver<State>,
    carried: Arc<AtomicU64>,
) {
    let State {
        generation, source, ..
    } = *state.borrow();
    let Ok(mut far) = connect(source, target).await else {
        return reset(&near);
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let mut cuts = state;
    let cut = async {
        let cut = cuts.wait_for(|state| state.generation != generation).await;
        cut.is_ok_and(|state| state.moved)
    };
    // Dropping the copy loses bytes on their way: that is what a cut is.
    tokio::select! {
        _ = both_ways(&mut near, &mut far, &carried) => {}
        has_moved = cut => {
            reset(&near);
            drop(near);
            if has_moved {
                // Half open, until the target gives it up or the test ends.
                return std::future::pending().await;
            }
            reset(&far);
        }
    }
}

async fn both_ways(
    near: &mut TcpStream,
    far: &mut TcpStream,
    carried: &AtomicU64,
) -> std::io::Result<((), ())> {
    let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
    let there = one_way(near_read, far_write, carried);
    let back = one_way(far_read, near_write, carried);
    tokio::try_join!(there, back)
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    carried: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        carried.fetch_add(count as u64, Ordering::Relaxed);
    }
}

async fn connect(source: Ipv4Addr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(target).await
}

/// Closing then sends a reset, as a router that lost its state does.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_ends_old_connections_and_lets_new_ones_through() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(target.local_addr().unwrap()).await;
        let mut near = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut far, _) = target.accept().await.unwrap();
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        assert_eq!(proxy.carried(), 1);
        proxy.cut();
        near.read_u8().await.unwrap_err();
        far.read_u8().await.unwrap_err();
        TcpStream::connect(proxy.address()).await.unwrap();
        target.accept().await.unwrap();
        assert_eq!(proxy.connections(), 2);
    }

    #[tokio::test]
    async fn a_move_leaves_the_old_connection_half_open_and_the_next_comes_from_elsewhere() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(target.local_addr().unwrap()).await;
        let mut near = TcpStream::connect(proxy.address()).await.unwrap();
        let (old, from) = target.accept().await.unwrap();
        assert_eq!(from.ip(), Ipv4Addr::LOCALHOST);
        let there = Ipv4Addr::new(127, 0, 0, 2);
        proxy.move_to(there);
        near.read_u8().await.unwrap_err();
        let mut near = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut new, from) = target.accept().await.unwrap();
        assert_eq!(from.ip(), there);
        near.write_all(b"x").await.unwrap();
        assert_eq!(new.read_u8().await.unwrap(), b'x');
        let silent = old.try_read(&mut [0]).unwrap_err();
        assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    }
}
