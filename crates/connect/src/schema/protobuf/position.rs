//! Places in texts, and errors that name them.

use std::ops::Range;

use prost_reflect::DescriptorError;
use prost_reflect::prost_types::source_code_info::Location;

use crate::schema::{ParseError, Position};

/// Characters of a message; what comes from the text is cut to it.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// An error without a place.
pub(super) fn error(message: impl Into<String>) -> ParseError {
    ParseError { message: cut(message.into()), position: None }
}

/// An error at `offset`, in bytes, of `text`.
pub(super) fn error_at(text: &str, offset: usize, message: impl Into<String>) -> ParseError {
    ParseError { message: cut(message.into()), position: Some(Position::of(text, offset)) }
}

/// What the parser says of `text`; without a span the text ended too early.
pub(super) fn syntax_error(text: &str, found: &protox_parse::ParseError) -> ParseError {
    let span = found.span().unwrap_or(Range { start: text.len(), end: text.len() });
    error_at(text, span.start, found.to_string())
}

/// What the resolution of names and options says of `text`, whose parts have these places.
pub(super) fn name_error(text: &str, places: &[Location], found: &DescriptorError) -> ParseError {
    let place = found.path().and_then(|path| places.iter().find(|place| place.path == path));
    let position = place.and_then(|place| {
        let [line, column, ..] = place.span.as_slice() else { return None };
        let (line, column) = (usize::try_from(*line).ok()?, usize::try_from(*column).ok()?);
        let text = text.lines().nth(line)?;
        Some(Position { line: line + 1, column: characters(text, column) + 1 })
    });
    ParseError { message: cut(found.to_string()), position }
}

/// The characters of `line` before the byte `column`.
fn characters(line: &str, column: usize) -> usize {
    line.char_indices().take_while(|(index, _)| *index < column).count()
}

fn cut(message: String) -> String {
    match message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}
