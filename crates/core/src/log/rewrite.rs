//! Replacing sealed spans by a rewritten one: what compaction asks of a log.

use super::LogError;
use crate::record::Batch;

/// Spans that are being written anew, as one; from [`super::Log::rewrite`]. *All blocking.*
///
/// Readers see the old batches until [`Rewrite::commit`] and the new ones from then on; what they have read before stays
/// as it was. Appends, trims and truncations may go on beside it. Dropped without a commit, it leaves nothing behind.
///
/// A crash, whenever it comes, leaves either the old spans or the new one.
pub trait Rewrite: Send {
    /// Adds batches behind those that were added before. Offsets only grow and stay within the range; gaps are fine.
    ///
    /// # Errors
    /// [`LogError::OutOfOrder`], [`LogError::WrongLength`]; [`LogError::Io`] when they cannot be written, which does the
    /// log itself no harm.
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError>;

    /// Makes the new span durable and puts it in the place of the old ones. Its sidecar of aborted transactions holds
    /// `aborted`; there is none when that is empty. Producer snapshots between the two ends of the range go.
    ///
    /// The last new batch must reach into the last of the old spans that holds anything: by this a crash tells which
    /// spans were replaced.
    ///
    /// # Errors
    /// [`LogError::Changed`] when the old spans were trimmed or truncated meanwhile, [`LogError::OutOfOrder`] when the
    /// new batches end too early: nothing has changed then. [`LogError::Io`] when it cannot be written; the log may then
    /// be offline, and holds the old or the new batches when it is opened again.
    fn commit(self: Box<Self>, aborted: &[u8]) -> Result<(), LogError>;
}
