//! Running one client program and reading its report.
//!
//! A program talks on its standard output, one line at a time; any other line is kept as context for a failure:
//!
//! | line | meaning |
//! | --- | --- |
//! | `@begin NAME` | the check NAME starts |
//! | `@ok` | it held |
//! | `@fail REASON` | it did not |
//! | `@server start`, `stop`, `kill`, `restart` | do that to the server, then answer `ok` on standard input |
//! | `@server adopt` | end the software that runs, and start the other one on its folder; answers `ok` |
//! | `@server rss`, `alive` | answer its resident bytes; `yes` or `no` |
//! | `@done` | every check was run |
//!
//! A program that ends without `@done` failed, so a crash in the middle cannot pass for success.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::catalogue::Limits;
use super::report::Report;
use super::server::{Server, end_group};

/// How many lines before a failure are shown.
const TAIL_LINES_MAX: usize = 60;
/// Longest line kept of a program's output, in characters.
const LINE_CHARS_MAX: usize = 600;

/// Runs `command` until it is done or a limit is reached, and reports every check.
pub fn run(
    command: &mut Command,
    limits: &Limits,
    server: &mut Server,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
    let lines = lines_of(&mut child)?;
    let input = child.stdin.take().context("the program has no standard input")?;
    let mut session = Session { input, server, report, check: None, tail: VecDeque::new(), done: false };
    let end = session.listen(&lines, limits);
    if end != End::Closed {
        end_group(child.id(), rustix::process::Signal::KILL);
    }
    let status = child.wait()?;
    session.close(end, &status.to_string(), status.success());
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The program closed its output.
    Closed,
    /// One check took too long.
    CheckLimit,
    /// The program took too long.
    ProgramLimit,
}

struct Session<'a> {
    input: ChildStdin,
    server: &'a mut Server,
    report: &'a mut Report,
    check: Option<(String, Instant)>,
    tail: VecDeque<String>,
    done: bool,
}

impl Session<'_> {
    fn listen(&mut self, lines: &Receiver<String>, limits: &Limits) -> End {
        let start = Instant::now();
        loop {
            let (begun, limit, end) = match &self.check {
                Some((_, begun)) => (*begun, limits.check, End::CheckLimit),
                None => (start, limits.program, End::ProgramLimit),
            };
            let program_left = limits.program.saturating_sub(start.elapsed());
            let wait = limit.saturating_sub(begun.elapsed()).min(program_left);
            match lines.recv_timeout(wait) {
                Ok(line) => self.line(&line),
                Err(RecvTimeoutError::Disconnected) => return End::Closed,
                Err(RecvTimeoutError::Timeout) if program_left.is_zero() => return End::ProgramLimit,
                Err(RecvTimeoutError::Timeout) => return end,
            }
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("@begin ") {
            self.tail.clear();
            self.check = Some((name.to_owned(), Instant::now()));
        } else if line == "@ok" {
            if let Some((name, begun)) = self.check.take() {
                self.report.ok(&name, begun.elapsed());
            }
        } else if let Some(reason) = line.strip_prefix("@fail ") {
            self.fail(reason);
        } else if let Some(verb) = line.strip_prefix("@server ") {
            self.control(verb);
        } else if line == "@done" {
            self.done = true;
        } else {
            if self.tail.len() == TAIL_LINES_MAX {
                self.tail.pop_front();
            }
            self.tail.push_back(line.chars().take(LINE_CHARS_MAX).collect());
        }
    }

    fn fail(&mut self, reason: &str) {
        let name = self.check.take().map_or_else(|| "outside any check".to_owned(), |(name, _)| name);
        self.report.fail(&name, reason, self.tail.make_contiguous());
        self.tail.clear();
    }

    fn control(&mut self, verb: &str) {
        let answer = match self.server.control(verb) {
            Ok(answer) => answer,
            Err(error) => {
                self.tail.push_back(format!("server {verb}: {error:#}"));
                self.tail.extend(self.server.log_tail());
                "failed".to_owned()
            }
        };
        if writeln!(self.input, "{answer}").and_then(|()| self.input.flush()).is_err() {
            self.tail.push_back(format!("the program did not wait for the answer to {verb}"));
        }
    }

    fn close(&mut self, end: End, status: &str, success: bool) {
        let reason = match end {
            End::CheckLimit => "it took longer than a check may".to_owned(),
            End::ProgramLimit => "the suite took longer than it may".to_owned(),
            End::Closed if success && self.done => return,
            End::Closed => format!("the program ended early ({status})"),
        };
        self.fail(&reason);
    }
}

/// All lines of both outputs, in one channel that closes when both have.
fn lines_of(child: &mut Child) -> anyhow::Result<Receiver<String>> {
    let (sender, receiver) = channel();
    forward(child.stdout.take().context("the program has no standard output")?, sender.clone());
    forward(child.stderr.take().context("the program has no standard error")?, sender);
    Ok(receiver)
}

fn forward(output: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
}

/// How often something that is waited for is looked at.
pub const GLANCE: Duration = Duration::from_millis(20);
