//! What members of a group tell each other, in Kafka Connect's own bytes: versions 0 (eager), 1 (compatible) and 2
//! (sessioned, the same bytes as 1, and internal requests are signed).

use bytes::Bytes;
use vltava_core::wire::{Reader, WireError, Writer};

use super::{Piece, Work};

/// The number of the task that stands for the connector itself.
const CONNECTOR: i32 = -1;
/// The fewest bytes of a connector with its tasks: an empty name and no task.
const ENTRY_BYTES_MIN: usize = 6;

/// How a group shares out work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// All members stop everything before each round.
    Eager,
    /// Only what moves stops (KIP-415).
    Compatible,
    /// The same, and requests between workers are signed (KIP-507).
    Sessioned,
}

impl Protocol {
    /// Its name in settings.
    pub fn from_setting(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "eager" => Some(Protocol::Eager),
            "compatible" => Some(Protocol::Compatible),
            "sessioned" => Some(Protocol::Sessioned),
            _ => None,
        }
    }

    /// Its name in the group.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Eager => "default",
            Protocol::Compatible => "compatible",
            Protocol::Sessioned => "sessioned",
        }
    }

    /// What a worker with this setting offers, the best first.
    pub fn offered(self) -> impl Iterator<Item = Self> {
        let all = [Protocol::Sessioned, Protocol::Compatible, Protocol::Eager];
        all.into_iter().filter(move |offered| *offered <= self)
    }

    fn version(self) -> i16 {
        match self {
            Protocol::Eager => 0,
            Protocol::Compatible => 1,
            Protocol::Sessioned => 2,
        }
    }
}

/// What a member says when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where its API is.
    pub url: String,
    /// How far it has read the settings.
    pub offset: i64,
    /// What it runs, as it was assigned.
    pub assignment: Option<Assignment>,
}

/// What a leader says to a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// 0, or [`Assignment::MISMATCH`].
    pub error: i16,
    /// The leader.
    pub leader: String,
    /// Where the leader's API is.
    pub leader_url: String,
    /// How far the leader has read the settings.
    pub offset: i64,
    /// What to start; in [`Metadata`], what runs.
    pub starts: Work,
    /// What to stop.
    pub stops: Work,
    /// After how long to join again; 0 is never.
    pub delay_ms: i32,
}

impl Assignment {
    /// The leader has not read the settings that others have.
    pub const MISMATCH: i16 = 1;
}

impl Metadata {
    /// As bytes.
    ///
    /// # Errors
    /// When a name is too long.
    pub fn encode(&self, protocol: Protocol) -> Result<Bytes, WireError> {
        let mut writer = Writer::contiguous();
        writer.i16(protocol.version());
        writer.string(&self.url, false)?;
        writer.i64(self.offset);
        if protocol != Protocol::Eager {
            let assignment = self.assignment.as_ref().map(|known| known.encode(protocol)).transpose()?;
            writer.nullable_bytes(assignment.as_ref(), false)?;
        }
        writer.into_bytes()
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are something else.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        let (url, offset) = (reader.string(false)?.to_string(), reader.i64()?);
        let assignment = if version > 0 { reader.nullable_bytes(false)? } else { None };
        let assignment = assignment.map(Assignment::decode).transpose()?;
        Ok(Self { url, offset, assignment })
    }
}

impl Assignment {
    /// As bytes.
    ///
    /// # Errors
    /// When a name is too long.
    pub fn encode(&self, protocol: Protocol) -> Result<Bytes, WireError> {
        let mut writer = Writer::contiguous();
        writer.i16(protocol.version());
        writer.i16(self.error);
        writer.string(&self.leader, false)?;
        writer.string(&self.leader_url, false)?;
        writer.i64(self.offset);
        if protocol == Protocol::Eager {
            writer.array(&by_connector(&self.starts), false, entry)?;
        } else {
            // Never null, though that is allowed: Kafka Connect cannot add to what it reads from it.
            for work in [&self.starts, &self.stops] {
                writer.array(&by_connector(work), false, entry)?;
            }
            writer.i32(self.delay_ms);
        }
        writer.into_bytes()
    }

    /// From bytes; none at all are an assignment of nothing.
    ///
    /// # Errors
    /// When they are something else.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        let mut assignment = Self {
            error: reader.i16()?,
            leader: reader.string(false)?.to_string(),
            leader_url: reader.string(false)?.to_string(),
            offset: reader.i64()?,
            starts: work(&mut reader)?,
            ..Self::default()
        };
        if version > 0 {
            assignment.stops = work(&mut reader)?;
            assignment.delay_ms = reader.i32()?;
        }
        Ok(assignment)
    }
}

