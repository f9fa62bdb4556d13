//! A narrow, long link on loopback: a TCP proxy that passes bytes at a rate and after a delay.
//!
//! It stands for a router, so it takes little: what it does not take stays in the sender's kernel, as
//! with a real link.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Bytes a second, each way.
pub(crate) const RATE: u32 = 100_000;

/// How long each byte is under way, each way.
pub(crate) const DELAY: Duration = Duration::from_millis(40);

/// One packet on Ethernet.
const PACKET: usize = 1448;

/// What the kernel holds for the proxy on each side, bytes; it doubles the number (socket(7)).
const KERNEL: u32 = 4 << 10;

/// Packets that were taken and are not delivered: those that fit on the link, and as many in the router.
const UNDER_WAY: usize = 2 * (RATE as usize * DELAY.as_millis() as usize / 1000).div_ceil(PACKET);

/// A link to one server. It ends when dropped, with its connections.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Link {
    pub(crate) fn to(target: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Connections inherit it; set later, it would not bound what was already offered.
        socket.set_recv_buffer_size(KERNEL).expect("a small buffer");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(any).expect("a free port");
        let listener = socket.listen(16).expect("a listener");
        let address = listener.local_addr().expect("a listener has an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target));
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr) {
    let mut tasks = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(KERNEL).expect("a small buffer");
        let Ok(far) = socket.connect(target).await else {
            continue;
        };
        for stream in [&near, &far] {
            set_up(stream);
        }
        let (near, far) = (near.into_split(), far.into_split());
        pass(&mut tasks, near.0, far.1);
        pass(&mut tasks, far.0, near.1);
    }
}

fn set_up(stream: &TcpStream) {
    stream.set_nodelay(true).expect("a TCP option");
    let socket = SockRef::from(stream);
    socket
        .set_send_buffer_size(KERNEL as usize)
        .expect("a small buffer");
}

/// One direction: packets leave one after the other at the rate, and arrive after the delay.
fn pass(tasks: &mut JoinSet<()>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (packets, mut arriving) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY);
    tasks.spawn(async move {
        let mut gone_at = Instant::now();
        loop {
            let mut packet = BytesMut::with_capacity(PACKET);
            let read = (&mut from).take(PACKET as u64).read_buf(&mut packet).await;
            if !matches!(read, Ok(count) if count > 0) {
                return;
            }
            let takes = Duration::from_secs(1) * packet.len() as u32 / RATE;
            gone_at = gone_at.max(Instant::now()) + takes;
            sleep_until(gone_at).await;
            let packet = (gone_at + DELAY, packet.freeze());
            if packets.send(packet).await.is_err() {
                return;
            }
        }
    });
    tasks.spawn(async move {
        while let Some((arrives_at, packet)) = arriving.recv().await {
            sleep_until(arrives_at).await;
            if to.write_all(&packet).await.is_err() {
                return;
            }
        }
    });
}
