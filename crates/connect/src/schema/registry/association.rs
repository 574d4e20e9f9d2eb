//! Associations: which subjects belong to a resource, such as a topic, and in which role.

use serde::{Deserialize, Serialize};

/// Names an association.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationKey {
    /// The resource, such as the name of a topic.
    pub resource_name: String,
    /// Where that name counts, such as a cluster.
    pub resource_namespace: String,
    /// What it is: `topic`.
    pub resource_type: String,
    /// The role of the subject: `key` or `value`.
    pub association_type: String,
    /// The subject.
    pub subject: String,
}

/// How firmly a subject belongs to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Lifecycle {
    /// It is the resource's own, and ends with it.
    Strong,
    /// It may be shared.
    Weak,
}

/// An association as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// Its own identity.
    pub guid: String,
    /// The identity of the resource, which outlives its name.
    pub resource_id: String,
    /// How firmly.
    pub lifecycle: Lifecycle,
    /// It does not change.
    pub frozen: bool,
    /// When it was made, in milliseconds.
    pub created: i64,
    /// When it was changed last, in milliseconds.
    pub updated: i64,
}

impl Lifecycle {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Lifecycle::Strong => "STRONG",
            Lifecycle::Weak => "WEAK",
        }
    }
}

impl Association {
    /// The association as the API shows it.
    #[must_use]
    pub fn view(&self, key: &AssociationKey) -> serde_json::Value {
        let mut view = serde_json::json!({
            "subject": key.subject,
            "guid": self.guid,
            "resourceName": key.resource_name,
            "resourceNamespace": key.resource_namespace,
            "resourceId": self.resource_id,
            "resourceType": key.resource_type,
            "associationType": key.association_type,
            "lifecycle": self.lifecycle.name(),
            "createTs": self.created,
            "updateTs": self.updated,
        });
        if let Some(frozen) = self.told_frozen() {
            view["frozen"] = frozen.into();
        }
        view
    }

    /// Whether it is frozen, unless that goes without saying.
    #[must_use]
    pub fn told_frozen(&self) -> Option<bool> {
        Some(self.frozen).filter(|frozen| *frozen != (self.lifecycle == Lifecycle::Strong))
    }
}
