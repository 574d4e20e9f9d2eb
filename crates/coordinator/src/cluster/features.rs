//! Which levels of the cluster's features are in use, and how they may change (KIP-584, KIP-778).

use vltava_core::error::ErrorCode;
use vltava_core::image::{FeatureRange, Image};

use super::Cluster;
use super::command::{FeatureUpdate, UpdateFeatures, UpgradeType};
use super::event::Event;

/// The feature that says which records the metadata log may hold.
pub const METADATA_VERSION: &str = "metadata.version";

/// The feature that says which protocols groups may speak: the consumer protocol from level 1 on (KIP-848).
pub const GROUP_VERSION: &str = "group.version";

/// The feature of the quorum itself, whose level stands in a control record of its log (KIP-853).
pub const KRAFT_VERSION: &str = "kraft.version";

/// Its level, which every quorum of ours has and keeps, and the range that there is.
const KRAFT_LEVEL: i16 = 1;
const KRAFT_LEVELS: FeatureRange = FeatureRange { min: 0, max: KRAFT_LEVEL };

/// What a new cluster begins with, as in Kafka since 4.0.
pub const GROUP_VERSION_LATEST: i16 = 1;

/// Features that a cluster may have finalised before this release took it over, each with the highest level that is known
/// to be harmless. What they add begins with a request that this release does not advertise, or with a second replica;
/// their records are kept as they stand.
///
/// Why: a log directory of Kafka 4 has all of them, and refusing it would ask its owner to downgrade features that nobody
/// uses. The finalised level stays, so that Kafka finds it again.
const DORMANT: [(&str, i16); 3] =
    [("eligible.leader.replicas.version", 1), ("share.version", 2), ("streams.version", 1)];

/// True when a broker need not support this finalised level to take part.
pub(super) fn is_dormant(feature: &str, level: i16) -> bool {
    DORMANT.iter().any(|(name, max)| *name == feature && (0..=*max).contains(&level))
}

/// A level of [`METADATA_VERSION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataVersion(pub i16);

impl MetadataVersion {
    /// The oldest level that a log may be at: 3.3-IV3.
    pub const MINIMUM: MetadataVersion = MetadataVersion(7);
    /// What a new log begins with: 4.4-IV2, as in Kafka 4.4.
    pub const LATEST: MetadataVersion = MetadataVersion(33);
    /// Log directories have identities (3.7-IV2).
    pub const DIRECTORIES: MetadataVersion = MetadataVersion(17);
    /// Registrations of controllers (3.7-IV0).
    pub const CONTROLLER_REGISTRATION: MetadataVersion = MetadataVersion(15);
    /// Eligible leader replicas can be stored (4.0-IV1).
    pub const ELIGIBLE_LEADERS: MetadataVersion = MetadataVersion(23);
    /// Log directories can be cordoned (4.3-IV0).
    pub const CORDONED_DIRECTORIES: MetadataVersion = MetadataVersion(30);
    /// Controllers can be unregistered (4.4-IV2).
    pub const CONTROLLER_UNREGISTRATION: MetadataVersion = MetadataVersion(33);

    /// The finalised level; the oldest one when none is.
    #[must_use]
    pub fn of(image: &Image) -> MetadataVersion {
        image.features.get(METADATA_VERSION).map_or(Self::MINIMUM, |level| MetadataVersion(*level))
    }

    /// The levels this release can work with.
    #[must_use]
    pub const fn supported() -> FeatureRange {
        FeatureRange { min: Self::MINIMUM.0, max: Self::LATEST.0 }
    }

    /// True when records were added between this level and a later one, so that going back could lose some.
    fn loses_records_of(self, later: MetadataVersion) -> bool {
        /// The levels that added records.
        const ADDED_RECORDS: [i16; 11] = [7, 8, 11, 13, 14, 15, 17, 23, 30, 32, 33];
        ADDED_RECORDS.iter().any(|level| (self.0 + 1..=later.0).contains(level))
    }
}

/// Why feature levels stay as they are. Nothing of the request was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// The level cannot be set.
    #[error(
        "The update failed for all features since the following feature had an error: Invalid update version {level} for feature {feature}. {why}"
    )]
    Invalid {
        /// The feature.
        feature: String,
        /// The level.
        level: i16,
        /// Why.
        why: String,
    },
    /// The metadata version cannot go back.
    #[error(
        "The update failed for all features since the following feature had an error: Unsupported metadata.version downgrade from {from} to {to}. {why}"
    )]
    Downgrade {
        /// The finalised level.
        from: i16,
        /// The wanted level.
        to: i16,
        /// Why.
        why: &'static str,
    },
}

