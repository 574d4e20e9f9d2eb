//! Exchanges the messages of this crate with another implementation through a file: see `exchange`.

use std::path::Path;
use std::process::ExitCode;

use vltava_core::testing::messages::exchange;

fn main() -> ExitCode {
    let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/messages");
    exchange(vltava_core::generated::MESSAGES, &messages)
}
