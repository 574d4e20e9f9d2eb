//! Exchanges the messages of this crate with another implementation through a file: see `exchange`.

use std::path::Path;
use std::process::ExitCode;

use vltava_core::testing::messages::exchange;
use vltava_protocol::OTHER_MESSAGES;
use vltava_protocol::api::APIS;

fn main() -> ExitCode {
    let apis = APIS.iter().flat_map(|api| [api.request.clone(), api.response.clone()]);
    let rows: Vec<_> = apis.chain(OTHER_MESSAGES.iter().cloned()).collect();
    exchange(&rows, &Path::new(env!("CARGO_MANIFEST_DIR")).join("messages"))
}
