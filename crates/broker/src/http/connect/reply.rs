//! Answers, and the bodies of errors.

use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::json;

use crate::http::Response;

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) location: Option<String>,
    pub(super) allow: Option<&'static str>,
    /// The address of the worker that is to be asked instead.
    pub(super) elsewhere: Option<String>,
}

impl Reply {
    /// 200 with a value.
    pub(super) fn json(value: &impl Serialize) -> Reply {
        // Texts and numbers always have a text.
        Reply { status: 200, body: serde_json::to_vec(value).unwrap_or_default(), ..Reply::default() }
    }

    /// 201, with where it is now.
    pub(super) fn created(value: &impl Serialize, location: String) -> Reply {
        Reply { status: 201, location: Some(location), ..Reply::json(value) }
    }

    /// Begun.
    pub(super) fn accepted() -> Reply {
        Reply { status: 202, ..Reply::default() }
    }

    /// Done, and nothing to say.
    pub(super) fn nothing() -> Reply {
        Reply { status: 204, ..Reply::default() }
    }

    /// An error.
    pub(super) fn error(status: u16, message: &str) -> Reply {
        Reply { status, ..Reply::json(&json!({ "error_code": status, "message": message })) }
    }

    /// The path is there, for other methods.
    pub(super) fn not_allowed(allow: &'static str) -> Reply {
        Reply { allow: Some(allow), ..Reply::error(405, "HTTP 405 Method Not Allowed") }
    }

    /// Which methods a path has.
    pub(super) fn options(allow: &'static str) -> Reply {
        Reply { status: 200, allow: Some(allow), ..Reply::default() }
    }

    /// As HTTP has it.
    pub(super) fn into_response(self) -> Response {
        let typed = !self.body.is_empty();
        let mut response = Response::new(Full::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if typed {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(LOCATION, location);
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
