//! Answers, and the bodies of errors.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use vltava_connect::schema::registry::RegistryError;

use crate::http::Response;

/// What answers are, unless somebody wants them under another name.
const PREFERRED: &str = "application/vnd.schemaregistry.v1+json";
/// The names of JSON that clients use, the preferred one first.
const KNOWN: [&str; 3] = [PREFERRED, "application/vnd.schemaregistry+json", "application/json"];

/// What most answers need at most: their texts do not have to grow while they are written.
const USUAL_BYTES: usize = 1024;

/// An answer before it has a type.
#[derive(Debug)]
pub(in crate::http) struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    allow: Option<&'static str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error_code: u32,
    message: &'a str,
}

impl Reply {
    /// 200 with a value.
    pub(super) fn json(value: &impl Serialize) -> Reply {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        // Texts and numbers always have a text.
        if serde_json::to_writer(&mut body, value).is_err() {
            body.clear();
        }
        Reply::found(body.into())
    }

    /// 200 with a body.
    pub(super) fn found(body: Bytes) -> Reply {
        Reply { status: 200, body, allow: None }
    }

    /// 200 with a text as it is.
    pub(super) fn raw(text: &str) -> Reply {
        Reply::found(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Done, and nothing to say.
    pub(super) fn nothing() -> Reply {
        Reply { status: 204, body: Bytes::new(), allow: None }
    }

    /// An error that HTTP itself has.
    pub(super) fn plain(status: u16, message: &str) -> Reply {
        Reply::error(status, u32::from(status), message)
    }

    pub(super) fn error(status: u16, code: u32, message: &str) -> Reply {
        let body = ErrorBody { error_code: code, message };
        Reply { status, ..Reply::json(&body) }
    }

    pub(super) fn not_found() -> Reply {
        Reply::plain(404, "HTTP 404 Not Found")
    }

    /// The path is there, for other methods.
    pub(super) fn not_allowed(allow: &'static str) -> Reply {
        Reply { allow: Some(allow), ..Reply::plain(405, "HTTP 405 Method Not Allowed") }
    }

    /// Which methods a path has.
    pub(super) fn options(allow: &'static str) -> Reply {
        Reply { status: 200, body: Bytes::new(), allow: Some(allow) }
    }

    /// As HTTP has it, under a name that the client takes.
    pub(super) fn into_response(self, media_type: &'static str) -> Response {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.status != 204 {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<RegistryError> for Reply {
    fn from(error: RegistryError) -> Reply {
        let code = error.code();
        Reply::error(u16::try_from(code / 100).unwrap_or(500), code, &error.to_string())
    }
}

/// The name under which a client takes JSON; `None` when it takes none.
pub(super) fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    let mut accept = headers.get_all("accept").iter().filter_map(|value| value.to_str().ok()).peekable();
    if accept.peek().is_none() {
        return Some(PREFERRED);
    }
    let wanted: Vec<(f32, &str)> = accept
        .flat_map(|value| value.split(','))
        .map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|text| text.parse().ok());
            (quality.unwrap_or(1.0), name)
        })
        .collect();
    let quality = |known: &str| {
        let fits = |name: &str| name.eq_ignore_ascii_case(known) || name == "*/*" || name == "application/*";
        wanted.iter().filter(|(_, name)| fits(name)).map(|(quality, _)| *quality).fold(0.0, f32::max)
    };
    let mut best = None;
    for known in KNOWN {
        let own = quality(known);
        if own > 0.0 && best.is_none_or(|(other, _)| own > other) {
            best = Some((own, known));
        }
    }
    best.map(|(_, known)| known)
}

/// Whether a body of this type is taken. A page in a browser can send the simple types of forms without asking, and those are
/// not among them.
pub(super) fn takes(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    KNOWN.iter().chain(&["application/octet-stream"]).any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_name_the_type_of_answers() {
        for (accept, expected) in [
            (None, Some(PREFERRED)),
            (Some("*/*"), Some(PREFERRED)),
            (Some("application/json"), Some("application/json")),
            (
                Some(
                    "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5",
                ),
                Some(PREFERRED),
            ),
            (Some("application/json, application/vnd.schemaregistry+json;q=0.5"), Some("application/json")),
            (Some("text/html"), None),
            (Some("text/html, */*;q=0.1"), Some(PREFERRED)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert("accept", accept.parse().unwrap());
            }
            assert_eq!(accepted(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn bodies_of_forms_are_not_taken() {
        for (name, expected) in [
            ("application/json", true),
            ("application/vnd.schemaregistry.v1+json; charset=utf-8", true),
            ("application/octet-stream", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, name.parse().unwrap());
            assert_eq!(takes(&headers), expected, "{name}");
        }
    }
}
