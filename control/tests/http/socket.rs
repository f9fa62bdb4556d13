//! A client of events that does only what it is told to: frames out, frames in.

use std::collections::VecDeque;
use std::time::Duration;

use cmdop_client::dial::{self, Trust};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::world::{World, text};

/// The promise is a second; a test machine that is busy gets more.
const SOON: Duration = Duration::from_secs(10);

/// One connection.
pub struct Socket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
    calls: u32,
    replies: VecDeque<Value>,
    pushes: VecDeque<Value>,
}

impl Socket {
    pub async fn open(world: &World) -> Self {
        Self::open_from(world, None).await.unwrap()
    }

    /// As the page of an origin does.
    pub async fn open_from(
        world: &World,
        origin: Option<&str>,
    ) -> Result<Self, tungstenite::Error> {
        Self::open_at(&world.running.url, &world.running.ca_pem, origin).await
    }

    pub async fn open_at(
        url: &str,
        ca_pem: &str,
        origin: Option<&str>,
    ) -> Result<Self, tungstenite::Error> {
        let address = url.trim_start_matches("https://");
        let stream = TcpStream::connect(address).await.unwrap();
        Self::open_over(stream, (url, ca_pem), origin).await
    }

    async fn open_over(
        stream: TcpStream,
        (url, ca_pem): (&str, &str),
        origin: Option<&str>,
    ) -> Result<Self, tungstenite::Error> {
        let mut tls = dial::tls_config(&Trust::Ca(ca_pem.into())).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let address = url.trim_start_matches("https://").to_owned();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(std::sync::Arc::new(tls)).connect(name, stream);
        let stream = stream.await.unwrap();
        let url = format!("wss://{address}/connection/websocket");
        let mut request = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            let origin = origin.parse().unwrap();
            request.headers_mut().insert("origin", origin);
        }
        let (stream, response) = tokio_tungstenite::client_async(request, stream).await?;
        // Nothing is compressed, whatever a client offers.
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        Ok(Self {
            stream,
            calls: 0,
            replies: VecDeque::new(),
            pushes: VecDeque::new(),
        })
    }

    /// Connected with the access token of a login.
    pub async fn of(world: &World, who: &Value) -> Self {
        let mut socket = Self::open(world).await;
        let reply = socket.connect(text(&who["access_token"])).await;
        assert_eq!(reply["ping"], 25, "{reply}");
        socket
    }

    /// The same, but the system takes in next to nothing for it while it does not read.
    pub async fn narrow(world: &World, who: &Value) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let (url, ca_pem) = (&world.running.url, &world.running.ca_pem);
        let stream = socket.connect(world.running.address).await.unwrap();
        let mut socket = Self::open_over(stream, (url, ca_pem), None).await.unwrap();
        socket.connect(text(&who["access_token"])).await;
        socket
    }

    /// How many events of a channel it was told and did not ask for yet.
    pub fn waiting(&self, channel: &str) -> usize {
        let of_channel = self.pushes.iter().filter(|push| push["channel"] == channel);
        of_channel.count()
    }

    /// Replies that nobody asked for yet.
    pub fn unasked_replies(&self) -> usize {
        self.replies.len()
    }

    /// Whether the next thing that comes is a reply, and no end.
    pub async fn is_answered(&mut self) -> bool {
        while self.replies.is_empty() {
            if self.read().await.is_some() {
                return false;
            }
        }
        self.calls = 1;
        self.replies.clear();
        true
    }

    pub async fn send(&mut self, frame: impl Into<String>) {
        let frame = Message::text(frame.into());
        self.stream.send(frame).await.unwrap();
    }

    pub async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    /// The result of a command, or its error.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(json!({"id": id, method: params}).to_string())
            .await;
        loop {
            if let Some(mut reply) = self.replies.pop_front() {
                assert_eq!(reply["id"], id);
                let key = if reply["error"].is_null() {
                    method
                } else {
                    "error"
                };
                return reply[key].take();
            }
            let end = self.read().await;
            assert!(end.is_none(), "{method}: {end:?}");
        }
    }

    /// So many replies.
    pub async fn replies(&mut self, count: usize) -> Vec<Value> {
        while self.replies.len() < count {
            let end = self.read().await;
            assert!(end.is_none(), "{end:?}");
        }
        self.replies.drain(..count).collect()
    }

    pub async fn connect(&mut self, token: &str) -> Value {
        self.call("connect", json!({"token": token, "name": "test"}))
            .await
    }

    pub async fn subscribe(&mut self, channel: &str) -> Value {
        self.call("subscribe", json!({"channel": channel})).await
    }

    /// Subscribes from where another left.
    pub async fn recover(&mut self, channel: &str, offset: u64, epoch: &Value) -> Value {
        let asked = json!({
            "channel": channel, "recover": true, "offset": offset, "epoch": epoch,
        });
        self.call("subscribe", asked).await
    }

    /// The next push.
    pub async fn push(&mut self) -> Value {
        self.push_of(|_| true).await
    }

    /// The next event of a channel: its number, and what it tells.
    pub async fn event(&mut self, channel: &str) -> (u64, Value) {
        let mut push = self.push_of(|push| push["channel"] == channel).await;
        let number = push["pub"]["offset"].as_u64().unwrap();
        (number, push["pub"]["data"].take())
    }

    /// The next push of that kind; the others wait for who asks for them.
    async fn push_of(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(place) = self.pushes.iter().position(&is_it) {
                return self.pushes.remove(place).unwrap();
            }
            let end = self.read().await;
            assert!(end.is_none(), "instead of an event: {end:?}");
        }
    }

    /// The code and the reason with which the server ends it. Events that come before are passed over.
    pub async fn end(&mut self) -> (u16, String) {
        loop {
            if let Some(end) = self.read().await {
                return end;
            }
        }
    }

    /// Takes one frame in; the end, if it was one.
    async fn read(&mut self) -> Option<(u16, String)> {
        let frame = tokio::time::timeout(SOON, self.stream.next());
        let frame = frame.await.expect("a frame comes soon");
        match frame {
            Some(Ok(Message::Text(text))) => self.take(&text),
            Some(Ok(Message::Close(Some(frame)))) => {
                return Some((frame.code.into(), frame.reason.as_str().to_owned()));
            }
            Some(Ok(_)) => {}
            other => return Some((1006, format!("{other:?}"))),
        }
        None
    }

    fn take(&mut self, frame: &str) {
        for line in frame.lines() {
            let mut reply: Value = serde_json::from_str(line).unwrap();
            if reply["id"].is_u64() {
                self.replies.push_back(reply);
            } else if reply["push"].is_object() {
                self.pushes.push_back(reply["push"].take());
            }
        }
    }
}
