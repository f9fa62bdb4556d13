//! Reading the streams of others: a first message in time, and errors by their names.

use std::time::Duration;

use cmdop_proto::{Refusal, limits};
use tonic::{Code, Status, Streaming};

/// Whoever opens a stream says at once what it is for.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// What tonic says when a message is larger than the limit (`codec/decode.rs`); it has no code of
/// its own. A test holds it to that.
const TOO_LARGE: &str = "decoded message length too large";

/// The first message of a stream.
pub(crate) async fn first<T>(stream: &mut Streaming<T>, what: &str) -> Result<T, Refusal> {
    match tokio::time::timeout(FIRST_MESSAGE, stream.message()).await {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) => Err(wrong_first(what)),
        Ok(Err(status)) => Err(broken(&status)),
        Err(_) => Err(Refusal::unavailable(
            "timeout",
            format!(
                "the first message did not come within {} s",
                FIRST_MESSAGE.as_secs()
            ),
        )),
    }
}

/// The stream does not begin as it must.
pub(crate) fn wrong_first(what: &str) -> Refusal {
    Refusal::invalid(
        "bad-request",
        format!("the first message of the stream must be {what}"),
    )
}

/// The word for a stream that broke on its way here.
pub(crate) const BROKEN: &str = "unreachable";

/// Why a stream of somebody else broke.
pub(crate) fn broken(status: &Status) -> Refusal {
    if is_too_large(status) {
        return too_large();
    }
    Refusal::unavailable(BROKEN, format!("the stream broke: {}", status.message()))
}

/// Whether tonic refused a message for its size.
pub(crate) fn is_too_large(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains(TOO_LARGE)
}

/// A message is larger than a frame may be.
pub(crate) fn too_large() -> Refusal {
    Refusal::invalid(
        "frame-too-large",
        format!(
            "a message is larger than the limit of {} KiB",
            limits::MAX_FRAME >> 10
        ),
    )
    .hint("send it in smaller pieces")
}
