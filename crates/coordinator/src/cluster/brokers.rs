//! The brokers and controllers of the cluster: who is registered, in which incarnation, and who takes part.
//!
//! A broker registers fenced. Once it is ready it becomes active, and leads what nobody leads. A broker that registers in
//! a new incarnation while its last one still counted as active is first fenced: what it led begins a new leader epoch,
//! so whatever the old process did not bring to disk cannot be mistaken for what the new one writes. One that cannot say
//! that its last process has stopped cleanly may not lead as an eligible leader either (KIP-966).

use std::collections::BTreeSet;

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, DirectoryId};
use vltava_core::image::{Broker, Controller};

use super::Cluster;
use super::command::{BrokerState, RegisterBroker};
use super::event::{BrokerChange, Event};
use super::features::{METADATA_VERSION, MetadataVersion, is_dormant};

/// Why a broker or controller is not what it wants to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It belongs to another cluster.
    #[error("Expected cluster ID {expected}, but got cluster ID {found}")]
    InconsistentCluster {
        /// This cluster.
        expected: String,
        /// The other one.
        found: String,
    },
    /// It has no log directory.
    #[error("No directories specified in request")]
    NoDirectories,
    /// It uses an identity that has a meaning of its own.
    #[error("Reserved directory ID in request")]
    ReservedDirectory,
    /// Two of its log directories have one identity.
    #[error("Duplicate directory ID in request")]
    DuplicateDirectory,
    /// Its log directory is another broker's.
    #[error("Broker {broker} is already registered with directory {directory}")]
    DirectoryOfAnother {
        /// Whose it is.
        broker: BrokerId,
        /// Which.
        directory: DirectoryId,
    },
    /// It cannot work with the finalised level of a feature.
    #[error(
        "Unable to register because the broker does not support finalized version {level} of {feature}. The broker wants a version between {min} and {max}, inclusive."
    )]
    UnsupportedFeature {
        /// The feature.
        feature: String,
        /// The finalised level.
        level: i16,
        /// The lowest level it supports.
        min: i16,
        /// The highest level it supports.
        max: i16,
    },
    /// It does not say which metadata versions it supports.
    #[error("Request features do not contain 'metadata.version'")]
    NoMetadataVersion,
    /// The finalised metadata version knows no registrations of controllers.
    #[error("The current MetadataVersion is too old to support controller registrations.")]
    NoControllerRegistration,
    /// The finalised metadata version cannot forget controllers.
    #[error("The current MetadataVersion is too old to support controller unregistration.")]
    NoControllerUnregistration,
    /// The active controller cannot forget itself.
    #[error("Controller cannot unregister itself while it is active.")]
    ControllerIsActive,
    /// No such controller.
    #[error("Controller ID {0} is not currently registered.")]
    UnknownController(BrokerId),
    /// No such broker, when it is to be forgotten.
    #[error("Broker ID {0} is not currently registered")]
    NotRegistered(BrokerId),
    /// No such broker, when it asks for something.
    #[error("No broker registration found for broker id {0}")]
    NoRegistration(BrokerId),
    /// The broker has registered again since.
    #[error("Expected broker epoch {expected}, but got broker epoch {found}")]
    StaleEpoch {
        /// The epoch of its registration.
        expected: BrokerEpoch,
        /// The epoch it gave.
        found: BrokerEpoch,
    },
    /// There are no producer ids left.
    #[error("Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit")]
    ProducerIdsExhausted,
}

impl BrokerError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InconsistentCluster { .. } => ErrorCode::INCONSISTENT_CLUSTER_ID,
            Self::NoDirectories
            | Self::ReservedDirectory
            | Self::DuplicateDirectory
            | Self::DirectoryOfAnother { .. } => ErrorCode::INVALID_REGISTRATION,
            Self::UnsupportedFeature { .. }
            | Self::NoMetadataVersion
            | Self::NoControllerRegistration
            | Self::NoControllerUnregistration => ErrorCode::UNSUPPORTED_VERSION,
            Self::ControllerIsActive => ErrorCode::INVALID_REQUEST,
            Self::UnknownController(_) => ErrorCode::UNKNOWN_CONTROLLER_ID,
            Self::NotRegistered(_) => ErrorCode::BROKER_ID_NOT_REGISTERED,
            Self::NoRegistration(_) | Self::StaleEpoch { .. } => ErrorCode::STALE_BROKER_EPOCH,
            Self::ProducerIdsExhausted => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

