//! What happened in a simulation, in order.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// The events of a simulation as text, each with its simulated time. Clones write to the same trace.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<String>>);

impl Trace {
    /// Notes an event that happens on one of the machines.
    pub fn note(&self, who: &str, what: &str) {
        self.note_at(turmoil::sim_elapsed().unwrap_or(Duration::ZERO), who, what);
    }

    /// Notes an event that happens to the machines.
    pub fn note_at(&self, at: Duration, who: &str, what: &str) {
        self.0.lock().push_str(&format!("{:>12.6} {who}: {what}\n", at.as_secs_f64()));
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.0.lock().clone()
    }
}

/// A number for a text, the same in every process and every release (FNV-1a).
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