/// A connector's name, and the numbers of its tasks.
type Entry = (String, Vec<i32>);

fn by_connector(work: &Work) -> Vec<Entry> {
    let mut entries: std::collections::BTreeMap<&str, Vec<i32>> = std::collections::BTreeMap::new();
    for piece in work {
        let (name, number) = match piece {
            Piece::Connector(name) => (name, CONNECTOR),
            Piece::Task(name, task) => (name, i32::try_from(*task).unwrap_or(i32::MAX)),
        };
        entries.entry(name).or_default().push(number);
    }
    entries.into_iter().map(|(name, tasks)| (name.to_owned(), tasks)).collect()
}

fn entry(writer: &mut Writer, (name, tasks): &Entry) -> Result<(), WireError> {
    writer.string(name, false)?;
    writer.array(tasks, false, |writer, task| {
        writer.i32(*task);
        Ok(())
    })
}

fn work(reader: &mut Reader) -> Result<Work, WireError> {
    let entry = |reader: &mut Reader| {
        let name = reader.string(false)?.to_string();
        Ok((name, reader.array(false, 4, Reader::i32)?))
    };
    let mut work = Work::new();
    for (name, tasks) in reader.nullable_array(false, ENTRY_BYTES_MIN, entry)?.unwrap_or_default() {
        for task in tasks {
            work.insert(match usize::try_from(task) {
                Ok(task) => Piece::Task(name.clone(), task),
                Err(_) => Piece::Connector(name.clone()),
            });
        }
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work<const N: usize>(pieces: [Piece; N]) -> Work {
        Work::from(pieces)
    }

    fn assignment() -> Assignment {
        Assignment {
            leader: "w-1".to_owned(),
            leader_url: "http://a:1/".to_owned(),
            offset: 7,
            starts: work([Piece::Connector("c".to_owned()), Piece::Task("c".to_owned(), 0)]),
            stops: work([Piece::Task("d".to_owned(), 3)]),
            delay_ms: 9,
            ..Assignment::default()
        }
    }

    #[test]
    fn bytes_are_those_of_kafka_connect() {
        let name = |text: &str| [&[0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let written = assignment().encode(Protocol::Sessioned).unwrap();
        let expected = [
            &[0, 2, 0, 0][..],
            &name("w-1"),
            &name("http://a:1/"),
            &7i64.to_be_bytes(),
            &[0, 0, 0, 1],
            &name("c"),
            &[0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            &[0, 0, 0, 1],
            &name("d"),
            &[0, 0, 0, 1, 0, 0, 0, 3],
            &[0, 0, 0, 9],
        ]
        .concat();
        assert_eq!(written, expected);
        let metadata = Metadata { url: "http://b:2/".to_owned(), offset: -1, assignment: None };
        let written = metadata.encode(Protocol::Compatible).unwrap();
        let expected = [&[0, 1][..], &name("http://b:2/"), &(-1i64).to_be_bytes(), &[0xff; 4]].concat();
        assert_eq!(written, expected);
    }

    #[test]
    fn what_is_written_is_read() {
        for protocol in Protocol::Sessioned.offered() {
            let mut given = assignment();
            if protocol == Protocol::Eager {
                (given.stops, given.delay_ms) = (Work::new(), 0);
            }
            assert_eq!(Assignment::decode(given.encode(protocol).unwrap()).unwrap(), given);
            let assignment = (protocol != Protocol::Eager).then(|| given.clone());
            let metadata = Metadata { url: "http://b:2/".to_owned(), offset: 3, assignment };
            assert_eq!(Metadata::decode(metadata.encode(protocol).unwrap()).unwrap(), metadata);
        }
    }

    #[test]
    fn broken_bytes_are_refused() {
        let whole = assignment().encode(Protocol::Sessioned).unwrap();
        for cut in 0..whole.len() {
            assert!(Assignment::decode(whole.slice(..cut)).is_err(), "{cut}");
            assert!(Metadata::decode(whole.slice(..cut)).is_err() || cut > 12, "{cut}");
        }
        let mut hostile = whole.to_vec();
        hostile[28..32].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(Assignment::decode(Bytes::from(hostile)).is_err());
    }
}
