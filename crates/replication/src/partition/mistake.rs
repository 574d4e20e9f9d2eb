//! Rules of replication that a test breaks on purpose, to see that the breach is found.

/// A rule that one replica breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only tests make mistakes"))]
pub enum Mistake {
    /// A replica that begins to follow cuts its log to its high watermark (before KIP-101).
    TruncateToHighWatermark,
    /// A leader commits what it has appended without waiting for anybody.
    CommitAlone,
    /// A leader takes over the offset of a follower whose log has parted from its own (KAFKA-13141).
    CountDiverged,
}

#[cfg(feature = "testing")]
impl super::Partition {
    /// Makes this replica break a rule from now on. For tests only.
    pub fn make(&self, mistake: Mistake) {
        self.shared.lock().state.mistake = Some(mistake);
    }
}
