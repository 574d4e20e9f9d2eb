//! The structures of a table, and what is known about all of them together.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};

use super::super::names;
use super::super::table::{Field, Table, Type, Versions};

/// A structure with the versions in which it occurs.
pub struct Structure<'a> {
    pub name: &'a str,
    pub versions: Versions,
    /// The fields that any of its versions has.
    pub fields: Vec<&'a Field>,
    /// Where it stands, for the reader of the documentation.
    pub place: String,
}

pub struct Structures<'a> {
    table: &'a Table,
    pub ordered: Vec<Structure<'a>>,
    by_name: BTreeMap<&'a str, usize>,
}

impl<'a> Structures<'a> {
    pub fn collect(table: &'a Table) -> anyhow::Result<Self> {
        let mut structures = Self { table, ordered: Vec::new(), by_name: BTreeMap::new() };
        structures.add(&table.name, table.valid_versions, &table.fields, String::new())?;
        for common in &table.common_structs {
            let versions = common.versions.intersect(table.valid_versions);
            structures.add(
                &common.name,
                versions,
                &common.fields,
                format!("A structure of [`{}`]", table.name),
            )?;
        }
        Ok(structures)
    }

    fn add(
        &mut self,
        name: &'a str,
        versions: Versions,
        fields: &'a [Field],
        place: String,
    ) -> anyhow::Result<()> {
        ensure!(self.by_name.insert(name, self.ordered.len()).is_none(), "structure {name} is defined twice");
        let fields: Vec<&Field> =
            fields.iter().filter(|field| field.versions().intersect(versions).0.is_some()).collect();
        self.ordered.push(Structure { name, versions, fields: fields.clone(), place });
        for field in fields.into_iter().filter(|field| !field.fields.is_empty()) {
            let kind = field.kind()?;
            let Some(_) = kind.structure() else { bail!("field {} has fields but no structure", field.name) };
            let structure = field.type_name.trim_start_matches("[]");
            let what = if matches!(kind, Type::Array(_)) { "An element" } else { "The structure" };
            let place = format!("{what} of `{}` in [`{name}`]", names::snake_case(&field.name));
            self.add(structure, versions.intersect(field.versions()), &field.fields, place)?;
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> anyhow::Result<&Structure<'a>> {
        let index = self.by_name.get(name).with_context(|| format!("structure {name} is not defined"))?;
        self.ordered.get(*index).context("structures are ordered")
    }

    /// Whether equality is less than total: of numbers that may be none, and of payloads that may be in a file.
    pub fn lacks_equality(&self, kind: &Type) -> anyhow::Result<bool> {
        Ok(match kind {
            Type::Float64 | Type::Records => true,
            Type::Array(item) => self.lacks_equality(item)?,
            Type::Struct(name) => {
                for field in &self.get(name)?.fields {
                    if self.lacks_equality(&field.kind()?)? {
                        return Ok(true);
                    }
                }
                false
            }
            _ => false,
        })
    }

    /// The least bytes that an element takes in any of `versions`.
    pub fn item_bytes_min(&self, item: &Type, versions: Versions) -> anyhow::Result<usize> {
        let mut least = usize::MAX;
        for version in versions.iter() {
            least = least.min(self.bytes_min(item, None, version)?);
        }
        Ok(least)
    }

    fn bytes_min(&self, kind: &Type, field: Option<&Field>, version: i16) -> anyhow::Result<usize> {
        let flexible = field
            .and_then(|field| field.flexible_versions)
            .unwrap_or(self.table.flexible_versions)
            .contains(version);
        Ok(match kind {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            Type::String => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Type::Bytes | Type::Records | Type::Array(_) => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(_) if field.is_some_and(|field| field.nullable_versions.contains(version)) => 1,
            Type::Struct(name) => {
                let mut sum = usize::from(flexible);
                for field in &self.get(name)?.fields {
                    if field.placed_versions().contains(version) {
                        sum += self.bytes_min(&field.kind()?, Some(field), version)?;
                    }
                }
                sum
            }
        })
    }
}
