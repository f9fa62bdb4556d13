//! What a relay counts about itself, for Prometheus. Each relay has its own recorder: there is no
//! global one, so several can run in one process.

use metrics::{Counter, Gauge, Key, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const METADATA: Metadata<'static> = Metadata::new("cmdop_relay", Level::INFO, None);

/// Handles to the counters, cheap enough for the path of a keystroke.
pub(crate) struct Meters {
    handle: PrometheusHandle,
    /// Sessions that are not over.
    pub(crate) sessions: Gauge,
    /// Attached clients.
    pub(crate) attached: Gauge,
    /// Linked agents.
    pub(crate) agents: Gauge,
    /// Bytes of output that agents sent.
    pub(crate) bytes_in: Counter,
    /// Bytes of output that went to clients.
    pub(crate) bytes_out: Counter,
    /// Inputs that were accepted.
    pub(crate) inputs: Counter,
    /// Runs that were begun.
    pub(crate) execs: Counter,
    /// Streams to files that were opened.
    pub(crate) file_streams: Counter,
    /// Calls and messages that were refused.
    pub(crate) refusals: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counter =
            |name: &'static str| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let gauge =
            |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        Self {
            sessions: gauge("cmdop_relay_sessions"),
            attached: gauge("cmdop_relay_attached_clients"),
            agents: gauge("cmdop_relay_linked_agents"),
            bytes_in: counter("cmdop_relay_output_received_bytes_total"),
            bytes_out: counter("cmdop_relay_output_sent_bytes_total"),
            inputs: counter("cmdop_relay_inputs_total"),
            execs: counter("cmdop_relay_execs_total"),
            file_streams: counter("cmdop_relay_file_streams_total"),
            refusals: counter("cmdop_relay_refusals_total"),
            handle: recorder.handle(),
        }
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}
