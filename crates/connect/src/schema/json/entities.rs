//! Objects and their properties in a text, which can be tagged.
//!
//! Objects within properties and items of arrays are seen; what stands behind `$ref`, `allOf` and the like has tags of its own.

use crate::schema::tree::{Item, Keywords, Node};
use crate::schema::{Entity, EntityType};

/// Shows every object and property of a text.
pub(super) fn visit(item: &mut Item, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    within(item, "", false, act);
}

/// Nested no deeper than the JSON is.
fn within(item: &mut Item, scope: &str, property: bool, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    let is_object = item.get("properties").is_some_and(|properties| properties.object().is_some())
        || item.get("type").and_then(Item::string) == Some("object");
    let Node::Object(keywords) = &mut item.node else { return };
    if is_object {
        let path = format!("{scope}object");
        if !property {
            act(Entity { entity_path: path.clone(), entity_type: EntityType::Record }, keywords);
        }
        if let Some(Node::Object(properties)) = keywords.get_mut("properties").map(|item| &mut item.node) {
            for (name, item) in properties {
                let entity_path = format!("{path}.{name}");
                let inner = format!("{entity_path}.");
                if let Node::Object(keywords) = &mut item.node {
                    act(Entity { entity_path, entity_type: EntityType::Field }, keywords);
                }
                within(item, &inner, true, act);
            }
        }
    }
    if let Some(items) = keywords.get_mut("items") {
        within(items, &format!("{scope}array."), false, act);
    }
}
