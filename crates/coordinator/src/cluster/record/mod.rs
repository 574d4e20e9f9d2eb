//! Events as Kafka's metadata records, and back.
//!
//! A record is written in the newest version that the finalised metadata version allows, as Kafka's controller does.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::encode;

/// Kafka's number for "the leader stays".
const LEADER_STAYS: i32 = -2;
/// Kafka's number for "the recovery state stays".
const RECOVERY_STAYS: i8 = -1;