impl FeatureError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::INVALID_UPDATE_VERSION
    }

    fn invalid(update: &FeatureUpdate, why: impl Into<String>) -> FeatureError {
        FeatureError::Invalid { feature: update.name.clone(), level: update.level, why: why.into() }
    }
}

impl Cluster {
    /// Decides an update of feature levels: all of it, or nothing.
    pub(super) fn update_features(&self, request: &UpdateFeatures) -> (Vec<Event>, Result<(), FeatureError>) {
        let mut events = Vec::with_capacity(request.updates.len());
        for update in &request.updates {
            match self.update_feature(update) {
                Ok(event) => events.extend(event),
                Err(error) => return (Vec::new(), Err(error)),
            }
        }
        if request.validate_only {
            events.clear();
        }
        (events, Ok(()))
    }

    /// The event of one update; none when it asks for what is so already and can be nothing else.
    fn update_feature(&self, update: &FeatureUpdate) -> Result<Option<Event>, FeatureError> {
        let refuse = |why: &str| Err(FeatureError::invalid(update, why));
        let current = self.finalised(&update.name);
        if update.upgrade == UpgradeType::Unknown {
            return refuse("The controller does not support the given upgrade type.");
        }
        if update.level < 0 {
            return refuse("A feature version cannot be less than 0.");
        }
        if let Some(why) = self.who_does_not_support(&update.name, update.level) {
            return refuse(&why);
        }
        if update.level < current && update.upgrade == UpgradeType::Upgrade {
            return refuse(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
            );
        }
        if update.level > current && update.upgrade != UpgradeType::Upgrade {
            return refuse("Can't downgrade to a newer version.");
        }
        if update.name == METADATA_VERSION {
            check_metadata_downgrade(current, update)?;
        }
        if update.name == KRAFT_VERSION {
            return if update.level < current {
                refuse("Can't downgrade the version of this feature.")
            } else {
                Ok(None)
            };
        }
        Ok(Some(Event::FeatureSet { name: update.name.clone(), level: update.level }))
    }

    /// The finalised level of a feature.
    pub(super) fn finalised(&self, feature: &str) -> i16 {
        if feature == METADATA_VERSION {
            MetadataVersion::of(&self.image).0
        } else if feature == KRAFT_VERSION {
            KRAFT_LEVEL
        } else {
            self.image.feature(feature)
        }
    }

    fn who_does_not_support(&self, feature: &str, level: i16) -> Option<String> {
        if feature == KRAFT_VERSION {
            return not_supported(
                level,
                &format!("Local controller {}", self.options.node),
                Some(&KRAFT_LEVELS),
            );
        }
        let local = self.options.features.get(feature);
        let brokers =
            self.image.brokers.values().map(|broker| ("Broker", broker.id, broker.features.get(feature)));
        let controllers = self
            .image
            .controllers
            .values()
            .filter(|controller| controller.id != self.options.node)
            .map(|controller| ("Controller", controller.id, controller.features.get(feature)));
        std::iter::once(("Local controller", self.options.node, local))
            .chain(brokers)
            .chain(controllers)
            .find_map(|(what, id, range)| not_supported(level, &format!("{what} {id}"), range))
    }
}

fn not_supported(level: i16, who: &str, range: Option<&FeatureRange>) -> Option<String> {
    let range = range.copied().unwrap_or(FeatureRange { min: 0, max: 0 });
    if (range.min..=range.max).contains(&level) {
        None
    } else if range.max == 0 {
        Some(format!("{who} does not support this feature."))
    } else if range.min == range.max {
        Some(format!("{who} only supports versions {}", range.min))
    } else {
        Some(format!("{who} only supports versions {}-{}", range.min, range.max))
    }
}

fn check_metadata_downgrade(current: i16, update: &FeatureUpdate) -> Result<(), FeatureError> {
    let refuse = |why| Err(FeatureError::Downgrade { from: current, to: update.level, why });
    if update.level >= current || !MetadataVersion(update.level).loses_records_of(MetadataVersion(current)) {
        Ok(())
    } else if update.upgrade == UpgradeType::UnsafeDowngrade {
        refuse("Unsafe metadata downgrade is not supported in this version.")
    } else {
        refuse("Refusing to perform the requested downgrade because it might delete metadata information.")
    }
}
