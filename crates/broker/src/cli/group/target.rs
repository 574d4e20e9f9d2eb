//! Where to move offsets, or to begin reading.

use vltava_core::id::{Offset, Timestamp};

use crate::cli::time;

/// Where to move offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first offset.
    Earliest,
    /// The end.
    Latest,
    /// Where they are, brought within the log.
    Current,
    /// This offset, brought within the log.
    Offset(Offset),
    /// This far from where they are, brought within the log.
    Shift(i64),
    /// The first offset at or after a time, else the end.
    Time(Timestamp),
}

impl Target {
    /// Reads a `--to`.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, String> {
        match text {
            "earliest" | "beginning" => return Ok(Self::Earliest),
            "latest" | "end" => return Ok(Self::Latest),
            "current" => return Ok(Self::Current),
            _ => {}
        }
        if let Some(milliseconds) = text.strip_prefix('@') {
            return time::parse(milliseconds, now).map(Self::Time);
        }
        if text.starts_with(['+', '-'])
            && let Ok(shift) = text.parse()
        {
            return Ok(Self::Shift(shift));
        }
        match text.parse() {
            Ok(offset) => Ok(Self::Offset(Offset(offset))),
            Err(_) => time::parse(text, now).map(Self::Time),
        }
    }

    /// The offset for one partition.
    pub fn resolve(
        self,
        current: Option<Offset>,
        start: Offset,
        end: Offset,
        at_time: Option<Offset>,
    ) -> Offset {
        let wanted = match self {
            Self::Earliest => start,
            Self::Latest => end,
            Self::Current => current.unwrap_or(end),
            Self::Offset(offset) => offset,
            Self::Shift(by) => current.unwrap_or(end).plus(by),
            Self::Time(_) => at_time.unwrap_or(end),
        };
        wanted.max(start).min(end)
    }
}
