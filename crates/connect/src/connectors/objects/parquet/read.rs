//! Rows of a file, some at a time: of a row group no more is in memory than its pages at work and the rows of a step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::columns::{Values, damaged};
use super::limits::{check_footer, check_pages};
use super::shape::{self, Form, Node, Plain};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Datum};
use crate::value::{Fields, Value};

/// Rows of a step.
const ROWS_MAX: usize = 1000;

/// The rows of a file that were not read yet.
pub(in super::super) struct Rows {
    bytes: Bytes,
    file: SerializedFileReader<Bytes>,
    schema: Arc<ConnectSchema>,
    root: Node,
    plains: Vec<Plain>,
    /// The next row group.
    group: usize,
    columns: Vec<Values>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Rows {
    /// All rows of a file.
    ///
    /// # Errors
    /// When it is none, or beyond the limits.
    pub(in super::super) fn new(bytes: Bytes) -> Result<Self, ConnectError> {
        check_footer(&bytes)?;
        unharmed(|| Self::of(bytes))
    }

    fn of(bytes: Bytes) -> Result<Self, ConnectError> {
        let file = SerializedFileReader::new(bytes.clone()).map_err(damaged)?;
        let descriptor = file.metadata().file_metadata().schema_descr();
        let (schema, root, plains) = shape::of(descriptor.root_schema())?;
        if descriptor.num_columns() != plains.len() {
            return Err(ConnectError::failed("the columns of the object are not those of its schema"));
        }
        Ok(Self { bytes, file, schema, root, plains, group: 0, columns: Vec::new() })
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// Where the file is damaged, or beyond the limits.
    pub(in super::super) fn next(&mut self) -> Result<Vec<Datum>, ConnectError> {
        unharmed(|| self.step())
    }

    fn step(&mut self) -> Result<Vec<Datum>, ConnectError> {
        loop {
            let mut counts = Vec::with_capacity(self.columns.len());
            for column in &mut self.columns {
                counts.push(column.fill(ROWS_MAX)?);
            }
            let count = counts.first().copied().unwrap_or(0);
            if counts.iter().any(|other| *other != count) {
                return Err(ConnectError::failed("the columns of the object have different rows"));
            }
            if count > 0 {
                return (0..count).map(|_| self.row()).collect();
            }
            if !self.open()? {
                return Ok(Vec::new());
            }
        }
    }

    fn row(&mut self) -> Result<Datum, ConnectError> {
        let value = self.root.value(&mut self.columns).ok_or_else(disagreement)?;
        let is_next = |column: &Values| column.place().is_none_or(|(_, again)| again == 0);
        if !self.columns.iter().all(is_next) {
            return Err(disagreement());
        }
        Ok(Datum { schema: Some(Arc::clone(&self.schema)), value })
    }

    /// Goes on with the next row group, if there is one.
    fn open(&mut self) -> Result<bool, ConnectError> {
        self.columns.clear();
        if self.group >= self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.group).map_err(damaged)?;
        self.group += 1;
        if group.num_columns() != self.plains.len() {
            return Err(ConnectError::failed("a row group of the object lacks columns"));
        }
        for (index, plain) in self.plains.iter().enumerate() {
            let column = group.metadata().column(index);
            let codec = column.compression();
            if !super::is_read(codec) {
                return Err(ConnectError::failed(format!(
                    "the object is compressed with {codec}, which is not read"
                )));
            }
            let described = column.column_descr();
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let place = usize::try_from(start).ok().zip(usize::try_from(column.compressed_size()).ok());
            let place = place.and_then(|(start, length)| Some(start..start.checked_add(length)?));
            let chunk = place.and_then(|place| self.bytes.get(place));
            let beyond = || ConnectError::failed("a column of the object lies outside of it");
            let is_gzip = matches!(codec, Compression::GZIP(_));
            check_pages(chunk.ok_or_else(beyond)?, described.max_rep_level() > 0, is_gzip)?;
            let levels = (described.max_def_level(), described.max_rep_level());
            let reader = group.get_column_reader(index).map_err(damaged)?;
            self.columns.push(Values::new(reader, *plain, levels.0, levels.1));
        }
        Ok(true)
    }
}

/// The library panics over some of what is damaged. What it worked on then is not used again.
fn unharmed<T>(read: impl FnOnce() -> Result<T, ConnectError>) -> Result<T, ConnectError> {
    let panicked =
        |_| Err(ConnectError::failed("the object is no file of Parquet that is read: it is damaged"));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

fn disagreement() -> ConnectError {
    ConnectError::failed("the columns of the object do not fit together")
}

impl Node {
    /// The next value of this place; nothing when its columns end, or do not fit together.
    fn value(&self, columns: &mut [Values]) -> Option<Value> {
        let first = self.columns.start;
        let (given, _) = columns.get(first)?.place()?;
        if given < self.given {
            return self.nothing(columns).map(|()| Value::Null);
        }
        match &self.form {
            Form::Plain => columns.get_mut(first)?.take(),
            Form::Struct(names, nodes) => {
                let values = nodes.iter().map(|node| node.value(columns)).collect::<Option<Vec<_>>>()?;
                Some(Value::Struct(Fields::new(Arc::clone(names), values)))
            }
            Form::List(again, item) => {
                let items = self.each(columns, *again, |columns| item.value(columns))?;
                Some(Value::Array(items))
            }
            Form::Map(again, entry) => {
                let [key, value] = &**entry;
                let pair = |columns: &mut [Values]| Some((key.value(columns)?, value.value(columns)?));
                self.each(columns, *again, pair).map(Value::Map)
            }
        }
    }

    /// The items of a list, which goes on for as long as its first column does.
    fn each<T>(
        &self,
        columns: &mut [Values],
        again: i16,
        item: impl Fn(&mut [Values]) -> Option<T>,
    ) -> Option<Vec<T>> {
        let first = self.columns.start;
        let mut items = Vec::new();
        if columns.get(first)?.place()?.0 == self.given {
            return self.nothing(columns).map(|()| items);
        }
        loop {
            items.push(item(columns)?);
            match columns.get(first)?.place() {
                Some((_, next)) if next == again => {}
                _ => return Some(items),
            }
        }
    }

    /// Goes on over a place that is missing, in all columns.
    fn nothing(&self, columns: &mut [Values]) -> Option<()> {
        let below = columns.get_mut(self.columns.clone())?;
        below.iter_mut().try_for_each(|column| column.take().filter(|value| *value == Value::Null).map(drop))
    }
}
