//! Hands what is produced to who waits for it: the least that end-to-end latency can be through an asynchronous server.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Kind, Request, acknowledged, fetched, produced, records};
use crate::bench::wire::crc;

/// The most that one answer holds.
const FETCH_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
struct Relay {
    /// Everything that was produced, in equal batches.
    batches: Mutex<Vec<Arc<[u8]>>>,
    arrived: Notify,
}

/// Serves every connection that comes.
pub fn serve(listener: TcpListener, folder: &Path) -> anyhow::Result<()> {
    let log = File::create(folder.join("relay.log"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (relay, log) = (Arc::new(Relay::default()), Arc::new(log));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream, relay.clone(), log.clone()));
        }
    })
}

async fn connection(stream: TcpStream, relay: Arc<Relay>, log: Arc<File>) -> anyhow::Result<()> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let mut frame = Vec::new();
    loop {
        let length = stream.read_u32().await? as usize;
        frame.resize(length, 0);
        stream.read_exact(&mut frame).await?;
        let Request { correlation, kind } = Request::read(&frame)?;
        let mut answer = Vec::new();
        match kind {
            Kind::Produce { topic, partition, batch } => {
                std::hint::black_box(crc(batch));
                (&*log).write_all(batch)?;
                relay.batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch.into());
                relay.arrived.notify_waiters();
                produced(&mut answer, correlation, topic, partition);
            }
            Kind::Fetch { topic, offset, .. } => {
                let batches = relay.from(offset).await?;
                fetched(&mut answer, correlation, topic, batches.iter().map(|batch| batch.len()).sum());
                batches.iter().for_each(|batch| answer.extend_from_slice(batch));
            }
            Kind::Commit { .. } | Kind::Other => acknowledged(&mut answer, correlation),
        }
        stream.write_all(&answer).await?;
    }
}

impl Relay {
    /// Everything from an offset on, up to a limit; waits until there is something.
    async fn from(&self, offset: i64) -> anyhow::Result<Vec<Arc<[u8]>>> {
        loop {
            // Registered before looking, so that no arrival is missed.
            let mut arrived = pin!(self.arrived.notified());
            arrived.as_mut().enable();
            let batches = self.ready(usize::try_from(offset)?)?;
            if !batches.is_empty() {
                return Ok(batches);
            }
            arrived.await;
        }
    }

    fn ready(&self, offset: usize) -> anyhow::Result<Vec<Arc<[u8]>>> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = batches.first() else { return Ok(Vec::new()) };
        let from = batches.get(offset / records(first)?..).unwrap_or_default();
        Ok(from.iter().take((FETCH_BYTES_MAX / first.len()).max(1)).cloned().collect())
    }
}
