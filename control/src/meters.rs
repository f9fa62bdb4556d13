//! What a control plane counts about itself, for Prometheus. Each has its own recorder: there is no global one, so
//! several can run in one process. Where nobody reads them, nothing is kept.

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::token::Bearer;
use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::Instant;

use crate::store::Outcome;

const METADATA: Metadata<'static> = Metadata::new("cmdop_control", Level::INFO, None);

/// The bounds of the histogram, in seconds: a transaction takes a fraction of a millisecond, one that waits for
/// another a few, and nothing is let wait longer than the last.
const SECONDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 15.0,
];

const OUTCOMES: [Outcome; 3] = [Outcome::Allowed, Outcome::Denied, Outcome::Failed];

/// Handles to the counters; clones share them.
#[derive(Clone)]
pub(crate) struct Meters {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Option<PrometheusHandle>,
    requests: Counter,
    refusals: Counter,
    throttled: Counter,
    reports: Counter,
    tokens: [Counter; 3],
    records: [Counter; 3],
    logins: [Counter; 3],
    page_logins: [Counter; 3],
    reads: Histogram,
    writes: Histogram,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

/// Makes handles, or such that count nothing.
struct Maker(Option<PrometheusRecorder>);

impl Maker {
    fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        let recorder = self.0.as_ref();
        recorder.map_or_else(Counter::noop, |recorder| {
            recorder.register_counter(&key(name, labels), &METADATA)
        })
    }

    fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        let recorder = self.0.as_ref();
        recorder.map_or_else(Histogram::noop, |recorder| {
            recorder.register_histogram(&key(name, labels), &METADATA)
        })
    }

    fn by_outcome(&self, name: &'static str) -> [Counter; 3] {
        OUTCOMES.map(|outcome| self.counter(name, &[("outcome", outcome.as_str())]))
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels = labels.iter().map(|(k, v)| Label::from_static_parts(k, v));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

impl Meters {
    /// Meters that count.
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS);
        let builder = builder.expect("there are bounds");
        Self::made_by(&Maker(Some(builder.build_recorder())))
    }

    /// Meters that nobody reads.
    pub(crate) fn none() -> Self {
        Self::made_by(&Maker(None))
    }

    fn made_by(maker: &Maker) -> Self {
        let plain = |name| maker.counter(name, &[]);
        let tokens = ["account", "machine", "relay"].map(|bearer| {
            maker.counter("cmdop_control_tokens_issued_total", &[("bearer", bearer)])
        });
        let timed = |what| maker.histogram("cmdop_control_store_seconds", &[("transaction", what)]);
        let inner = Inner {
            requests: plain("cmdop_control_requests_total"),
            refusals: plain("cmdop_control_refusals_total"),
            throttled: plain("cmdop_control_throttled_total"),
            reports: plain("cmdop_control_reports_total"),
            tokens,
            records: maker.by_outcome("cmdop_control_audit_records_total"),
            logins: maker.by_outcome("cmdop_control_logins_total"),
            page_logins: maker.by_outcome("cmdop_control_page_logins_total"),
            reads: timed("read"),
            writes: timed("write"),
            handle: maker.0.as_ref().map(PrometheusRecorder::handle),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The text that Prometheus reads; empty where nothing is counted.
    pub(crate) fn render(&self) -> String {
        let handle = self.inner.handle.as_ref();
        handle.map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Adds up what was measured since: where nobody reads for long, it would pile up.
    pub(crate) fn settle(&self) {
        if let Some(handle) = &self.inner.handle {
            handle.run_upkeep();
        }
    }

    /// Somebody asked, by whatever way, and was answered.
    pub(crate) fn answered(&self, outcome: Outcome) {
        self.inner.requests.increment(1);
        if outcome != Outcome::Allowed {
            self.inner.refusals.increment(1);
        }
    }

    /// Counts those who are told to come back later.
    pub(crate) fn throttled(&self) -> Counter {
        self.inner.throttled.clone()
    }

    /// Relays told of something.
    pub(crate) fn reported(&self, reports: usize) {
        self.inner.reports.increment(reports as u64);
    }

    /// A token was signed.
    pub(crate) fn token(&self, bearer: Bearer) {
        let place = match bearer {
            Bearer::Account => 0,
            Bearer::Machine => 1,
            Bearer::Relay => 2,
        };
        self.inner.tokens[place].increment(1);
    }

    /// A record was added to the audit log.
    pub(crate) fn record(&self, action: &str, outcome: Outcome) {
        let place = match outcome {
            Outcome::Allowed => 0,
            Outcome::Denied => 1,
            Outcome::Failed => 2,
        };
        self.inner.records[place].increment(1);
        match action {
            "login" => self.inner.logins[place].increment(1),
            "page-login" => self.inner.page_logins[place].increment(1),
            _ => {}
        }
    }

    /// Begins to time a transaction that reads.
    pub(crate) fn read(&self) -> Timer {
        Timer::of(&self.inner.reads)
    }

    /// Begins to time a transaction that writes.
    pub(crate) fn write(&self) -> Timer {
        Timer::of(&self.inner.writes)
    }
}

/// Records how long it lived.
pub(crate) struct Timer {
    histogram: Histogram,
    begun: Instant,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timer")
    }
}

impl Timer {
    fn of(histogram: &Histogram) -> Self {
        Self {
            histogram: histogram.clone(),
            begun: Instant::now(),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let lived: Duration = self.begun.elapsed();
        self.histogram.record(lived.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_nothing_where_nobody_reads() {
        let meters = Meters::new();
        meters.record("login", Outcome::Failed);
        meters.record("page-login", Outcome::Allowed);
        meters.token(Bearer::Machine);
        meters.answered(Outcome::Denied);
        drop(meters.write());
        let text = meters.render();
        for line in [
            "cmdop_control_logins_total{outcome=\"failed\"} 1",
            "cmdop_control_page_logins_total{outcome=\"allowed\"} 1",
            "cmdop_control_tokens_issued_total{bearer=\"machine\"} 1",
            "cmdop_control_requests_total 1",
            "cmdop_control_refusals_total 1",
            "cmdop_control_store_seconds_bucket{transaction=\"write\",le=\"+Inf\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let unread = Meters::none();
        unread.record("login", Outcome::Failed);
        drop(unread.read());
        assert_eq!(unread.render(), "");
    }
}
