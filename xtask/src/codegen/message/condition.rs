//! Comparisons of versions: the only place from which they come.

use super::super::table::Versions;

/// Whether something holds in the versions of a structure.
pub enum Condition {
    Always,
    Never,
    When(String),
}

impl Condition {
    /// That `version`, which is one of `all`, is one of `some`.
    pub fn of(some: Versions, all: Versions) -> Self {
        let (Some((first, last)), Some((low, high))) = (some.intersect(all).0, all.0) else {
            return Self::Never;
        };
        Self::When(match (first == low, last == high) {
            (true, true) => return Self::Always,
            _ if first == last => format!("version == {first}"),
            (true, false) => format!("version <= {last}"),
            (false, true) => format!("version >= {first}"),
            (false, false) => format!("({first}..={last}).contains(&version)"),
        })
    }

    /// That `version`, which is one of `all`, is none of `some`; only where that depends on the version.
    pub fn outside(some: Versions, all: Versions) -> String {
        let (Some((first, last)), Some((low, high))) = (some.intersect(all).0, all.0) else {
            return "true".to_owned();
        };
        match (first == low, last == high) {
            _ if first == last => format!("version != {first}"),
            (true, _) => format!("version > {last}"),
            (false, true) => format!("version < {first}"),
            (false, false) => format!("!({first}..={last}).contains(&version)"),
        }
    }

    /// As an expression.
    pub fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::When(condition) => condition,
        }
    }
}
