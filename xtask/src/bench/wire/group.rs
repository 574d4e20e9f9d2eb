//! Requests of the members of groups.

use super::{Reader, Writer, request};

/// JoinGroup version 3, with one protocol.
pub fn join_group(group: &str, session_timeout_ms: i32, member: &str, subscription: &[u8]) -> Vec<u8> {
    let length = i32::try_from(subscription.len()).unwrap_or(i32::MAX);
    request(11, 3, |body| {
        body.text(group).i32(session_timeout_ms).i32(60_000).text(member).text("consumer");
        body.i32(1).text("range").i32(length).bytes(subscription);
    })
}

/// An answer to [`join_group`].
pub struct Joined {
    pub code: i16,
    pub generation: i32,
    pub member: String,
    /// Everybody, for the leader; nobody for the others.
    pub members: Vec<String>,
}

/// Reads an answer to [`join_group`], without length and correlation id.
pub fn joined(answer: &[u8]) -> anyhow::Result<Joined> {
    let mut answer = Reader(answer);
    answer.i32()?;
    let (code, generation) = (answer.i16()?, answer.i32()?);
    answer.skip_text()?;
    answer.skip_text()?;
    let member = answer.text()?;
    let mut members = Vec::new();
    for _ in 0..answer.i32()? {
        members.push(answer.text()?);
        let length = answer.i32()?;
        answer.take(usize::try_from(length)?)?;
    }
    Ok(Joined { code, generation, member, members })
}

/// SyncGroup version 2: the same share for everybody in `members`.
pub fn sync_group(group: &str, generation: i32, member: &str, members: &[String], share: &[u8]) -> Vec<u8> {
    let count = i32::try_from(members.len()).unwrap_or(i32::MAX);
    let length = i32::try_from(share.len()).unwrap_or(i32::MAX);
    request(14, 2, |body| {
        body.text(group).i32(generation).text(member).i32(count);
        for member in members {
            body.text(member).i32(length).bytes(share);
        }
    })
}

/// Heartbeat version 2.
pub fn heartbeat(group: &str, generation: i32, member: &str) -> Vec<u8> {
    request(12, 2, |body| {
        body.text(group).i32(generation).text(member);
    })
}

/// The error in an answer to [`sync_group`], and how many bytes of assignment it brings.
pub fn synced(answer: &[u8]) -> anyhow::Result<(i16, usize)> {
    let mut answer = Reader(answer);
    answer.i32()?;
    let code = answer.i16()?;
    Ok((code, usize::try_from(answer.i32()?).unwrap_or(0)))
}

/// Partitions of one topic.
#[derive(Clone, Debug, Default)]
pub struct Share {
    topic: [u8; 16],
    pub partitions: Vec<i32>,
}

/// What a member of the consumer protocol says.
pub struct ConsumerHeartbeat<'a> {
    pub group: &'a str,
    pub member: &'a str,
    pub epoch: i32,
    /// What it subscribes to, when it joins.
    pub topic: Option<&'a str>,
    /// What it has, when that has changed.
    pub own: Option<&'a Share>,
}

/// ConsumerGroupHeartbeat version 1.
pub fn consumer_heartbeat(beat: &ConsumerHeartbeat<'_>) -> Vec<u8> {
    request(68, 1, |body| {
        // No tagged fields in the header.
        body.i8(0);
        compact(body, beat.group);
        compact(body, beat.member);
        body.i32(beat.epoch);
        // Neither instance nor rack.
        body.i8(0).i8(0);
        match beat.topic {
            Some(topic) => {
                // A time to rebalance, one topic, no expression, an assignor.
                body.i32(60_000).unsigned(2);
                compact(body, topic);
                body.i8(0);
                compact(body, "uniform");
            }
            None => {
                body.i32(-1).i8(0).i8(0).i8(0);
            }
        }
        match beat.own {
            None => drop(body.i8(0)),
            Some(own) if own.partitions.is_empty() => drop(body.i8(1)),
            Some(own) => {
                body.i8(2).bytes(&own.topic).unsigned(own.partitions.len() as u64 + 1);
                for partition in &own.partitions {
                    body.i32(*partition);
                }
                body.i8(0);
            }
        }
        body.i8(0);
    })
}

fn compact(body: &mut Writer, text: &str) {
    body.unsigned(text.len() as u64 + 1).bytes(text.as_bytes());
}

/// What the coordinator answers to a [`consumer_heartbeat`].
pub struct ConsumerTold {
    pub code: i16,
    pub epoch: i32,
    /// What the member is to have, when that has changed.
    pub share: Option<Share>,
}

/// Reads an answer to [`consumer_heartbeat`], without length and correlation id.
pub fn consumer_told(answer: &[u8]) -> anyhow::Result<ConsumerTold> {
    let mut answer = Reader(answer);
    answer.take(1 + 4)?;
    let code = answer.i16()?;
    answer.skip_compact()?;
    answer.skip_compact()?;
    let epoch = answer.i32()?;
    answer.i32()?;
    let share = match answer.take(1)? {
        [1] => Some(share(&mut answer)?),
        _ => None,
    };
    Ok(ConsumerTold { code, epoch, share })
}

/// The partitions of the one topic there is, or none.
fn share(answer: &mut Reader<'_>) -> anyhow::Result<Share> {
    if answer.unsigned()? < 2 {
        return Ok(Share::default());
    }
    let mut share = Share { topic: answer.take(16)?.try_into()?, partitions: Vec::new() };
    for _ in 1..answer.unsigned()? {
        share.partitions.push(answer.i32()?);
    }
    Ok(share)
}
