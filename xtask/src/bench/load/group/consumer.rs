//! A member of a group of the consumer protocol.

use anyhow::ensure;

use super::{GROUP, Group, Member, TOPIC};
use crate::bench::wire::{self, ConsumerHeartbeat, Share};

pub(super) struct ConsumerMember {
    id: String,
    epoch: i32,
    /// What it has, as it was told last.
    own: Share,
    /// Nobody was told yet that it has it.
    to_confirm: bool,
}

impl Member for ConsumerMember {
    fn new(number: usize, _: &Group) -> ConsumerMember {
        ConsumerMember {
            id: format!("member-{number:026}"),
            epoch: 0,
            own: Share::default(),
            to_confirm: false,
        }
    }

    fn join(&mut self) -> Vec<u8> {
        let own = Some(&self.own);
        let beat = ConsumerHeartbeat { group: GROUP, member: &self.id, epoch: 0, topic: Some(TOPIC), own };
        wire::consumer_heartbeat(&beat)
    }

    fn heartbeat(&mut self) -> Vec<u8> {
        let own = std::mem::take(&mut self.to_confirm).then_some(&self.own);
        let beat = ConsumerHeartbeat { group: GROUP, member: &self.id, epoch: self.epoch, topic: None, own };
        wire::consumer_heartbeat(&beat)
    }

    fn answered(&mut self, answer: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let told = wire::consumer_told(answer)?;
        ensure!(
            told.code == 0,
            "a heartbeat of {} in epoch {} was refused with error {}",
            self.id,
            self.epoch,
            told.code
        );
        self.epoch = told.epoch;
        let Some(share) = told.share else { return Ok(None) };
        (self.own, self.to_confirm) = (share, true);
        Ok(Some(self.heartbeat()))
    }

    fn generation(&self) -> i32 {
        self.epoch
    }

    fn is_settled(&self) -> bool {
        !self.to_confirm
    }

    fn partitions(&self) -> usize {
        self.own.partitions.len()
    }
}
