//! Waiting for named conditions, each with a deadline.
//!
//! The only place of the tests in which time passes on purpose. A condition that does not come
//! true panics with its name, so that a failed run says what was missing and not where it hung.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How often a condition that cannot announce itself is looked at.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// How long a condition may take: 20 s, times `CMDOP_TEST_PATIENCE` (a factor) on slow machines.
pub fn patience() -> Duration {
    Duration::from_secs(20).mul_f64(factor())
}

/// `patience`, for what moves much data: `times` as long.
pub fn patience_for(times: u32) -> Duration {
    patience() * times
}

fn factor() -> f64 {
    std::env::var("CMDOP_TEST_PATIENCE")
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|factor| (0.1..=1000.0).contains(factor))
        .unwrap_or(1.0)
}

/// The value of `future`, which must come within the patience.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_times(what, 1, future).await
}

/// The value of `future`, which must come within `times` the patience.
pub async fn within_times<T>(what: &str, times: u32, future: impl Future<Output = T>) -> T {
    let limit = patience_for(times);
    match timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Looks again and again until `probe` gives a value.
pub async fn until<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {:?} in vain for: {what}",
            patience()
        );
        sleep(PROBE_EVERY).await;
    }
}

/// As [`until`], for a probe that does not wait itself.
pub async fn until_true(what: &str, mut probe: impl FnMut() -> bool) {
    until(what, || std::future::ready(probe().then_some(()))).await;
}

/// As [`until_true`], for a probe that has to ask somebody.
pub async fn until_true_async<F>(what: &str, mut probe: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    until(what, || {
        let looked = probe();
        async move { looked.await.then_some(()) }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_is_seen() {
        let mut looks = 0;
        until_true("the third look", || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
    }
}
