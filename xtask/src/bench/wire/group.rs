//! Requests of the members of classic groups.

use super::{Reader, request};

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
