//! Defaults: what a field has when it is not set, and how to see that it is.

use std::fmt::Write as _;

use anyhow::ensure;

use super::super::names;
use super::super::table::{Field, Type};
use super::Emitter;
use super::types::integer_default;

impl Emitter<'_> {
    /// The field's default as an expression, or none if it is what Rust has anyway.
    pub(super) fn explicit_default(&self, field: &Field) -> anyhow::Result<Option<String>> {
        let text = field.default_text()?;
        let nullable = self.is_nullable(field);
        let kind = field.kind()?;
        if text == "null" || (kind == Type::Records && nullable) {
            ensure!(nullable, "field {} is never null, but that is its default", field.name);
            return Ok(None);
        }
        let plain = match kind {
            Type::Bool => (text == "true").then(|| "true".to_owned()),
            Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64 => {
                integer_default(&text)?
            }
            Type::String if !text.is_empty() => Some(format!("WireStr::from_static({text:?})")),
            _ => {
                ensure!(text.is_empty(), "field {} cannot have the default {text}", field.name);
                None
            }
        };
        Ok(match (nullable, plain) {
            (true, None) => Some("Some(Default::default())".to_owned()),
            (true, Some(plain)) => Some(format!("Some({plain})")),
            (false, plain) => plain,
        })
    }

    pub(super) fn has_natural_default(&self) -> anyhow::Result<bool> {
        for field in &self.structure.fields {
            if self.explicit_default(field)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn emit_default(&self, out: &mut String) -> anyhow::Result<()> {
        if self.has_natural_default()? {
            return Ok(());
        }
        let _ =
            writeln!(out, "impl Default for {} {{\nfn default() -> Self {{\nSelf {{", self.structure.name);
        for field in &self.structure.fields {
            let value = self.explicit_default(field)?.unwrap_or_else(|| "Default::default()".to_owned());
            let _ = writeln!(out, "{}: {value},", names::field(&field.name));
        }
        out.push_str("}\n}\n}\n\n");
        Ok(())
    }

    /// An expression that is true if the field differs from its default.
    pub(super) fn is_set(&self, field: &Field) -> anyhow::Result<String> {
        let this = format!("self.{}", names::field(&field.name));
        let kind = field.kind()?;
        let default = self.explicit_default(field)?;
        if self.is_nullable(field) {
            return Ok(match (default, kind) {
                (None, _) => format!("{this}.is_some()"),
                (Some(_), Type::Struct(name)) => format!("{this}.as_ref() != Some(&{name}::default())"),
                (Some(_), Type::String) => {
                    format!("{this}.as_deref() != Some({:?})", field.default_text()?)
                }
                (Some(_), _) => format!("{this}.as_ref().is_none_or(|value| !value.is_empty())"),
            });
        }
        Ok(match (kind, default) {
            (Type::Bool, default) => {
                if default.is_some() {
                    format!("!{this}")
                } else {
                    this
                }
            }
            (Type::Uuid, _) => format!("!{this}.is_nil()"),
            (Type::Float64, _) => format!("{this} != 0.0"),
            (Type::Struct(name), _) => format!("{this} != {name}::default()"),
            (Type::String, Some(_)) => format!("{this} != {:?}", field.default_text()?),
            (Type::String | Type::Bytes | Type::Records | Type::Array(_), _) => format!("!{this}.is_empty()"),
            (_, default) => format!("{this} != {}", default.as_deref().unwrap_or("0")),
        })
    }
}
