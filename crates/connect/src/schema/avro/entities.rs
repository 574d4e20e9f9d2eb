//! Records and fields of a text, which can be tagged.

use super::types::Name;
use crate::schema::tree::{Item, Keywords, Node};
use crate::schema::{Entity, EntityType};

/// Shows every record and field of a text.
pub(super) fn visit(item: &mut Item, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    within(item, "", act);
}

/// Nested no deeper than the JSON is.
fn within(item: &mut Item, namespace: &str, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    match &mut item.node {
        Node::Array(branches) => branches.iter_mut().for_each(|branch| within(branch, namespace, act)),
        Node::Object(attributes) => visit_object(attributes, namespace, act),
        _ => {}
    }
}

fn visit_object(attributes: &mut Keywords, namespace: &str, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    let word = |key: &str| attributes.get(key).and_then(Item::string).map(str::to_owned);
    let key = match word("type").as_deref() {
        Some("record" | "error") => {
            let written = word("name").unwrap_or_default();
            let name = Name::new(&written, word("namespace").as_deref().unwrap_or(namespace));
            let entity_path = name.full().to_owned();
            act(Entity { entity_path, entity_type: EntityType::Record }, attributes);
            return visit_fields(attributes, &name, act);
        }
        Some("array") => "items",
        Some("map") => "values",
        Some(_) => return,
        None => "type",
    };
    if let Some(item) = attributes.get_mut(key) {
        within(item, namespace, act);
    }
}

fn visit_fields(attributes: &mut Keywords, name: &Name, act: &mut dyn FnMut(Entity, &mut Keywords)) {
    let fields = attributes.get_mut("fields").map(|fields| &mut fields.node);
    let Some(Node::Array(fields)) = fields else { return };
    for field in fields {
        let own = field.get("name").and_then(Item::string).unwrap_or_default();
        let entity_path = format!("{}.{own}", name.full());
        let Node::Object(attributes) = &mut field.node else { continue };
        act(Entity { entity_path, entity_type: EntityType::Field }, attributes);
        if let Some(ty) = attributes.get_mut("type") {
            within(ty, name.namespace(), act);
        }
    }
}
