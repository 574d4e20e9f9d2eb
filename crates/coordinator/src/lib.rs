//! The decisions of Vltava's coordinators, as pure state machines over replicated logs.
//!
//! [`cluster`] controls the cluster over `__cluster_metadata`; [`group`] coordinates consumer groups over
//! `__consumer_offsets`. Both implement [`StateMachine`](vltava_core::machine::StateMachine): they read a command and
//! decide, they apply what was decided, and they neither wait, nor spawn, nor ask what time it is. The runtime that gives
//! them a log, a clock and timers is in `vltava-replication`; the requests of clients become commands in the broker.
//! [`generated`] holds the records of these logs in Kafka's formats.

pub mod cluster;
pub mod generated;
pub mod group;
