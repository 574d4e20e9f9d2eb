//! Tags in texts of JSON: the attribute `confluent:tags` of what can be tagged. A text that cannot be read has none.

use super::tree::{Item, Keywords, Node};
use super::{Entity, EntityTags, TagChange, TagError};

/// The attribute.
const TAGS: &str = "confluent:tags";

/// Shows everything in a text that can be tagged, in its order.
pub(super) type Visit = fn(&mut Item, &mut dyn FnMut(Entity, &mut Keywords));

/// What is tagged, in the order of the text.
pub(super) fn all(item: Option<Item>, visit: Visit) -> Vec<EntityTags> {
    let mut found = Vec::new();
    let Some(mut item) = item else { return found };
    visit(&mut item, &mut |schema_entity, keywords| {
        let tags = tags_of(keywords);
        if !tags.is_empty() {
            found.push(EntityTags { schema_entity, tags });
        }
    });
    found
}

/// The text with its tags changed.
pub(super) fn changed(item: Option<Item>, changes: &[TagChange], visit: Visit) -> Result<String, TagError> {
    let Some(mut item) = item else { return Err(TagError::NoEntity(String::new())) };
    let mut left: Vec<&TagChange> = changes.iter().collect();
    visit(&mut item, &mut |entity, keywords| {
        left.retain(|change| {
            let elsewhere = change.entity != entity;
            if !elsewhere {
                set_tags(keywords, change.apply(tags_of(keywords)));
            }
            elsewhere
        });
    });
    match left.first() {
        Some(change) => Err(TagError::NoEntity(change.entity.entity_path.clone())),
        None => Ok(item.canonical()),
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
