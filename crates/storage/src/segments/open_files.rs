//! A bounded number of open files for an unbounded number of segments.
//!
//! Every file of a segment has a [`Slot`]. It is opened when it is first needed, and closed when too many are open and
//! it has not been used for the longest time, give or take (a second chance, not an exact order: exactness would cost a
//! shared lock for every read).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::files::{Files, Open, OpenFile};

/// The files that are open, and the most there may be.
#[derive(Debug)]
pub(super) struct OpenFiles {
    pub(super) files: Arc<dyn Files>,
    most: usize,
    queue: Mutex<VecDeque<Weak<SlotState>>>,
}

/// A file that is open, or can be.
#[derive(Debug, Default)]
pub(super) struct Slot(Arc<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    held: Mutex<Held>,
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    file: Option<Arc<dyn OpenFile>>,
    /// Files closed here that a reader may still have.
    lent: Vec<Weak<File>>,
}

impl OpenFiles {
    pub(super) fn new(files: Arc<dyn Files>, most: usize) -> OpenFiles {
        OpenFiles { files, most, queue: Mutex::default() }
    }

    fn admit(&self, slot: &Slot) {
        let mut queue = self.queue.lock();
        queue.push_back(Arc::downgrade(&slot.0));
        let mut chances = queue.len() * 2;
        while queue.len() > self.most && chances > 0 {
            chances -= 1;
            let Some(oldest) = queue.pop_front() else { break };
            let Some(state) = oldest.upgrade() else { continue };
            let again = state.used.swap(false, Ordering::Relaxed) && chances > self.most;
            // A slot whose lock is held is being opened by the caller or used by another thread: it gets its chance, too.
            match state.held.try_lock() {
                Some(mut held) if !again => held.close(),
                _ => queue.push_back(oldest),
            }
        }
    }
}

impl Held {
    fn close(&mut self) {
        self.lent.retain(|file| file.strong_count() > 0);
        if let Some(file) = self.file.take()
            && let Some(system) = file.system_file()
            && file.shared()
        {
            self.lent.push(Arc::downgrade(system));
        }
    }
}

impl Slot {
    /// The open file; opens it when it is not.
    pub(super) fn get(
        &self,
        open_files: &OpenFiles,
        how: Open,
        path: impl FnOnce() -> PathBuf,
    ) -> io::Result<Arc<dyn OpenFile>> {
        self.0.used.store(true, Ordering::Relaxed);
        let mut held = self.0.held.lock();
        if let Some(file) = &held.file {
            return Ok(Arc::clone(file));
        }
        let file = open_files.files.open(&path(), how)?;
        held.file = Some(Arc::clone(&file));
        drop(held);
        open_files.admit(self);
        Ok(file)
    }

    /// Forgets the file: the next use opens what then has its name.
    pub(super) fn forget(&self) {
        *self.0.held.lock() = Held::default();
    }

    /// Whether a reader may still have a range of this file.
    pub(super) fn lent(&self) -> bool {
        let held = self.0.held.lock();
        held.file.as_ref().is_some_and(|file| file.shared())
            || held.lent.iter().any(|file| file.strong_count() > 0)
    }
}
