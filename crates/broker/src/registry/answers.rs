//! Answers to reads, kept for as long as the state that they were made from is the latest.
//!
//! Why: clients ask for the same schemas each time they start, all of them at once. To find a schema and write it as JSON
//! costs as much as everything that HTTP does around it.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::RwLock;

/// The most bytes that are kept of one state, with all that belongs to them. Beyond it, all are forgotten.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// What an answer takes besides its texts: its place among the others, and what memory is handed out with.
const PLACE_BYTES: usize = 160;
/// The most bytes of an answer that is kept.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bodies by what was asked for: a path with its parameters.
#[derive(Debug, Default)]
pub(crate) struct Answers(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<Box<str>, Bytes>,
    bytes: usize,
}

impl Answers {
    /// What was answered.
    pub(crate) fn get(&self, asked: &str) -> Option<Bytes> {
        self.0.read().bodies.get(asked).cloned()
    }

    /// Keeps an answer, if it is not too large.
    pub(crate) fn keep(&self, asked: &str, body: &Bytes) {
        let bytes = PLACE_BYTES + asked.len() + body.len();
        if bytes > ANSWER_BYTES_MAX {
            return;
        }
        // The text of an answer may stand in a larger buffer.
        let body = Bytes::copy_from_slice(body);
        let mut kept = self.0.write();
        if kept.bytes > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        kept.bodies.insert(asked.into(), body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let answers = Answers::default();
        answers.keep("/large", &Bytes::from(vec![0; ANSWER_BYTES_MAX]));
        assert_eq!(answers.get("/large"), None);

        let body = Bytes::from(vec![0; ANSWER_BYTES_MAX / 2]);
        for number in 0..3 * KEPT_BYTES_MAX / body.len() {
            let asked = format!("/{number}");
            answers.keep(&asked, &body);
            assert_eq!(answers.get(&asked).as_ref(), Some(&body));
            let kept = answers.0.read();
            let held: usize =
                kept.bodies.iter().map(|(asked, body)| PLACE_BYTES + asked.len() + body.len()).sum();
            assert!(held <= KEPT_BYTES_MAX + ANSWER_BYTES_MAX, "{held}");
        }
        assert_eq!(answers.get("/0"), None);
    }
}
