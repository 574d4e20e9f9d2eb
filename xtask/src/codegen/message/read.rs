//! The body of a structure's reader.

use std::fmt::Write as _;

use super::super::names;
use super::super::table::{Field, Type, Versions};
use super::Emitter;
use super::condition::Condition;
use super::types::{presence, scalar_method};

impl Emitter<'_> {
    pub(super) fn read_body(&self) -> anyhow::Result<String> {
        let all = self.structure.versions;
        let mut body = String::new();
        for field in &self.structure.fields {
            let placed = field.placed_versions();
            let assign = format!(
                "value.{} = {};",
                names::field(&field.name),
                self.read_field(field, placed.intersect(all))?
            );
            match Condition::of(placed, all) {
                Condition::Always => body.push_str(&assign),
                Condition::When(condition) => {
                    let _ = write!(body, "if {condition} {{ {assign} }}");
                }
                Condition::Never => {}
            }
            body.push('\n');
        }
        match Condition::of(self.table.flexible_versions, all) {
            Condition::Never => {}
            Condition::Always => body.push_str(&self.read_tagged()?),
            Condition::When(_) => {
                let _ = write!(body, "if flexible {{ {} }}", self.read_tagged()?);
            }
        }
        let declared = if body.contains("value.") {
            format!("let mut value = Self::default();\n{body}\nOk(value)")
        } else {
            format!("{body}\nOk(Self::default())")
        };
        Ok(self.with_flexible(declared))
    }

    fn read_tagged(&self) -> anyhow::Result<String> {
        let tagged = self.tagged();
        if tagged.is_empty() {
            return Ok("reader.skip_tagged_fields()?;".to_owned());
        }
        let flexible = self.table.flexible_versions.intersect(self.structure.versions);
        let mut arms = String::new();
        for (tag, field) in tagged {
            let versions = field.tagged_versions.intersect(self.structure.versions);
            let guard = match Condition::of(versions, flexible) {
                Condition::When(condition) => format!(" if {condition}"),
                _ => String::new(),
            };
            let _ = writeln!(
                arms,
                "{tag}{guard} => {{ value.{} = {}; }}",
                names::field(&field.name),
                self.read_field(field, versions)?
            );
        }
        Ok(format!(
            "reader.tagged_fields(|reader, tag| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;"
        ))
    }

    /// An expression that reads the field in `versions`.
    fn read_field(&self, field: &Field, versions: Versions) -> anyhow::Result<String> {
        if versions.0.is_none() {
            return Ok(String::new());
        }
        let plain = self.read_value(field, versions, false)?;
        if !self.is_nullable(field) {
            return Ok(plain);
        }
        Ok(match Condition::of(field.nullable_versions, versions) {
            Condition::Always => self.read_value(field, versions, true)?,
            Condition::Never => format!("Some({plain})"),
            Condition::When(condition) => {
                let nullable = self.read_value(field, versions, true)?;
                format!("if {condition} {{ {nullable} }} else {{ Some({plain}) }}")
            }
        })
    }

    fn read_value(&self, field: &Field, versions: Versions, nullable: bool) -> anyhow::Result<String> {
        let flexible = self.flexibility(field);
        let prefix = if nullable { "nullable_" } else { "" };
        Ok(match field.kind()? {
            Type::String => format!("reader.{prefix}string({flexible})?"),
            Type::Bytes => format!("reader.{prefix}bytes({flexible})?"),
            Type::Records => format!("reader.{prefix}payload({flexible})?"),
            Type::Struct(name) if nullable => {
                let presence = presence(field, versions);
                format!("if reader.{presence}()? {{ Some({name}::read(reader, version)?) }} else {{ None }}")
            }
            Type::Struct(name) => format!("{name}::read(reader, version)?"),
            Type::Array(item) => {
                let bytes_min = self.structures.item_bytes_min(&item, versions)?;
                let read = match &*item {
                    Type::String => format!("|reader| reader.string({flexible})"),
                    Type::Struct(name) => format!("|reader| {name}::read(reader, version)"),
                    scalar => format!("Reader::{}", scalar_method(scalar)?),
                };
                format!("reader.{prefix}array({flexible}, {bytes_min}, {read})?")
            }
            scalar => format!("reader.{}()?", scalar_method(&scalar)?),
        })
    }
}
