//! A machine small enough to see through, with everything a machine may have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{ProducerEpoch, ProducerId};
use vltava_core::image::Image;
use vltava_core::machine::{
    Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine, TransactionEnd,
    TransactionWrite,
};
use vltava_core::replicated::Verification;

/// How long somebody waits for a key at most.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// Texts under keys, for which one may wait.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    entries: BTreeMap<String, String>,
    open: BTreeMap<ProducerId, Vec<(String, String)>>,
    waiting: BTreeSet<String>,
    touched: usize,
    /// Loading puts [`LOADED`].
    notes_loading: bool,
    /// A wait that runs out puts [`EXPIRED`].
    notes_expiry: bool,
}

/// The key under which a ledger notes that it was loaded, if it does.
pub(crate) const LOADED: &str = "loaded";

/// What a ledger notes of a wait that ran out, if it does.
pub(crate) const EXPIRED: &str = "expired";

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Put(String, String),
    PutIn(ProducerId, String, String),
    End(ProducerId, bool),
    Get(String),
    Wait(String),
    Expire(String),
    Touch,
    Announce(String),
    /// A mistake of the machine, when it decides or when it applies.
    Break {
        applying: bool,
    },
    /// What no record can hold.
    Unfit,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Text(Option<String>),
    Touched(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Put(String, String),
    Removed(String),
    End(TransactionEnd),
    Waits(String),
    WaitsNoMore(String),
    Touched,
    Broken,
    Unfit,
}

impl StateMachine for Ledger {
    type Command = Command;
    type Answer = Answer;
    type Event = Event;
    type Key = String;
    type Effect = String;

    fn decide(&self, context: &Context<'_>, command: Command) -> Decision<Ledger> {
        match command {
            Command::Put(key, text) => self.put(key, text),
            Command::PutIn(producer, key, text) => {
                let mut decision =
                    Decision::with(vec![Event::Put(key, text)], Reply::Committed(Answer::Done));
                decision.transaction = Some(TransactionWrite::Within {
                    producer,
                    epoch: ProducerEpoch(0),
                    verification: Verification::None,
                });
                decision
            }
            Command::End(producer, commit) => {
                let end = TransactionEnd { producer, epoch: ProducerEpoch(0), commit, coordinator_epoch: 3 };
                Decision::with(vec![Event::End(end)], Reply::Committed(Answer::Done))
            }
            Command::Get(key) => Decision::answer(Answer::Text(self.entries.get(&key).cloned())),
            Command::Wait(key) => self.wait(context, key),
            Command::Expire(key) => {
                let note = || Event::Put(key.clone(), EXPIRED.to_owned());
                let events = self.notes_expiry.then(note).into_iter();
                let events = events.chain([Event::WaitsNoMore(key.clone())]).collect();
                Decision::with(events, Reply::Nobody).release(key, Answer::Text(None))
            }
            Command::Touch => {
                Decision::with(vec![Event::Touched], Reply::AtOnce(Answer::Touched(self.touched + 1)))
            }
            Command::Break { applying: true } => {
                Decision::with(vec![Event::Broken], Reply::Committed(Answer::Done))
            }
            Command::Break { applying: false } => panic!("broken while deciding"),
            Command::Unfit => {
                let events = vec![Event::Put("before".to_owned(), String::new()), Event::Unfit];
                Decision::with(events, Reply::Committed(Answer::Done))
            }
            Command::Announce(key) => {
                let mut decision = self.put(key.clone(), "announced".to_owned());
                decision.effects.push(key);
                decision
            }
        }
    }

    fn apply(&mut self, event: &Event, place: Place) {
        match event {
            Event::Put(key, text) => match place.transaction {
                Some((producer, _)) => {
                    self.open.entry(producer).or_default().push((key.clone(), text.clone()));
                }
                None => drop(self.entries.insert(key.clone(), text.clone())),
            },
            Event::Removed(key) => drop(self.entries.remove(key)),
            Event::End(end) => {
                let open = self.open.remove(&end.producer).unwrap_or_default();
                self.entries.extend(open.into_iter().filter(|_| end.commit));
            }
            Event::Waits(key) => drop(self.waiting.insert(key.clone())),
            Event::WaitsNoMore(key) => drop(self.waiting.remove(key)),
            Event::Touched => self.touched += 1,
            Event::Broken => panic!("broken while applying"),
            Event::Unfit => {}
        }
    }

    fn encode(&self, event: &Event, _: &Image) -> Encoded {
        let bytes = |text: &String| Some(Bytes::from(text.clone()));
        match event {
            Event::Put(key, text) => Encoded::Record { key: bytes(key), value: bytes(text) },
            Event::Removed(key) => Encoded::Record { key: bytes(key), value: None },
            Event::End(end) => Encoded::End(*end),
            Event::Waits(_) | Event::WaitsNoMore(_) | Event::Touched | Event::Broken => Encoded::Volatile,
            Event::Unfit => Encoded::Unfit { why: "too odd".to_owned() },
        }
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<Event>, DecodeError> {
        let text = |bytes: &Bytes| {
            String::from_utf8(bytes.to_vec())
                .map_err(|error| DecodeError { what: "ledger".to_owned(), why: error.to_string() })
        };
        match entry {
            Entry::End(end) => Ok(Some(Event::End(end))),
            Entry::Record { key: None, .. } => Ok(None),
            Entry::Record { key: Some(key), value: None } => Ok(Some(Event::Removed(text(key)?))),
            Entry::Record { key: Some(key), value: Some(value) } => {
                Ok(Some(Event::Put(text(key)?, text(value)?)))
            }
        }
    }

    fn loaded(&self, _: &Context<'_>) -> Decision<Ledger> {
        match self.notes_loading {
            true => Decision::with(vec![Event::Put(LOADED.to_owned(), String::new())], Reply::Nobody),
            false => Decision::nothing(),
        }
    }

    fn snapshot(&self) -> Vec<Event> {
        self.entries.iter().map(|(key, text)| Event::Put(key.clone(), text.clone())).collect()
    }
}

impl Ledger {
    /// One that writes when it is loaded.
    pub(crate) fn noting_loading() -> Ledger {
        Ledger { notes_loading: true, ..Ledger::default() }
    }

    /// One that writes when a wait runs out.
    pub(crate) fn noting_expiry() -> Ledger {
        Ledger { notes_expiry: true, ..Ledger::default() }
    }

    fn put(&self, key: String, text: String) -> Decision<Ledger> {
        let mut decision =
            Decision::with(vec![Event::Put(key.clone(), text.clone())], Reply::Committed(Answer::Done));
        if self.waiting.contains(&key) {
            decision.events.push(Event::WaitsNoMore(key.clone()));
            decision = decision.cancel_timer(key.clone()).release(key, Answer::Text(Some(text)));
        }
        decision
    }

    fn wait(&self, context: &Context<'_>, key: String) -> Decision<Ledger> {
        if let Some(text) = self.entries.get(&key) {
            return Decision::answer(Answer::Text(Some(text.clone())));
        }
        let mut decision = Decision::with(vec![Event::Waits(key.clone())], Reply::Parked(key.clone()))
            .set_timer(key.clone(), context.now + WAIT, Command::Expire(key.clone()));
        if self.waiting.contains(&key) {
            decision = decision.release(key, Answer::Text(None));
        }
        decision
    }
}
