//! Tags in a text: the field `tags` of the options `(confluent.message_meta)` and `(confluent.field_meta)`.
//!
//! Messages and fields are found by their names without the package, members of a oneof with or without its name:
//! `Order.card`, `Order.payment.card`. The file that declares the options need not be imported, and is not when tags are added,
//! as existing registries have it.

use prost_reflect::prost_types::uninterpreted_option::NamePart;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, UninterpretedOption};

use super::literal::{Literal, quoted, text_of};
use super::print;
use crate::schema::{Entity, EntityTags, EntityType, TagChange, TagError};

/// The field of the options.
const TAGS: &str = "tags";

/// What is tagged, in the order of the file.
pub(super) fn all(file: &FileDescriptorProto) -> Vec<EntityTags> {
    let mut found = Vec::new();
    visit_all(&mut file.clone(), &mut |paths, entity_type, options| {
        let tags = Meta::of(options, entity_type).tags();
        if let Some(path) = paths.first().filter(|_| !tags.is_empty()) {
            let schema_entity = Entity { entity_path: path.clone(), entity_type };
            found.push(EntityTags { schema_entity, tags });
        }
    });
    found
}

/// The file with its tags changed.
pub(super) fn changed(
    file: &FileDescriptorProto,
    changes: &[TagChange],
) -> Result<FileDescriptorProto, TagError> {
    let mut file = file.clone();
    let mut left: Vec<&TagChange> = changes.iter().collect();
    visit_all(&mut file, &mut |paths, entity_type, options| {
        left.retain(|change| {
            let here = change.entity.entity_type == entity_type && paths.contains(&change.entity.entity_path);
            if here {
                let mut meta = Meta::of(options, entity_type);
                meta.set_tags(change.apply(meta.tags()));
                meta.put(options, entity_type);
            }
            !here
        });
    });
    if let Some(change) = left.first() {
        return Err(TagError::NoEntity(change.entity.entity_path.clone()));
    }
    Ok(file)
}

/// Is shown the paths of a message or field, what it is, and its options.
type Visitor<'a> = dyn FnMut(&[String], EntityType, &mut Vec<UninterpretedOption>) + 'a;

fn visit_all(file: &mut FileDescriptorProto, act: &mut Visitor<'_>) {
    file.message_type.iter_mut().for_each(|message| visit(message, "", act));
}

/// Nested no deeper than the brackets of a text are.
fn visit(message: &mut DescriptorProto, scope: &str, act: &mut Visitor<'_>) {
    if print::is_map_entry(message) {
        return;
    }
    let path = format!("{scope}{}", message.name());
    let options = &mut message.options.get_or_insert_default().uninterpreted_option;
    act(std::slice::from_ref(&path), EntityType::Record, options);
    for field in &mut message.field {
        let oneof = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        let mut paths = vec![format!("{path}.{}", field.name())];
        paths.extend(oneof.map(|oneof| format!("{path}.{}.{}", oneof.name(), field.name())));
        act(&paths, EntityType::Field, &mut field.options.get_or_insert_default().uninterpreted_option);
    }
    let scope = format!("{path}.");
    message.nested_type.iter_mut().for_each(|nested| visit(nested, &scope, act));
}

/// The fields of an option for metadata, however often and in which form it was written.
struct Meta(Vec<(String, Literal)>);

impl Meta {
    fn of(options: &[UninterpretedOption], entity_type: EntityType) -> Meta {
        let mut fields = Vec::new();
        for option in options.iter().filter(|option| is_meta(option, entity_type)) {
            match (option.name.get(1), Literal::of(option)) {
                (Some(part), value) => fields.push((part.name_part.clone(), value)),
                (None, Literal::Message(all)) => fields.extend(all),
                (None, _) => {}
            }
        }
        Meta(fields)
    }

    fn tags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        for (_, value) in self.0.iter().filter(|(name, _)| name == TAGS) {
            match value {
                Literal::List(values) => tags.extend(values.iter().filter_map(text_of)),
                one => tags.extend(text_of(one)),
            }
        }
        tags
    }

    /// Puts tags where the first stood, or last.
    fn set_tags(&mut self, tags: Vec<String>) {
        let at = self.0.iter().position(|(name, _)| name == TAGS).unwrap_or(self.0.len());
        self.0.retain(|(name, _)| name != TAGS);
        if !tags.is_empty() {
            let tags = tags.iter().map(|tag| Literal::Scalar(quoted(tag.as_bytes()))).collect();
            self.0.insert(at.min(self.0.len()), (TAGS.to_owned(), Literal::List(tags)));
        }
    }

    /// Replaces what the options had by these fields.
    fn put(self, options: &mut Vec<UninterpretedOption>, entity_type: EntityType) {
        let at = options.iter().position(|option| is_meta(option, entity_type)).unwrap_or(options.len());
        options.retain(|option| !is_meta(option, entity_type));
        if !self.0.is_empty() {
            let name = vec![NamePart { name_part: option_name(entity_type).to_owned(), is_extension: true }];
            let mut text = String::new();
            Literal::compact_fields(&self.0, &mut text);
            let option = UninterpretedOption { name, aggregate_value: Some(text), ..Default::default() };
            options.insert(at.min(options.len()), option);
        }
    }
}

fn option_name(entity_type: EntityType) -> &'static str {
    match entity_type {
        EntityType::Record => "confluent.message_meta",
        EntityType::Field => "confluent.field_meta",
    }
}

/// Whether it is the option or one of its fields; these have none of their own that an option could name.
fn is_meta(option: &UninterpretedOption, entity_type: EntityType) -> bool {
    let first = option.name.first().filter(|part| part.is_extension && option.name.len() <= 2);
    first.is_some_and(|part| part.name_part.trim_start_matches('.') == option_name(entity_type))
}
