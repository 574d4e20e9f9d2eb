//! A broker of one's own within a program of one's own: in memory, or in the folder that is named.
//!
//! `cargo run --example custom_broker [FOLDER]`

use vltava_broker::{Broker, StartError};

/// Starts it on a free port. Any key of the configuration can be set; what is not set has Kafka's default.
pub async fn start(folder: Option<&str>) -> Result<Broker, StartError> {
    let builder = Broker::builder()
        .set("num.partitions", "3")
        .set("log.retention.hours", "1")
        .set("vltava.http.listeners", "http://127.0.0.1:0");
    match folder {
        Some(folder) => builder.directory(folder).start().await,
        None => builder.start().await,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1);
    let broker = start(folder.as_deref()).await?;
    println!("bootstrap.servers={}", broker.address());
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
