//! A broker with an authorizer of one's own: nobody writes to topics whose names begin with `audit.`.
//!
//! `cargo run --example custom_authorizer`

use std::net::IpAddr;

use vltava_broker::authorizer::{Action, Authorizer, Operation, Principal, Resource};
use vltava_broker::{Broker, StartError};

/// Keeps the topics of the audit as they are.
#[derive(Debug)]
pub struct AuditIsReadOnly;

impl Authorizer for AuditIsReadOnly {
    fn allows(&self, _who: &Principal, _from: IpAddr, action: Action<'_>) -> bool {
        match (action.operation, action.resource) {
            (Operation::Write, Resource::Topic(name)) => !name.starts_with("audit."),
            _ => true,
        }
    }
}

/// Starts a broker in memory, on a free port, that asks it.
pub async fn start() -> Result<Broker, StartError> {
    Broker::builder().authorizer(std::sync::Arc::new(AuditIsReadOnly)).start().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = start().await?;
    println!("bootstrap.servers={}", broker.address());
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
