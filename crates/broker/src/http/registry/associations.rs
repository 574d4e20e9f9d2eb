//! Associations: which subjects belong to a resource, such as a topic. They are read here; changing them is not served.
//!
//! Why reading is: newer serializers ask for the subject of a topic before they register anything, and fall back on its name
//! when there is none.

use serde_json::Value;
use vltava_connect::schema::registry::association::{Association, AssociationKey};

use super::reply::Reply;
use super::{Answered, Asked, PAGE_MAX};

/// In the place of a resource's namespace: every namespace.
const ANY_NAMESPACE: &str = "-";

/// Whose associations are asked for.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// Those of a subject.
    Subject(&'a str),
    /// Those of a resource by its identity.
    ResourceId(&'a str),
    /// Those of a resource by its name in a namespace, or in any.
    ResourceName(&'a str, &'a str),
}

impl Asked<'_> {
    pub(super) async fn list_associations(&self, of: Of<'_>) -> Answered {
        let page = self.call.page(PAGE_MAX)?;
        let state = self.state().await?;
        let subject = match of {
            Of::Subject(name) => self.subject(&state, name),
            _ => String::new(),
        };
        let named = |key: &AssociationKey, association: &Association| match of {
            Of::Subject(_) => key.subject == subject,
            Of::ResourceId(id) => association.resource_id == id,
            Of::ResourceName(namespace, name) => {
                key.resource_name == name
                    && (namespace == ANY_NAMESPACE || key.resource_namespace == namespace)
            }
        };
        let found = state.associations().filter(|(key, association)| named(key, association));
        let found = found.filter(|(key, association)| self.narrowed(key, association));
        let views: Vec<Value> = page.of(found).into_iter().map(|(key, found)| found.view(key)).collect();
        Ok(Reply::json(&views))
    }

    /// Whether an association passes the parameters; one that is not given passes all.
    fn narrowed(&self, key: &AssociationKey, association: &Association) -> bool {
        let allows = |parameter: &str, value: &str| {
            let mut wanted = self.call.all(parameter).filter(|wanted| !wanted.is_empty()).peekable();
            wanted.peek().is_none() || wanted.any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        allows("resourceType", &key.resource_type)
            && allows("associationType", &key.association_type)
            && allows("lifecycle", association.lifecycle.name())
    }
}
