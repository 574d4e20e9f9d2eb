//! Connectors of HTTP servers: a source that polls with a cursor, and a sink that sends batches.
//!
//! Both ask only addresses that are allowed, also where a server leads them, and follow no redirects. Both wait as long as a
//! server wants them to (`Retry-After`), try again when it is not ready, and give up after some tries; then the retries that
//! every connector has (`errors.retry.timeout`) begin.

mod client;
mod sink;
mod source;

#[cfg(test)]
mod tests;

pub(super) use self::sink::HttpSink;
pub(super) use self::source::HttpSource;
