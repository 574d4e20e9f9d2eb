//! The `vltava` binary: the command line of [`vltava_broker::cli`].

fn main() -> std::process::ExitCode {
    vltava_broker::cli::run()
}
