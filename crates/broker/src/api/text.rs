//! Text between the wire and the domain.

use std::sync::Arc;

use vltava_core::wire::WireStr;

/// Domain text for a response.
pub(crate) fn wire(text: &str) -> WireStr {
    WireStr::from(text.to_owned())
}

/// Text of a request that outlives its frame.
pub(crate) fn shared(text: &WireStr) -> Arc<str> {
    Arc::from(text.as_str())
}
