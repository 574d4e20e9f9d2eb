//! A history, looked up by value and by place.

use std::collections::{BTreeMap, BTreeSet};

use super::History;
use super::operation::{Act, Isolation, Operation, Outcome, Place, Send, Transaction, Value};

/// Who wrote a value.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    pub operation: &'a Operation,
    pub send: &'a Send,
    /// Unless it was sent outside of transactions.
    pub transaction: Option<&'a Transaction>,
}

/// A value that somebody was given.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub operation: &'a Operation,
    pub isolation: Isolation,
    pub drain: bool,
    pub place: &'a Place,
    pub value: &'a str,
}

/// The lookups that checks share.
pub struct Index<'a> {
    /// All operations, in the order in which they began.
    pub operations: Vec<&'a Operation>,
    /// By value.
    pub writes: BTreeMap<&'a str, Written<'a>>,
    /// Every value that was read, by transactions too, which read what is committed.
    pub seen: Vec<Seen<'a>>,
    /// The values that were read as committed, with one of their places.
    pub visible: BTreeMap<&'a str, &'a Place>,
    /// The offsets at which something was read as committed, by key.
    pub visible_offsets: BTreeMap<&'a str, BTreeSet<i64>>,
}

impl<'a> Index<'a> {
    pub fn new(history: &'a History) -> Index<'a> {
        let mut operations: Vec<&Operation> = history.operations.iter().collect();
        operations.sort_by_key(|operation| (operation.begun, operation.ended));
        let mut index = Index {
            operations,
            writes: BTreeMap::new(),
            seen: Vec::new(),
            visible: BTreeMap::new(),
            visible_offsets: BTreeMap::new(),
        };
        for operation in &history.operations {
            index.add(operation);
        }
        index
    }

    fn add(&mut self, operation: &'a Operation) {
        match &operation.act {
            Act::Send(send) => {
                self.writes.insert(&send.value, Written { operation, send, transaction: None });
            }
            Act::Transaction(transaction) => {
                for send in &transaction.sends {
                    let written = Written { operation, send, transaction: Some(transaction) };
                    self.writes.insert(&send.value, written);
                }
                self.see(operation, Isolation::Committed, false, &transaction.reads);
            }
            Act::Poll(poll) => self.see(operation, poll.isolation, poll.drain, &poll.reads),
            _ => {}
        }
    }

    fn see(
        &mut self,
        operation: &'a Operation,
        isolation: Isolation,
        drain: bool,
        reads: &'a [(Place, Value)],
    ) {
        for (place, value) in reads {
            self.seen.push(Seen { operation, isolation, drain, place, value });
            if isolation == Isolation::Committed {
                self.visible.insert(value, place);
                self.visible_offsets.entry(&place.key).or_default().insert(place.offset);
            }
        }
    }

    /// The transactions with their operations, in the order in which they began.
    pub fn transactions(&self) -> impl Iterator<Item = (&'a Operation, &'a Transaction)> {
        self.operations.iter().filter_map(|operation| match &operation.act {
            Act::Transaction(transaction) => Some((*operation, transaction)),
            _ => None,
        })
    }

    /// Whether a value was acknowledged and, if in a transaction, committed for certain.
    pub fn is_certain(written: &Written<'_>) -> bool {
        written.operation.outcome == Outcome::Ok
    }
}
