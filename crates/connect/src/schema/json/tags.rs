//! Tags in a text: the keyword `confluent:tags` of an object or of one of its properties.
//!
//! Objects within properties and items of arrays are seen; what stands behind `$ref`, `allOf` and the like has tags of its own.

use indexmap::IndexMap;

use super::tree::{Item, Node};
use crate::schema::{Entity, EntityTags, EntityType, TagChange, TagError};

/// The keyword.
const TAGS: &str = "confluent:tags";

type Keywords = IndexMap<String, Item>;

/// What is tagged, in the order of the text.
pub(super) fn all(text: &str) -> Vec<EntityTags> {
    let mut found = Vec::new();
    if let Ok(mut item) = Item::parse(text) {
        visit(&mut item, "", false, &mut |schema_entity, keywords| {
            let tags = tags_of(keywords);
            if !tags.is_empty() {
                found.push(EntityTags { schema_entity, tags });
            }
        });
    }
    found
}

/// The text with its tags changed.
pub(super) fn changed(text: &str, changes: &[TagChange]) -> Result<String, TagError> {
    let mut left: Vec<&TagChange> = changes.iter().collect();
    let mut written = text.to_owned();
    if let Ok(mut item) = Item::parse(text) {
        visit(&mut item, "", false, &mut |entity, keywords| {
            left.retain(|change| {
                let elsewhere = change.entity != entity;
                if !elsewhere {
                    set_tags(keywords, change.apply(tags_of(keywords)));
                }
                elsewhere
            });
        });
        written = item.canonical();
    }
    match left.first() {
        Some(change) => Err(TagError::NoEntity(change.entity.entity_path.clone())),
        None => Ok(written),
    }
}

fn tags_of(keywords: &Keywords) -> Vec<String> {
    let tags = keywords.get(TAGS).and_then(Item::array).into_iter().flatten();
    tags.filter_map(Item::string).map(str::to_owned).collect()
}

fn set_tags(keywords: &mut Keywords, tags: Vec<String>) {
    if tags.is_empty() {
        keywords.shift_remove(TAGS);
        return;
    }
    let plain = |node| Item { at: 0, node };
    let tags = tags.into_iter().map(|tag| plain(Node::String(tag))).collect();
    keywords.insert(TAGS.to_owned(), plain(Node::Array(tags)));
}

/// Shows every object and property of a text. Nested no deeper than the JSON is.
fn visit(item: &mut Item, scope: &str, property: bool, act: &mut dyn FnMut(Entity, &mut Keywords)) {
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
                visit(item, &inner, true, act);
            }
        }
    }
    if let Some(items) = keywords.get_mut("items") {
        visit(items, &format!("{scope}array."), false, act);
    }
}
