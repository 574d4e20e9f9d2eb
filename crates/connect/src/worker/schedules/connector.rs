//! A connector that does nothing but say where it runs; it takes its time, and fails at planning now and then.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::sleep;
use vltava_core::testing::Random;

use super::super::Worker;
use super::super::group::Piece;
use super::ledger::Ledger;
use crate::connector::{Connector, Source, SourceConnector, SourceContext};
use crate::error::ConnectError;
use crate::record::Record;
use crate::settings::{Config, Kind, Setting, Settings, Values};

/// How long something that is told to stop takes at most; some of it is more than it is given.
const STOP_MS: usize = 1500;

/// The connector, at a worker.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) ledger: Arc<Ledger>,
    pub(super) incarnation: usize,
    pub(super) worker: Arc<OnceLock<Weak<Worker>>>,
    pub(super) random: Arc<Mutex<Random>>,
}

/// That something runs, until it is dropped.
#[derive(Debug)]
struct Presence {
    ledger: Arc<Ledger>,
    piece: Piece,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.ledger.stops(&self.piece, self.number);
    }
}

impl Witness {
    fn below(&self, bound: usize) -> usize {
        self.random.lock().below(bound)
    }

    async fn pause(&self, most_ms: usize) {
        let pause = Duration::from_millis(self.below(most_ms) as u64);
        sleep(pause).await;
    }

    fn enters(&self, piece: Piece, version: i64) -> Presence {
        let worker = self.worker.get().and_then(Weak::upgrade);
        let seen = worker.map_or((-1, -1), |worker| {
            (worker.shared.configured().0, worker.shared.view.borrow().generation)
        });
        let number = self.ledger.starts(&piece, self.incarnation, version, seen);
        Presence { ledger: self.ledger.clone(), piece, number }
    }
}

#[async_trait]
impl Connector for Witness {
    fn settings(&self) -> Settings {
        Settings::from([
            Setting::required("tasks", Kind::Int, "How many tasks."),
            Setting::required("version", Kind::Long, "Which settings these are."),
        ])
    }

    async fn task_configs(&self, values: &Values, _: usize) -> Result<Vec<Config>, ConnectError> {
        self.pause(300).await;
        if self.below(10) == 0 {
            return Err(ConnectError::retriable("not now"));
        }
        let count = values.number("tasks")?;
        Ok((0..count).map(|part| Config::from([("part".to_owned(), part.to_string())])).collect())
    }

    async fn changed(&self, values: &Values, _: &[Config]) -> Result<(), ConnectError> {
        let name = values.raw().get("name").cloned().unwrap_or_default();
        let _presence = self.enters(Piece::Connector(name), values.number("version")?);
        std::future::pending().await
    }
}

#[async_trait]
impl SourceConnector for Witness {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let piece = Piece::Task(context.connector.clone(), context.task);
        let version = values.number("version")?;
        Ok(Box::new(Watching { witness: self.clone(), piece, version, presence: None }))
    }
}

#[derive(Debug)]
struct Watching {
    witness: Witness,
    piece: Piece,
    version: i64,
    presence: Option<Presence>,
}

#[async_trait]
impl Source for Watching {
    async fn start(&mut self) -> Result<(), ConnectError> {
        self.presence = Some(self.witness.enters(self.piece.clone(), self.version));
        self.witness.pause(200).await;
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        std::future::pending().await
    }

    async fn close(&mut self) {
        let slow = if self.witness.below(4) == 0 { STOP_MS } else { 50 };
        self.witness.pause(slow).await;
        self.presence = None;
    }
}
