//! Lines of files: a source that follows a file, and a sink.

mod exactly_once;
mod sink;
mod source;

pub(super) use self::sink::FileSink;
pub(super) use self::source::FileSource;

#[cfg(test)]
mod tests;
