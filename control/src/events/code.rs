//! The numbers with which the protocol says no: errors that answer a command, and why a connection ends
//! (Centrifugo's documentation, "Client protocol codes").

/// An error in the answer to a command. The connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is our fault; the same may work a moment later.
    Internal,
    /// There is no channel of that kind.
    UnknownChannel,
    /// Not allowed, or not there: nobody learns which.
    PermissionDenied,
    /// We do not know the command.
    MethodNotFound,
    /// The channel is subscribed to already.
    AlreadySubscribed,
    /// One more than there may be.
    LimitExceeded,
    /// We know the command, and do not offer it.
    NotAvailable,
    /// The token that came with `connect` is over: come back with another.
    TokenExpired,
    /// The token that came with `refresh` is over.
    Expired,
    /// The events from there on are not kept any more.
    UnrecoverablePosition,
}

impl Fault {
    /// The number and the words that go with it, and whether to try again.
    pub(crate) const fn words(self) -> (u32, &'static str, bool) {
        match self {
            Self::Internal => (100, "internal server error", true),
            Self::UnknownChannel => (102, "unknown channel", false),
            Self::PermissionDenied => (103, "permission denied", false),
            Self::MethodNotFound => (104, "method not found", false),
            Self::AlreadySubscribed => (105, "already subscribed", false),
            Self::LimitExceeded => (106, "limit exceeded", false),
            Self::NotAvailable => (108, "not available", false),
            Self::TokenExpired => (109, "token expired", false),
            Self::Expired => (110, "expired", false),
            Self::UnrecoverablePosition => (112, "unrecoverable position", false),
        }
    }
}

/// Why a connection ends: the code of the WebSocket's close frame. Below 3500 clients come back by
/// themselves; from there on they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client left.
    Gone,
    /// A frame that is larger than any that we take (RFC 6455, section 7.4.1).
    TooLarge,
    /// The server stops.
    Shutdown,
    /// It is our fault.
    ServerError,
    /// The token is over, or was revoked: come back with another.
    Expired,
    /// It reads slower than events come.
    Slow,
    /// An event would be missing: come back and recover it.
    InsufficientState,
    /// It did not answer a ping.
    NoPong,
    /// More commands than anybody needs.
    TooManyRequests,
    /// The token is none of ours.
    InvalidToken,
    /// It does not speak the protocol.
    BadRequest,
    /// It did not say who it is.
    Stale,
    /// Its account has too many connections.
    ConnectionLimit,
    /// It sends binary frames.
    InappropriateProtocol,
}

impl End {
    /// The code and the reason of the close frame.
    pub(crate) const fn words(self) -> (u16, &'static str) {
        match self {
            Self::Gone => (1000, ""),
            Self::TooLarge => (1009, "message too large"),
            Self::Shutdown => (3001, "shutdown"),
            Self::ServerError => (3004, "internal server error"),
            Self::Expired => (3005, "connection expired"),
            Self::Slow => (3008, "slow"),
            Self::InsufficientState => (3010, "insufficient state"),
            Self::NoPong => (3012, "no pong"),
            Self::TooManyRequests => (3013, "too many requests"),
            Self::InvalidToken => (3500, "invalid token"),
            Self::BadRequest => (3501, "bad request"),
            Self::Stale => (3502, "stale"),
            Self::ConnectionLimit => (3504, "connection limit"),
            Self::InappropriateProtocol => (3506, "inappropriate protocol"),
        }
    }
}
