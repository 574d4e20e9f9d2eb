use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

/// Text of a message: a slice of the frame it came in, known to be UTF-8.
///
/// Cloning counts a reference; equality, order and hash are those of the text. A value from a frame keeps the whole
/// frame in memory, so state that outlives the request should hold a `String` or an `Arc<str>` instead.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireStr(ByteString);

impl WireStr {
    /// The empty text. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(ByteString::new())
    }

    /// Text that lives as long as the program. Allocates nothing.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// A copy of `text` that keeps nothing else alive.
    #[must_use]
    pub fn copy_of(text: &str) -> Self {
        Self(ByteString::from(text))
    }

    /// Takes `bytes` as text, or nothing if they are not UTF-8.
    #[must_use]
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        ByteString::try_from(bytes).ok().map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes of the text, still a slice of the frame.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for WireStr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for WireStr {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for WireStr {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for WireStr {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

impl From<String> for WireStr {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<&String> for WireStr {
    fn from(text: &String) -> Self {
        Self::copy_of(text)
    }
}

impl From<Arc<str>> for WireStr {
    fn from(text: Arc<str>) -> Self {
        Self::copy_of(&text)
    }
}

impl From<&Arc<str>> for WireStr {
    fn from(text: &Arc<str>) -> Self {
        Self::copy_of(text)
    }
}

impl From<WireStr> for String {
    fn from(text: WireStr) -> Self {
        text.as_str().to_owned()
    }
}

impl From<WireStr> for Arc<str> {
    fn from(text: WireStr) -> Self {
        Arc::from(text.as_str())
    }
}

impl PartialEq<str> for WireStr {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for WireStr {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for WireStr {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for WireStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for WireStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
