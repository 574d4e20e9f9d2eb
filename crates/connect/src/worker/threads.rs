//! Where tasks run: each in a thread of its own, so that one that blocks, hangs or panics touches no other.
//!
//! Only the task's own calls run there. Sockets and timers are the runtime's, as is all that the clients of the cluster do
//! beside a task: heartbeats go on while a sink blocks. On a runtime that has one thread, tasks share it.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use vltava_core::clock::BoxFuture;

use crate::error::ConnectError;

/// Runs work so that a panic is an error like others: the trace that a status shows. It ends with whoever waits for it.
pub async fn contained(
    work: impl Future<Output = Result<(), ConnectError>> + Send + 'static,
) -> Result<(), String> {
    let mut job = AbortOnDrop(tokio::spawn(work));
    match (&mut job.0).await {
        Ok(outcome) => outcome.map_err(|error| error.trace()),
        Err(failure) => Err(match failure.try_into_panic() {
            Ok(panic) => panicked(&*panic),
            Err(failure) => failure.to_string(),
        }),
    }
}

/// The same in a thread that is called `name`. Work that blocks it for `limit`, or up to twice as long, is an error, too: it is
/// left behind, and dropped when it gives the thread back. It is boxed, since it would lie in the thread's stack, and be copied
/// there.
pub async fn apart(
    name: String,
    limit: Duration,
    work: BoxFuture<'static, Result<(), ConnectError>>,
) -> Result<(), String> {
    let runtime = Handle::current();
    if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
        return contained(work).await;
    }
    let (done, mut ended) = oneshot::channel();
    let (_waits, gone) = oneshot::channel::<()>();
    let turns = Arc::new(Turns::default());
    let counted = turns.clone();
    let begun = thread::Builder::new().name(name.replace('\0', "")).spawn(move || {
        let work = async {
            tokio::select! {
                biased;
                _ = gone => None,
                outcome = counted.count(work) => Some(outcome.map_err(|error| error.trace())),
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
        // Nobody waits for what was given up.
        let _ = done.send(outcome.unwrap_or_else(|panic| Some(Err(panicked(&*panic)))));
    });
    begun.map_err(|error| format!("The task has no thread: {error}"))?;
    let mut seen = None;
    loop {
        tokio::select! {
            outcome = &mut ended => return outcome.ok().flatten().unwrap_or_else(|| Err("The task was given up".to_owned())),
            () = sleep(limit) => {
                let turn = turns.current();
                if turn.is_some() && turn == seen {
                    return Err(format!("The task hangs: it has blocked its thread for more than {} ms", limit.as_millis()));
                }
                seen = turn;
            }
        }
    }
}

/// What work has until its owner is gone, who waits for it.
#[derive(Clone, Debug)]
pub struct Lease(Weak<()>);

impl Lease {
    pub fn of(owner: &Arc<()>) -> Self {
        Self(Arc::downgrade(owner))
    }

    /// Waits for a part of the work. One that has blocked its thread until the work was given up does not come back, so that
    /// nothing follows it.
    pub async fn hold<T>(&self, part: impl Future<Output = T>) -> T {
        self.check().await;
        let outcome = part.await;
        self.check().await;
        outcome
    }

    async fn check(&self) {
        if self.0.strong_count() == 0 {
            pending::<()>().await;
        }
    }
}

/// The turns in which work has had its thread: twice their number, and one more during a turn.
#[derive(Debug, Default)]
struct Turns(AtomicU64);

impl Turns {
    async fn count<T>(&self, mut work: BoxFuture<'static, T>) -> T {
        poll_fn(|context| {
            self.0.fetch_add(1, Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            self.0.fetch_add(1, Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Which turn it is, during one.
    fn current(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|turns| turns % 2 == 1)
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("The task panicked: {}", text.unwrap_or_default())
}

/// A job that ends with whoever waits for it.
#[derive(Debug)]
pub struct AbortOnDrop<T = ()>(pub JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_is_a_trace() {
        let work = async || {
            tokio::task::yield_now().await;
            panic!("out of {}", "cheese");
        };
        let trace = Err("The task panicked: out of cheese".to_owned());
        assert_eq!(contained(work()).await, trace);
        assert_eq!(apart("panics".to_owned(), Duration::from_secs(60), Box::pin(work())).await, trace);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_waits_does_not_hang() {
        let limit = Duration::from_millis(20);
        let work = async move {
            sleep(5 * limit).await;
            Ok(())
        };
        assert_eq!(apart("waits".to_owned(), limit, Box::pin(work)).await, Ok(()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_ends_with_whoever_waits_for_it() {
        let (held, dropped) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending().await
        };
        let waits = tokio::spawn(apart("is dropped".to_owned(), Duration::from_secs(60), Box::pin(work)));
        tokio::task::yield_now().await;
        waits.abort();
        dropped.await.expect_err("it is dropped");
    }
}
