//! The client programs of the workload: started, killed, stalled and listened to.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use rustix::process::Signal;

use crate::conformance::server::end_group;

/// Everything that all programs print, line by line.
pub struct Ear {
    sender: Sender<String>,
    pub lines: Receiver<String>,
}

impl Ear {
    pub fn new() -> Ear {
        let (sender, lines) = channel();
        Ear { sender, lines }
    }
}

/// A process. Killed when dropped.
pub struct Program(Child);

impl Program {
    pub fn start(mut command: Command, ear: &Ear) -> anyhow::Result<Program> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
        listen(child.stdout.take().context("no standard output")?, ear.sender.clone());
        listen(child.stderr.take().context("no standard error")?, ear.sender.clone());
        Ok(Program(child))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Waits for its end; whether it was a good one.
    pub fn wait(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.wait()?.success())
    }

    /// Stops it where it is.
    pub fn stall(&self) {
        end_group(self.0.id(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        end_group(self.0.id(), Signal::CONT);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end_group(self.0.id(), Signal::KILL);
        // It is gone either way.
        let _ = self.0.wait();
    }
}

/// Forwards whole lines: what a killed process had not finished telling is left out.
fn listen(output: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            let whole = line.pop_if(|last| *last == b'\n').is_some();
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if !whole || sender.send(text).is_err() {
                return;
            }
        }
    });
}
