//! A request taken apart: path, parameters and body.

use bytes::Bytes;
use hyper::Method;
use serde::de::DeserializeOwned;
use vltava_connect::schema::registry::RegistryError;
use vltava_connect::schema::registry::subject::{self, ANY_CONTEXT};

use super::reply::Reply;

/// The most parts of a path.
const SEGMENTS_MAX: usize = 16;

/// One request.
#[derive(Debug)]
pub(in crate::http) struct Call {
    pub(in crate::http) method: Method,
    /// The parts of the path, decoded once, without the context before them.
    pub(in crate::http) path: Vec<String>,
    query: Vec<(String, String)>,
    pub(in crate::http) body: Bytes,
    /// The context that stands before the path, as it stands before a subject; empty without one.
    pub(super) context: String,
    /// A context stands before the path, perhaps the default one.
    pub(super) has_context: bool,
}

/// The part of a list that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    pub(super) fn of<T>(self, all: impl Iterator<Item = T>) -> Vec<T> {
        all.skip(self.offset).take(self.limit).collect()
    }
}

impl Call {
    /// Takes a request apart.
    ///
    /// # Errors
    /// The answer, when the path makes no sense.
    pub(in crate::http) fn new(method: Method, path: &str, query: &str, body: Bytes) -> Result<Call, Reply> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut path = Vec::new();
        for segment in segments {
            let plain =
                decode(segment).ok_or_else(|| Reply::plain(400, "the path is not percent-encoded UTF-8"))?;
            path.push(plain);
            if path.len() > SEGMENTS_MAX {
                return Err(Reply::not_found());
            }
        }
        let mut context = String::new();
        let mut has_context = false;
        if path.len() > 2 && path.first().is_some_and(|first| first == "contexts") {
            let name = path.get(1).map(String::as_str).unwrap_or_default();
            let invalid = || Reply::plain(400, &format!("Context name '{name:.100}' cannot contain a colon"));
            context = subject::context_prefix(name).ok_or_else(invalid)?;
            has_context = true;
            path.drain(..2);
        }
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let query = query
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let plain = |text: &str| decode(&text.replace('+', " "));
                Some((plain(name)?, plain(value)?))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Reply::plain(400, "the parameters are not percent-encoded UTF-8"))?;
        Ok(Call { method, path, query, body, context, has_context })
    }

    /// The first value of a parameter.
    pub(in crate::http) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(in crate::http) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(in crate::http) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `offset` and `limit`; a limit that is not between 1 and `limit_max` is that.
    ///
    /// # Errors
    /// The answer, when they are no numbers.
    pub(super) fn page(&self, limit_max: usize) -> Result<Page, Reply> {
        let number = |name: &str, default: i64| {
            self.parameter(name).map_or(Ok(default), str::parse).map_err(|_| Reply::not_found())
        };
        let (offset, limit) = (number("offset", 0)?, number("limit", -1)?);
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| *limit > 0)
            .map_or(limit_max, |limit| limit.min(limit_max));
        Ok(Page { offset: usize::try_from(offset).unwrap_or(0), limit })
    }

    /// A subject of the path, in the context before it, in its one spelling.
    pub(super) fn subject(&self, name: &str) -> String {
        if name.starts_with(":.") || name.starts_with(ANY_CONTEXT) {
            subject::normalize(name)
        } else {
            subject::normalize(&format!("{}{name}", self.context))
        }
    }

    /// The subject that settings are for; none is everything.
    pub(super) fn settings_subject(&self, name: Option<&str>) -> Option<String> {
        Some(self.subject(name.unwrap_or_default())).filter(|subject| !subject.is_empty())
    }

    /// The body.
    ///
    /// # Errors
    /// The answer, when it is not what it should be.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        if self.body.iter().all(u8::is_ascii_whitespace) || &*self.body == b"null" {
            return Err(Reply::plain(422, "the request may not be null"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Reply::plain(400, &format!("the body is no request: {error}")))
    }
}

/// A version of the path.
///
/// # Errors
/// [`RegistryError::InvalidVersion`].
pub(super) fn version(text: &str) -> Result<i32, RegistryError> {
    let invalid = || RegistryError::InvalidVersion(text.chars().take(64).collect());
    if text.trim().eq_ignore_ascii_case("latest") {
        return Ok(-1);
    }
    text.trim().parse().ok().filter(|number| *number > 0 || *number == -1).ok_or_else(invalid)
}

/// Decodes percent-encoded UTF-8.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        if byte == b'%' {
            let value = digit(rest.next())? << 4 | digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str, query: &str) -> Call {
        Call::new(Method::GET, path, query, Bytes::new()).unwrap()
    }

    #[test]
    fn paths_are_decoded_once_and_lose_their_context() {
        for (path, segments, context) in [
            ("/subjects", &["subjects"][..], ""),
            ("/subjects/a%2Fb/versions/", &["subjects", "a/b", "versions"], ""),
            ("/subjects/a%252Fb", &["subjects", "a%2Fb"], ""),
            ("/contexts/c/subjects/a", &["subjects", "a"], ":.c:"),
            ("/contexts/.c/config", &["config"], ":.c:"),
            ("/contexts/:.c:/mode", &["mode"], ":.c:"),
            ("/contexts/./subjects/a", &["subjects", "a"], ""),
            ("/contexts", &["contexts"], ""),
            ("/contexts/c", &["contexts", "c"], ""),
        ] {
            let call = call(path, "");
            assert_eq!(
                (call.path.as_slice(), call.context.as_str()),
                (segments.map_owned().as_slice(), context),
                "{path}"
            );
        }
        for path in ["/subjects/%ff", "/subjects/%2", "/contexts/a:b/subjects/c"] {
            assert!(Call::new(Method::GET, path, "", Bytes::new()).is_err(), "{path}");
        }
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn subjects_stand_in_the_context_before_the_path() {
        let call = call("/contexts/c/config", "a=1&b=x+y%2B&a=2&deleted=true");
        assert_eq!(call.subject("s"), ":.c:s");
        assert_eq!(call.subject(":.d:s"), ":.d:s");
        assert_eq!(call.settings_subject(None).as_deref(), Some(":.c:"));
        assert_eq!(call.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(call.parameter("b"), Some("x y+"));
        assert!(call.flag("deleted") && !call.flag("a"));
    }

    #[test]
    fn versions_are_numbers_or_the_latest() {
        for (text, expected) in [
            ("1", Some(1)),
            ("latest", Some(-1)),
            ("-1", Some(-1)),
            ("0", None),
            ("x", None),
            ("2147483648", None),
        ] {
            assert_eq!(version(text).ok(), expected, "{text}");
        }
    }
}
