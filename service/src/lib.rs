//! What every long-running program of cmdop shares: configuration, private files, TLS, the serving
//! loop, token checks, logs and shutdown. It knows no session, no account and no machine.

pub mod admission;
pub mod audit;
pub mod config;
pub mod data_dir;
pub mod descriptors;
pub mod flight;
pub mod listen;
pub mod private_file;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod tokens;

/// The version that every program prints and sends.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Milliseconds since the Unix epoch, for what goes on the wire; 0 if the clock stands before it.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}
