//! How a call to the relay is made: frame limits, the machine's token, the stream's own token.

use cmdop_proto::v1::agent_service_client::AgentServiceClient;
use cmdop_proto::{Refusal, limits};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::token::Tokens;

/// A client that never takes or sends a frame above the limit.
pub(crate) fn client(channel: Channel) -> AgentServiceClient<Channel> {
    AgentServiceClient::new(channel)
        .max_decoding_message_size(limits::MAX_FRAME)
        .max_encoding_message_size(limits::MAX_FRAME)
}

/// A call under the machine's present token.
pub(crate) fn request<T>(body: T, tokens: &Tokens) -> Result<Request<T>, Refusal> {
    let bearer = tokens
        .current()
        .ok_or_else(|| Refusal::unavailable("no-token", "the machine has no token yet"))?;
    let mut request = Request::new(body);
    request
        .metadata_mut()
        .insert("authorization", header(&format!("Bearer {bearer}"))?);
    Ok(request)
}

/// A call that opens the stream of one session or exec, with the token that the relay gave for it.
pub(crate) fn stream_request<T>(
    body: T,
    tokens: &Tokens,
    stream_token: &str,
) -> Result<Request<T>, Refusal> {
    let mut request = request(body, tokens)?;
    request
        .metadata_mut()
        .insert(limits::STREAM_TOKEN_KEY, header(stream_token)?);
    Ok(request)
}

/// Whether the relay refused only because the machine's token is too old.
pub(crate) fn is_expired(status: &Status) -> bool {
    Refusal::from(status).reason == "token-expired"
}

fn header(text: &str) -> Result<MetadataValue<Ascii>, Refusal> {
    text.parse()
        .map_err(|_| Refusal::invalid("token-malformed", "a token holds characters that none has"))
}
