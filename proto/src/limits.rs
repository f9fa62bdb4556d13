//! The bounds that both ends of a wire check before they take memory, each with its reason.

use std::time::Duration;

/// A gRPC message is refused above this, by every server and client.
pub const MAX_FRAME: usize = 1 << 20;

/// Output in one message: large enough for full throughput, small enough that a keystroke's echo
/// never waits long behind it.
pub const MAX_OUTPUT: usize = 64 << 10;

/// Input in one message; a larger paste is split by the client.
pub const MAX_INPUT: usize = 64 << 10;

/// A keyframe must fit one frame with room for its envelope.
pub const MAX_KEYFRAME: usize = 900 << 10;

/// argv and environment of a program: well below Linux' own limit for one string table.
pub const MAX_COMMAND: usize = 256 << 10;

/// The environment variables that a request may set.
pub const MAX_ENV: usize = 256;

/// A name that people give: a session's, a machine's, a label's value.
pub const MAX_NAME: usize = 64;

/// A DNS name (RFC 1035, section 2.3.4).
pub const MAX_HOSTNAME: usize = 253;

/// Scrollback lines that a capture may carry.
pub const MAX_CAPTURE_SCROLLBACK: u32 = 10_000;

/// Lines of history in one page, unless asked otherwise: some screens.
pub const HISTORY_LINES: u32 = 500;

/// The most lines of history in one page.
pub const MAX_HISTORY_LINES: u32 = 5_000;

/// Bytes of history in one page, unless asked otherwise. An echo on the agent's link waits behind it.
pub const HISTORY_BYTES: u32 = 64 << 10;

/// The most bytes of history in one page: more than the longest line has.
pub const MAX_HISTORY_BYTES: u32 = 256 << 10;

/// Bytes of a session's output that its agent keeps.
pub const AGENT_LOG: usize = 4 << 20;

/// Bytes of a session's output that the relay keeps, shared by all who are attached.
pub const RELAY_WINDOW: usize = 1 << 20;

/// Bytes of each stream of a run that its agent keeps until the caller has them: what a 20 ms link at
/// 100 MB/s has under way.
pub const RUN_WINDOW: usize = 2 << 20;

/// Bytes of a program's stdin that may be under way until the agent says that the program took them.
pub const RUN_STDIN_WINDOW: usize = 1 << 20;

/// How long a run outlives the loss of its caller's connection, unless the caller says otherwise.
pub const RUN_GRACE: Duration = Duration::from_secs(30);

/// The most that a caller may say.
pub const MAX_RUN_GRACE: Duration = Duration::from_secs(600);

/// Fleets that one account is a member of: their ids travel in each of its tokens, 37 bytes each.
pub const MAX_FLEETS_OF_ACCOUNT: usize = 32;

/// Fleets that one machine is in.
pub const MAX_FLEETS_OF_MACHINE: usize = 16;

/// Detached runs that one machine keeps, living and ended.
pub const MAX_DETACHED_RUNS: usize = 64;

/// A path (PATH_MAX of Linux).
pub const MAX_PATH: usize = 4096;

/// A piece of a file in one message.
pub const FILE_PIECE: usize = 256 << 10;

/// The smallest and the largest range of a file that is hashed, asked for and acknowledged as one.
pub const MIN_CHUNK: usize = 64 << 10;
/// See [`MIN_CHUNK`].
pub const MAX_CHUNK: usize = 2 << 20;

/// A file up to this travels whole, in one message with others.
pub const SMALL_FILE: usize = 128 << 10;

/// What the contents of one batch of small files may take: half a frame leaves room for their names.
pub const FILE_BATCH: usize = 512 << 10;

/// Paths in one request, and small files that wait for their names on one stream.
pub const MAX_STAGED: usize = 4096;

/// Files that are open on one stream.
pub const FILE_HANDLES: usize = 16;

/// File streams of one machine: each is a thread of its agent.
pub const FILE_STREAMS: usize = 64;

/// What the pieces that one feed keeps may count ([`crate::feed::charge`]): what a way of 20 ms has under way at
/// 200 MB/s. It does not grow with the number of streams that take from it.
pub const FEED_WINDOW: usize = 4 << 20;

/// HTTP/2 flow-control window of one stream. Small: it bounds what a flood can put before an echo
/// on the same connection; at a round trip of 20 ms it still carries 12 MB/s.
pub const STREAM_WINDOW: u32 = 256 << 10;

/// HTTP/2 flow-control window of one connection.
pub const CONNECTION_WINDOW: u32 = 1 << 20;

/// HTTP/2 windows of a connection that only carries bulk data.
pub const BULK_STREAM_WINDOW: u32 = 4 << 20;
/// See [`BULK_STREAM_WINDOW`].
pub const BULK_CONNECTION_WINDOW: u32 = 8 << 20;

/// A peer that answers no HTTP/2 ping is gone: how often to ask.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(25);
/// How long to wait for the answer.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an agent sends its metrics, and a client its ping.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// Silence after which the relay takes an agent for lost.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(60);

/// How far apart two clocks may be before it is worth a warning, and the leeway in token checks.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// Metadata key of a stream token on agent streams.
pub const STREAM_TOKEN_KEY: &str = "x-cmdop-stream-token";
