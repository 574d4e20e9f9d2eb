//! Tags in a text: the attribute `confluent:tags` of a record or a field.

use super::json::{self, Json, JsonValue};
use super::types::Name;
use crate::schema::{Entity, EntityTags, EntityType, TagChange, TagError};

/// The attribute.
const TAGS: &str = "confluent:tags";

type Attributes = Vec<(String, Json)>;

/// What is tagged, in the order of the text.
pub(super) fn all(text: &str) -> Vec<EntityTags> {
    let mut found = Vec::new();
    if let Ok(mut json) = json::parse(text) {
        visit(&mut json, "", &mut |schema_entity, attributes| {
            let tags = tags_of(attributes);
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
    if let Ok(mut json) = json::parse(text) {
        visit(&mut json, "", &mut |entity, attributes| {
            left.retain(|change| {
                let elsewhere = change.entity != entity;
                if !elsewhere {
                    set_tags(attributes, change.apply(tags_of(attributes)));
                }
                elsewhere
            });
        });
        written.clear();
        json.write(&mut written);
    }
    match left.first() {
        Some(change) => Err(TagError::NoEntity(change.entity.entity_path.clone())),
        None => Ok(written),
    }
}

fn tags_of(attributes: &Attributes) -> Vec<String> {
    let tags = attributes.iter().find(|(name, _)| name == TAGS).and_then(|(_, tags)| tags.as_array());
    tags.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn set_tags(attributes: &mut Attributes, tags: Vec<String>) {
    let at = attributes.iter().position(|(name, _)| name == TAGS);
    if tags.is_empty() {
        at.map(|at| attributes.remove(at));
        return;
    }
    let plain = |value| Json { value, at: 0 };
    let tags = tags.into_iter().map(|tag| plain(JsonValue::String(tag))).collect();
    let tags = plain(JsonValue::Array(tags));
    match at.and_then(|at| attributes.get_mut(at)) {
        Some((_, known)) => *known = tags,
        None => attributes.push((TAGS.to_owned(), tags)),
    }
}

/// Shows every record and field of a text that is a schema. Nested no deeper than the JSON is.
fn visit(json: &mut Json, namespace: &str, act: &mut dyn FnMut(Entity, &mut Attributes)) {
    match &mut json.value {
        JsonValue::Array(branches) => branches.iter_mut().for_each(|branch| visit(branch, namespace, act)),
        JsonValue::Object(attributes) => visit_object(attributes, namespace, act),
        _ => {}
    }
}

fn visit_object(attributes: &mut Attributes, namespace: &str, act: &mut dyn FnMut(Entity, &mut Attributes)) {
    let word = |key: &str| {
        let known = attributes.iter().find(|(name, _)| name == key);
        known.and_then(|(_, value)| value.as_str()).map(str::to_owned)
    };
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
    if let Some((_, within)) = attributes.iter_mut().find(|(name, _)| name == key) {
        visit(within, namespace, act);
    }
}

fn visit_fields(attributes: &mut Attributes, name: &Name, act: &mut dyn FnMut(Entity, &mut Attributes)) {
    let fields = attributes.iter_mut().find(|(key, _)| key == "fields");
    let Some(JsonValue::Array(fields)) = fields.map(|(_, fields)| &mut fields.value) else { return };
    for field in fields {
        let own = field.get("name").and_then(Json::as_str).unwrap_or_default();
        let entity_path = format!("{}.{own}", name.full());
        let JsonValue::Object(attributes) = &mut field.value else { continue };
        act(Entity { entity_path, entity_type: EntityType::Field }, attributes);
        if let Some((_, ty)) = attributes.iter_mut().find(|(key, _)| key == "type") {
            visit(ty, name.namespace(), act);
        }
    }
}
