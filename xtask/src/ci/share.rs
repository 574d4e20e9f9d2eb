//! What each kind of work may take of the time of a whole run, on two cores.

use std::collections::BTreeMap;
use std::time::Duration;

/// A part of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Builds, lints, unit tests, simulations, measurements against floors.
    Build,
    /// Clients of topics and records.
    Clients,
    /// Groups, transactions, streams.
    Groups,
    /// The schema registry.
    Registry,
    /// Connect.
    Connect,
}

impl Share {
    /// Every share, in the order in which they are told.
    pub const ALL: [Share; 5] =
        [Share::Build, Share::Clients, Share::Groups, Share::Registry, Share::Connect];

    /// What it is called in the report.
    pub fn name(self) -> &'static str {
        match self {
            Share::Build => "build, lint and tests",
            Share::Clients => "core clients",
            Share::Groups => "groups",
            Share::Registry => "registry",
            Share::Connect => "connect",
        }
    }

    /// What it may take.
    pub fn limit(self) -> Duration {
        let minutes = match self {
            Share::Build => 20,
            Share::Clients => 12,
            Share::Groups => 10,
            Share::Registry => 5,
            Share::Connect => 8,
        };
        Duration::from_secs(minutes * 60)
    }
}

/// What each share has taken.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<Share, Duration>);

impl Ledger {
    /// Takes from a share.
    pub fn spend(&mut self, share: Share, took: Duration) {
        *self.0.entry(share).or_default() += took;
    }

    /// The state of a share, in a few words.
    pub fn told(&self, share: Share) -> String {
        let (spent, limit) = (self.spent(share), share.limit());
        let verdict = if spent > limit { ", more than its share" } else { "" };
        format!("{}: {} of {} s{verdict}", share.name(), spent.as_secs(), limit.as_secs())
    }

    /// Prints the state of all shares.
    pub fn print(&self) {
        Share::ALL.iter().for_each(|share| println!("{}", self.told(*share)));
    }

    fn spent(&self, share: Share) -> Duration {
        self.0.get(&share).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_used_up_is_told() {
        let mut ledger = Ledger::default();
        ledger.spend(Share::Clients, Duration::from_secs(700));
        assert_eq!(ledger.told(Share::Clients), "core clients: 700 of 720 s");
        ledger.spend(Share::Clients, Duration::from_secs(21));
        assert_eq!(ledger.told(Share::Clients), "core clients: 721 of 720 s, more than its share");
        assert_eq!(ledger.told(Share::Groups), "groups: 0 of 600 s");
    }
}
