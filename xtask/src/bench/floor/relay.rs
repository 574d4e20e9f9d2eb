//! Hands what is produced to who waits for it: the least that end-to-end latency can be through an asynchronous server.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Kind, Request, acknowledged, fetched, produced};
use crate::bench::wire::crc;

#[derive(Default)]
struct Relay {
    /// Produced and not fetched; every batch is fetched once.
    batches: Mutex<Vec<u8>>,
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
                relay.batches.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
                relay.arrived.notify_one();
                produced(&mut answer, correlation, topic, partition);
            }
            Kind::Fetch { topic, .. } => {
                let batches = relay.take().await;
                fetched(&mut answer, correlation, topic, batches.len());
                answer.extend_from_slice(&batches);
            }
            Kind::Other => acknowledged(&mut answer, correlation),
        }
        stream.write_all(&answer).await?;
    }
}

impl Relay {
    /// Everything that has come; waits until there is something.
    async fn take(&self) -> Vec<u8> {
        loop {
            let batches = std::mem::take(&mut *self.batches.lock().unwrap_or_else(PoisonError::into_inner));
            if !batches.is_empty() {
                return batches;
            }
            self.arrived.notified().await;
        }
    }
}