impl Cluster {
    /// Decides a registration.
    pub(super) fn register_broker(
        &self,
        request: RegisterBroker,
    ) -> (Vec<Event>, Result<BrokerEpoch, BrokerError>) {
        if let Err(error) = self.check_registration(&request) {
            return (Vec::new(), Err(error));
        }
        let mut events = Vec::new();
        let existing = self.image.brokers.get(&request.id);
        let same = existing.filter(|existing| existing.incarnation == request.incarnation);
        if let Some(lost) = existing.filter(|_| same.is_none()) {
            if self.keeps_eligible() && request.previous_epoch != lost.epoch {
                events.extend(self.leave_partitions_uncleanly(lost.id));
            } else if lost.is_active() {
                events.extend(self.leave_partitions(lost.id));
            }
        }
        // The records of this decision are behind everything applied so far, so this orders all registrations.
        let epoch = same.map_or(BrokerEpoch(self.image.offset.next().0), |existing| existing.epoch);
        events.push(Event::BrokerRegistered(Broker {
            id: request.id,
            epoch,
            incarnation: request.incarnation,
            endpoints: request.endpoints,
            rack: request.rack,
            features: request.features,
            directories: request.directories,
            cordoned: request.cordoned,
            fenced: same.is_none_or(|existing| existing.fenced),
            in_controlled_shutdown: same.is_some_and(|existing| existing.in_controlled_shutdown),
        }));
        (events, Ok(epoch))
    }

    fn check_registration(&self, request: &RegisterBroker) -> Result<(), BrokerError> {
        if request.cluster != self.options.cluster {
            return Err(BrokerError::InconsistentCluster {
                expected: self.options.cluster.clone(),
                found: request.cluster.clone(),
            });
        }
        if MetadataVersion::of(&self.image) >= MetadataVersion::DIRECTORIES {
            self.check_directories(request)?;
        }
        if !request.features.contains_key(METADATA_VERSION) {
            return Err(BrokerError::NoMetadataVersion);
        }
        self.check_features(request)
    }

    fn check_directories(&self, request: &RegisterBroker) -> Result<(), BrokerError> {
        if request.directories.is_empty() {
            return Err(BrokerError::NoDirectories);
        }
        if request.directories.iter().any(is_reserved) {
            return Err(BrokerError::ReservedDirectory);
        }
        if request.directories.iter().collect::<BTreeSet<_>>().len() != request.directories.len() {
            return Err(BrokerError::DuplicateDirectory);
        }
        let others = self.image.brokers.values().filter(|broker| broker.id != request.id);
        for broker in others {
            let shared = broker.directories.iter().find(|directory| request.directories.contains(directory));
            if let Some(directory) = shared {
                return Err(BrokerError::DirectoryOfAnother { broker: broker.id, directory: *directory });
            }
        }
        Ok(())
    }

    fn check_features(&self, request: &RegisterBroker) -> Result<(), BrokerError> {
        let finalised = self.image.features.keys().chain(request.features.keys());
        for feature in finalised {
            let level = self.finalised(feature);
            let supported = request.features.get(feature);
            let (min, max) = supported.map_or((0, 0), |range| (range.min, range.max));
            let dormant = supported.is_none() && is_dormant(feature, level);
            if !dormant && !(min..=max).contains(&level) {
                return Err(BrokerError::UnsupportedFeature { feature: feature.clone(), level, min, max });
            }
        }
        Ok(())
    }

    /// Decides how far a broker takes part.
    pub(super) fn move_broker(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        state: BrokerState,
    ) -> (Vec<Event>, Result<(), BrokerError>) {
        if let Err(error) = self.check_broker_epoch(broker, epoch) {
            return (Vec::new(), Err(error));
        }
        let events = match (state, self.image.brokers.get(&broker)) {
            // A process that has begun to go down does not come back; the next one registers anew.
            (BrokerState::Active, Some(registered))
                if registered.fenced && !registered.in_controlled_shutdown =>
            {
                let mut events = vec![Event::BrokerChanged(BrokerChange::fenced(broker, epoch, false))];
                events.extend(self.lead_what_nobody_leads(broker));
                events
            }
            (BrokerState::ShuttingDown, Some(registered)) if !registered.in_controlled_shutdown => {
                let change = BrokerChange { in_controlled_shutdown: true, ..BrokerChange::of(broker, epoch) };
                let mut events = vec![Event::BrokerChanged(change)];
                events.extend(self.leave_partitions(broker));
                events
            }
            (BrokerState::Fenced, Some(registered)) if !registered.fenced => {
                let mut events = self.leave_partitions(broker);
                events.push(Event::BrokerChanged(BrokerChange::fenced(broker, epoch, true)));
                events
            }
            _ => Vec::new(),
        };
        (events, Ok(()))
    }

