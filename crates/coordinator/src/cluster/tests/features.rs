//! Feature levels.

use super::*;
use crate::cluster::command::{FeatureUpdate, UpdateFeatures, UpgradeType};
use crate::cluster::features::FeatureError;

/// Given metadata.version at `level`, when this update is asked for, then that is the answer.
fn check(level: i16, feature: &str, to: i16, upgrade: UpgradeType, expected: &str) {
    let mut pair = Pair::of("1");
    pair.write(&[Event::FeatureSet { name: METADATA_VERSION.to_owned(), level }]);
    let updates = vec![FeatureUpdate { name: feature.to_owned(), level: to, upgrade }];
    let answer = pair.ask(Command::UpdateFeatures(UpdateFeatures { updates, validate_only: false }));
    let Answer::UpdateFeatures(result) = answer else { panic!("{answer:?}") };
    let prefix = "The update failed for all features since the following feature had an error: ";
    assert_eq!(outcome(&result, FeatureError::code).replace(prefix, ""), expected);
    let now = pair.leader.image().feature(METADATA_VERSION);
    assert_eq!(now, if expected == "ok" && feature == METADATA_VERSION { to } else { level });
    assert_eq!(pair.leader.image().feature(KRAFT_VERSION), 0, "it stands in the quorum's own records");
}

#[test]
fn levels_change_as_far_as_everybody_supports_them() {
    use UpgradeType::{SafeDowngrade, Unknown, UnsafeDowngrade, Upgrade};
    check(30, METADATA_VERSION, 33, Upgrade, "ok");
    check(33, METADATA_VERSION, 33, Upgrade, "ok");
    check(31, METADATA_VERSION, 30, SafeDowngrade, "ok");
    check(
        33,
        METADATA_VERSION,
        30,
        SafeDowngrade,
        "INVALID_UPDATE_VERSION: Unsupported metadata.version downgrade from 33 to 30. Refusing to perform the requested downgrade because it might delete metadata information.",
    );
    check(
        33,
        METADATA_VERSION,
        32,
        UnsafeDowngrade,
        "INVALID_UPDATE_VERSION: Unsupported metadata.version downgrade from 33 to 32. Unsafe metadata downgrade is not supported in this version.",
    );
    check(
        33,
        METADATA_VERSION,
        30,
        Upgrade,
        "INVALID_UPDATE_VERSION: Invalid update version 30 for feature metadata.version. Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
    );
    check(
        30,
        METADATA_VERSION,
        33,
        SafeDowngrade,
        "INVALID_UPDATE_VERSION: Invalid update version 33 for feature metadata.version. Can't downgrade to a newer version.",
    );
    check(
        33,
        METADATA_VERSION,
        99,
        Upgrade,
        "INVALID_UPDATE_VERSION: Invalid update version 99 for feature metadata.version. Local controller 1 only supports versions 7-33",
    );
    check(
        33,
        "nope.version",
        1,
        Upgrade,
        "INVALID_UPDATE_VERSION: Invalid update version 1 for feature nope.version. Local controller 1 does not support this feature.",
    );
    check(33, KRAFT_VERSION, 1, Upgrade, "ok");
    check(
        33,
        KRAFT_VERSION,
        0,
        UnsafeDowngrade,
        "INVALID_UPDATE_VERSION: Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.",
    );
    check(
        33,
        KRAFT_VERSION,
        2,
        Upgrade,
        "INVALID_UPDATE_VERSION: Invalid update version 2 for feature kraft.version. Local controller 1 only supports versions 0-1",
    );
    check(
        33,
        METADATA_VERSION,
        -1,
        SafeDowngrade,
        "INVALID_UPDATE_VERSION: Invalid update version -1 for feature metadata.version. A feature version cannot be less than 0.",
    );
    check(
        33,
        METADATA_VERSION,
        33,
        Unknown,
        "INVALID_UPDATE_VERSION: Invalid update version 33 for feature metadata.version. The controller does not support the given upgrade type.",
    );
}
