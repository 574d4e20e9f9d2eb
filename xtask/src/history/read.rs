//! The lines in which client programs tell what they do.
//!
//! A program prints one JSON array a line, the kind first, then its name and the moment, in nanoseconds of the machine's
//! monotonic clock. What a program that was killed had printed stays told, so a transaction is told in three lines:
//!
//! | line | when |
//! | --- | --- |
//! | `["begin", who, at, id, [[key, offset, value]…], [[key, value]…], [[key, offset]…]]` | before the first write: what was read, what will be written, which offsets will be committed |
//! | `["ending", who, at, id, commit]` | before the commit or abort is asked for |
//! | `["end", who, at, id, outcome, [[value, offset]…]]` | `ok`: committed; `fail`: aborted; `info`: unknown |
//! | `["send", who, at, since, key, value, offset, outcome]` | a record outside of transactions |
//! | `["poll", who, at, since, committed, drain, [[key, offset, value]…]]` | records of a consumer |
//! | `["assign", who, at]` | the positions of a consumer start anew |

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde::Deserialize;

use super::History;
use super::operation::{Act, Isolation, Operation, Outcome, Place, Poll, Send, Transaction};

type Reads = Vec<(String, i64, String)>;

/// One line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Begin(Tag<'b'>, String, u64, String, Reads, Vec<(String, String)>, Vec<(String, i64)>),
    End(Tag<'e'>, String, u64, String, String, Vec<(String, i64)>),
    Ending(Tag<'i'>, String, u64, String, bool),
    Send(Tag<'s'>, String, u64, u64, String, String, Option<i64>, String),
    Poll(Tag<'p'>, String, u64, u64, bool, bool, Reads),
    Assign(Tag<'a'>, String, u64),
}

/// The first element of a line, which is one word for each letter.
struct Tag<const LETTER: char>;

impl<'de, const LETTER: char> Deserialize<'de> for Tag<LETTER> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let expected = match LETTER {
            'b' => "begin",
            'e' => "end",
            'i' => "ending",
            's' => "send",
            'p' => "poll",
            _ => "assign",
        };
        if word == expected { Ok(Tag) } else { Err(serde::de::Error::custom("another kind of line")) }
    }
}

/// Puts lines together.
#[derive(Default)]
pub struct Reader {
    history: History,
    /// Transactions that have begun and not ended, by process and id.
    open: BTreeMap<(String, String), (u64, Transaction)>,
}

impl Reader {
    /// Adds a line.
    ///
    /// # Errors
    /// When it is none of the lines above.
    pub fn line(&mut self, text: &str) -> anyhow::Result<()> {
        let line: Line =
            serde_json::from_str(text).with_context(|| format!("no line of a history: {text}"))?;
        match line {
            Line::Begin(_, who, at, id, reads, sends, offsets) => {
                let transaction = Transaction {
                    reads: placed(reads),
                    sends: sends.into_iter().map(|(key, value)| Send { key, value, offset: None }).collect(),
                    offsets: offsets.into_iter().map(|(key, offset)| Place { key, offset }).collect(),
                    committing: None,
                };
                self.open.insert((who, id), (at, transaction));
            }
            Line::Ending(_, who, at, id, commit) => {
                let (_, transaction) =
                    self.open.get_mut(&(who, id)).context("a transaction ends that never began")?;
                transaction.committing = commit.then_some(at);
            }
            Line::End(_, who, at, id, outcome, offsets) => {
                let (begun, mut transaction) = self
                    .open
                    .remove(&(who.clone(), id))
                    .context("a transaction has ended that never began")?;
                for (value, offset) in offsets {
                    let send = transaction.sends.iter_mut().find(|send| send.value == value);
                    send.context("a value is placed that was never sent")?.offset = Some(offset);
                }
                self.push(who, begun, at, self::outcome(&outcome)?, Act::Transaction(transaction));
            }
            Line::Send(_, who, at, since, key, value, offset, outcome) => {
                let act = Act::Send(Send { key, value, offset });
                self.push(who, since, at, self::outcome(&outcome)?, act);
            }
            Line::Poll(_, who, at, since, committed, drain, reads) => {
                let isolation = if committed { Isolation::Committed } else { Isolation::Uncommitted };
                let act = Act::Poll(Poll { isolation, drain, reads: placed(reads) });
                self.push(who, since, at, Outcome::Ok, act);
            }
            Line::Assign(_, who, at) => self.push(who, at, at, Outcome::Ok, Act::Assign),
        }
        Ok(())
    }

    /// Adds an operation that no program told.
    pub fn push(&mut self, process: String, begun: u64, ended: u64, outcome: Outcome, act: Act) {
        self.history.operations.push(Operation { process, begun, ended, outcome, act });
    }

    /// The history. A transaction without an end was not committed if nobody asked for it; else nobody knows.
    pub fn finish(mut self) -> History {
        for ((who, _), (begun, transaction)) in std::mem::take(&mut self.open) {
            let outcome = if transaction.committing.is_some() { Outcome::Info } else { Outcome::Fail };
            self.push(who, begun, u64::MAX, outcome, Act::Transaction(transaction));
        }
        self.history
    }
}

fn placed(reads: Reads) -> Vec<(Place, String)> {
    reads.into_iter().map(|(key, offset, value)| (Place { key, offset }, value)).collect()
}

fn outcome(text: &str) -> anyhow::Result<Outcome> {
    Ok(match text {
        "ok" => Outcome::Ok,
        "fail" => Outcome::Fail,
        "info" => Outcome::Info,
        other => bail!("there is no outcome {other:?}"),
    })
}