    /// Decides which directories of a broker take no new replicas. Before 4.3-IV0 no record can say so.
    pub(super) fn cordon_directories(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        cordoned: Vec<DirectoryId>,
    ) -> (Vec<Event>, Result<(), BrokerError>) {
        if let Err(error) = self.check_broker_epoch(broker, epoch) {
            return (Vec::new(), Err(error));
        }
        let known = self.image.brokers.get(&broker).is_some_and(|broker| broker.cordoned == cordoned);
        if known || MetadataVersion::of(&self.image) < MetadataVersion::CORDONED_DIRECTORIES {
            return (Vec::new(), Ok(()));
        }
        let change = BrokerChange { cordoned: Some(cordoned), ..BrokerChange::of(broker, epoch) };
        (vec![Event::BrokerChanged(change)], Ok(()))
    }

    /// Decides to forget a broker.
    pub(super) fn unregister_broker(&self, broker: BrokerId) -> (Vec<Event>, Result<(), BrokerError>) {
        let Some(registered) = self.image.brokers.get(&broker) else {
            return (Vec::new(), Err(BrokerError::NotRegistered(broker)));
        };
        let mut events = self.leave_partitions(broker);
        events.push(Event::BrokerUnregistered { broker, epoch: registered.epoch });
        (events, Ok(()))
    }

    /// Decides a registration of a controller.
    pub(super) fn register_controller(
        &self,
        controller: Controller,
    ) -> (Vec<Event>, Result<(), BrokerError>) {
        if MetadataVersion::of(&self.image) < MetadataVersion::CONTROLLER_REGISTRATION {
            return (Vec::new(), Err(BrokerError::NoControllerRegistration));
        }
        let known = self.image.controllers.get(&controller.id).is_some_and(|known| **known == controller);
        let events = if known { Vec::new() } else { vec![Event::ControllerRegistered(controller)] };
        (events, Ok(()))
    }

    /// Decides to forget a controller.
    pub(super) fn unregister_controller(
        &self,
        controller: BrokerId,
    ) -> (Vec<Event>, Result<(), BrokerError>) {
        let refuse = |error| (Vec::new(), Err(error));
        if MetadataVersion::of(&self.image) < MetadataVersion::CONTROLLER_UNREGISTRATION {
            return refuse(BrokerError::NoControllerUnregistration);
        }
        if controller == self.options.node {
            return refuse(BrokerError::ControllerIsActive);
        }
        if !self.image.controllers.contains_key(&controller) {
            return refuse(BrokerError::UnknownController(controller));
        }
        (vec![Event::ControllerUnregistered(controller)], Ok(()))
    }

    /// Refuses a broker that speaks for an older registration.
    pub(super) fn check_broker_epoch(&self, broker: BrokerId, epoch: BrokerEpoch) -> Result<(), BrokerError> {
        match self.image.brokers.get(&broker) {
            None => Err(BrokerError::NoRegistration(broker)),
            Some(known) if known.epoch != epoch => {
                Err(BrokerError::StaleEpoch { expected: known.epoch, found: epoch })
            }
            Some(_) => Ok(()),
        }
    }

    /// Where a new replica of this broker goes: into its one log directory, else the broker chooses.
    pub(super) fn directory_for_new_replica(&self, broker: BrokerId) -> DirectoryId {
        match self.image.brokers.get(&broker).map(|broker| broker.directories.as_slice()) {
            None | Some([]) => DirectoryId::MIGRATING,
            Some([only]) => *only,
            Some(_) => DirectoryId::UNASSIGNED,
        }
    }
}

/// True for identities below 100, which Kafka keeps for meanings of their own.
fn is_reserved(directory: &DirectoryId) -> bool {
    directory.0.as_u128() < 100
}
