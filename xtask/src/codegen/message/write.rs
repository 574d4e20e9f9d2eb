//! The body of a structure's writer.

use std::fmt::Write as _;

use anyhow::bail;

use super::super::names;
use super::super::table::{Field, Type, Versions};
use super::Emitter;
use super::condition::Condition;
use super::types::{presence, scalar_method};

impl Emitter<'_> {
    pub(super) fn write_body(&self) -> anyhow::Result<String> {
        let all = self.structure.versions;
        let mut body = String::new();
        for field in &self.structure.fields {
            let placed = Condition::of(field.placed_versions(), all);
            let present = Condition::of(field.versions(), all);
            let write = self.write_field(field, field.placed_versions().intersect(all))?;
            match (&placed, &present) {
                (Condition::Always, _) => body.push_str(&write),
                (Condition::When(condition), Condition::When(_)) if field.tag.is_none() => {
                    let refuse = prefixed("else ", &self.refusal(field, "")?);
                    let _ = write!(body, "if {condition} {{ {write} }} {refuse}");
                }
                (Condition::When(condition), _) => {
                    let _ = write!(body, "if {condition} {{ {write} }} {}", self.refusal_if_absent(field)?);
                }
                (Condition::Never, _) => body.push_str(&self.refusal_if_absent(field)?),
            }
            body.push('\n');
        }
        match Condition::of(self.table.flexible_versions, all) {
            Condition::Never => {}
            Condition::Always => body.push_str(&self.write_tagged()?),
            Condition::When(_) => {
                let _ = write!(body, "if flexible {{ {} }}", self.write_tagged()?);
            }
        }
        Ok(self.with_flexible(body))
    }

    /// What refuses a field that is set and must not be dropped, if `absent` holds; empty if it may be dropped.
    fn refusal(&self, field: &Field, absent: &str) -> anyhow::Result<String> {
        if field.ignorable {
            return Ok(String::new());
        }
        let path = self.path(field);
        Ok(format!(
            "if {absent}{} {{ return Err(WireError::FieldNotInVersion {{ field: {path:?}, version }}); }}",
            self.is_set(field)?
        ))
    }

    fn refusal_if_absent(&self, field: &Field) -> anyhow::Result<String> {
        let all = self.structure.versions;
        match Condition::of(field.versions(), all) {
            Condition::When(_) => {
                let absent = Condition::outside(field.versions(), all);
                self.refusal(field, &format!("{absent} && "))
            }
            _ => Ok(String::new()),
        }
    }

    fn path(&self, field: &Field) -> String {
        format!("{}.{}", self.structure.name, names::snake_case(&field.name))
    }

    fn write_tagged(&self) -> anyhow::Result<String> {
        let tagged = self.tagged();
        if tagged.is_empty() {
            return Ok("writer.unsigned_varint(0);".to_owned());
        }
        let flexible = self.table.flexible_versions.intersect(self.structure.versions);
        let (mut flags, mut writes, mut counts) = (String::new(), String::new(), Vec::new());
        for (tag, field) in tagged {
            let versions = field.tagged_versions.intersect(self.structure.versions);
            let guard = match Condition::of(versions, flexible) {
                Condition::When(condition) => format!("{condition} && "),
                _ => String::new(),
            };
            let flag = format!("has_{}", names::snake_case(&field.name));
            let _ = writeln!(flags, "let {flag} = {guard}{};", self.is_set(field)?);
            let write = self.write_field(field, versions)?;
            let _ = writeln!(
                writes,
                "if {flag} {{ writer.tagged_field({tag}, |writer| {{ {write} Ok(()) }})?; }}"
            );
            counts.push(format!("u32::from({flag})"));
        }
        Ok(format!("{flags} writer.unsigned_varint({}); {writes}", counts.join(" + ")))
    }

    /// A statement that writes the field in `versions`.
    fn write_field(&self, field: &Field, versions: Versions) -> anyhow::Result<String> {
        if versions.0.is_none() {
            return Ok(String::new());
        }
        let this = format!("self.{}", names::field(&field.name));
        if !self.is_nullable(field) {
            return self.write_value(field, &this, &format!("&{this}"));
        }
        let nullable = self.write_nullable(field, &this, versions)?;
        let path = self.path(field);
        let required = format!(
            "let Some(value) = &{this} else {{
                return Err(WireError::NullNotInVersion {{ field: {path:?}, version }});
            }};
            {}",
            self.write_value(field, "value", "value")?
        );
        Ok(match Condition::of(field.nullable_versions, versions) {
            Condition::Always => nullable,
            Condition::Never => required,
            Condition::When(condition) => format!("if {condition} {{ {nullable} }} else {{ {required} }}"),
        })
    }

    fn write_nullable(&self, field: &Field, this: &str, versions: Versions) -> anyhow::Result<String> {
        let flexible = self.flexibility(field);
        Ok(match field.kind()? {
            Type::String => format!("writer.nullable_string({this}.as_deref(), {flexible})?;"),
            Type::Bytes => format!("writer.nullable_bytes({this}.as_ref(), {flexible})?;"),
            Type::Records => format!("writer.nullable_payload({this}.as_ref(), {flexible})?;"),
            Type::Struct(_) => format!(
                "writer.{}({this}.is_some());
                if let Some(value) = &{this} {{ value.write(writer, version)?; }}",
                presence(field, versions)
            ),
            Type::Array(item) => {
                format!(
                    "writer.nullable_array({this}.as_deref(), {flexible}, {})?;",
                    write_item(&item, &flexible)?
                )
            }
            other => bail!("{other:?} cannot be null"),
        })
    }

    fn write_value(&self, field: &Field, this: &str, reference: &str) -> anyhow::Result<String> {
        let flexible = self.flexibility(field);
        Ok(match field.kind()? {
            Type::String => format!("writer.string({reference}, {flexible})?;"),
            Type::Bytes => format!("writer.bytes({reference}, {flexible})?;"),
            Type::Records => format!("writer.payload({reference}, {flexible})?;"),
            Type::Struct(_) => format!("{this}.write(writer, version)?;"),
            Type::Array(item) => {
                format!("writer.array({reference}, {flexible}, {})?;", write_item(&item, &flexible)?)
            }
            scalar => format!("writer.{}({this});", scalar_method(&scalar)?),
        })
    }
}

fn prefixed(prefix: &str, code: &str) -> String {
    if code.is_empty() { String::new() } else { format!("{prefix}{code}") }
}

fn write_item(item: &Type, flexible: &str) -> anyhow::Result<String> {
    Ok(match item {
        Type::String => format!("|writer, item| writer.string(item, {flexible})"),
        Type::Struct(_) => "|writer, item| item.write(writer, version)".to_owned(),
        scalar => {
            format!("|writer, item| {{ writer.{}(*item); Ok(()) }}", scalar_method(scalar)?)
        }
    })
}
