//! Where a machine that leads sits while its task waits: who comes with a command may run it, one at a time.
//!
//! Why a command does not always go through the queue: the task runs on a thread of its own, and the way there and back is
//! two wake-ups of threads, which cost many times what the decision and its append do. A machine that somebody runs, or that
//! the task wants, is not waited for: the command is queued, and shares an append with the others there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;
use tokio::sync::Notify;
use vltava_core::machine::StateMachine;

use super::AskError;
use super::leading::{Leading, OnTheSpot};
use super::shard::Ask;

/// The place of a machine that leads. The lock is held for moments, never while the machine runs.
pub(super) struct Seat<M: StateMachine> {
    held: Mutex<Held<M>>,
    bell: Notify,
}

enum Held<M: StateMachine> {
    /// The task has the machine, or there is none, or the shard has ended.
    Nothing,
    /// The machine waits for whoever comes; only for the task, when that wants it.
    Machine { leading: Box<Leading<M>>, for_task: bool },
    /// Somebody runs it.
    Taken { task_wants_it: bool },
    /// It ended while somebody ran it, and the task has to be told.
    Away(Away),
}

/// Why a machine does not come back to its seat. Whoever waited for it was told.
pub(super) enum Away {
    /// Its log did not take what it has decided.
    Dropped,
    /// It has panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

impl<M: StateMachine> Default for Seat<M> {
    fn default() -> Self {
        Seat { held: Mutex::new(Held::Nothing), bell: Notify::new() }
    }
}

impl<M: StateMachine> Seat<M> {
    /// The task is about to wait.
    pub(super) fn put(&self, leading: Box<Leading<M>>) {
        *self.held.lock() = Held::Machine { leading, for_task: false };
    }

    /// The task wants the machine back, and waits until nobody runs it.
    pub(super) async fn take(&self) -> Result<Box<Leading<M>>, Away> {
        loop {
            {
                let mut held = self.held.lock();
                match std::mem::replace(&mut *held, Held::Nothing) {
                    Held::Machine { leading, .. } => return Ok(leading),
                    Held::Taken { .. } => *held = Held::Taken { task_wants_it: true },
                    Held::Away(away) => return Err(away),
                    Held::Nothing => return Err(Away::Dropped),
                }
            }
            self.bell.notified().await;
        }
    }

    /// Resolves when the machine has something for the task to see to, or has ended.
    pub(super) async fn called(&self) {
        self.bell.notified().await;
    }

    /// The task ends. Whoever waits for the machine is told; one that runs now is dropped when it is given back.
    pub(super) fn close(&self) {
        let held = std::mem::replace(&mut *self.held.lock(), Held::Nothing);
        drop(held);
    }

    /// Runs the machine for one command. Gives the command back when it has to be queued.
    pub(super) fn on_the_spot(&self, ask: Ask<M>) -> Option<Ask<M>> {
        let Some(mut leading) = self.borrow() else { return Some(ask) };
        let run = catch_unwind(AssertUnwindSafe(|| leading.on_the_spot(ask)));
        match run {
            Ok(Ok(OnTheSpot::Done { call_task })) => {
                self.give_back(leading, call_task);
                None
            }
            Ok(Ok(OnTheSpot::NotNow(ask))) => {
                self.give_back(leading, false);
                Some(ask)
            }
            Ok(Err(_dropped)) => {
                leading.answers.fail_all(&AskError::NotLeader);
                self.end(Away::Dropped);
                None
            }
            Err(panic) => {
                drop(leading);
                self.end(Away::Panicked(panic));
                None
            }
        }
    }

    fn borrow(&self) -> Option<Box<Leading<M>>> {
        let mut held = self.held.lock();
        if !matches!(&*held, Held::Machine { for_task: false, .. }) {
            return None;
        }
        match std::mem::replace(&mut *held, Held::Taken { task_wants_it: false }) {
            Held::Machine { leading, .. } => Some(leading),
            _ => None,
        }
    }

    fn give_back(&self, leading: Box<Leading<M>>, call_task: bool) {
        let mut held = self.held.lock();
        let Held::Taken { task_wants_it } = *held else {
            // The shard has ended meanwhile, and nobody is to be answered by this machine.
            drop(held);
            return;
        };
        *held = Held::Machine { leading, for_task: task_wants_it };
        drop(held);
        if call_task || task_wants_it {
            self.bell.notify_one();
        }
    }

    fn end(&self, why: Away) {
        let mut held = self.held.lock();
        if matches!(*held, Held::Taken { .. }) {
            *held = Held::Away(why);
        }
        drop(held);
        self.bell.notify_one();
    }
}
