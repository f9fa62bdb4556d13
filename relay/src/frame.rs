//! Names the one refusal that the transport makes by itself: a message larger than a frame.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tower::{Layer, Service};

use crate::incoming;

/// Puts `frame-too-large` in the place of tonic's unnamed error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameTooLarge;

impl<S> Layer<S> for NameTooLarge {
    type Service = Named<S>;

    fn layer(&self, inner: S) -> Named<S> {
        Named { inner }
    }
}

/// See [`NameTooLarge`].
#[derive(Clone, Debug)]
pub(crate) struct Named<S> {
    inner: S,
}

impl<S, I, O> Service<Request<I>> for Named<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<O>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            name(&mut response);
            Ok(response)
        })
    }
}

fn name<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    // Only a call that failed before it answered has its status in the headers.
    if !headers.contains_key("grpc-status") {
        return;
    }
    if Status::from_header_map(headers).is_some_and(|status| incoming::is_too_large(&status)) {
        // It cannot fail: the words are ASCII.
        let _ = Status::from(incoming::too_large()).add_header(headers);
    }
}
