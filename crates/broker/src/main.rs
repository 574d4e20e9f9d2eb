//! The `vltava` binary.

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let loaded = vltava_broker::config::load(None, &flags)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(vltava_broker::serve(loaded))?;
    Ok(())
}
