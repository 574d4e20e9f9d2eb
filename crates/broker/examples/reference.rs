//! Prints a reference page that is made from the broker's declarations: `apis`, `connect` or `metrics`. `cargo xtask docs` runs it.

use std::process::ExitCode;

use vltava_broker::reference;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("apis") => print!("{}", reference::apis()),
        Some("connect") => print!("{}", reference::connect()),
        Some("metrics") => print!("{}", reference::metrics()),
        _ => {
            eprintln!("name a page: apis, connect or metrics");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
