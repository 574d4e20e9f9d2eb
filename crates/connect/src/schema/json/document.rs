//! The texts that make up one schema, and what a `$ref` in them means.
//!
//! Nothing is fetched: a reference leads into the text itself, into one that was handed in (by the name under which it was
//! handed in, or by the `$id` it gives itself), or to a meta-schema.

use std::collections::HashMap;

use crate::schema::ParseError;
use crate::schema::tree::Item;

/// Where relative names are resolved when the schema has no `$id`.
const BASE: &str = "mem://input";

/// How many bytes the URIs and JSON pointers may have together of all keywords, of all that has a name, and of all that
/// references lead from and to: a few letters of the text may stand for the longest, and whoever validates keeps them.
pub(super) const ADDRESSES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Keywords whose values are data, not schemas.
const DATA_KEYWORDS: [&str; 4] = ["enum", "const", "default", "examples"];

/// A draft of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    Of201909,
    Of202012,
}

impl Draft {
    /// The draft that `$schema` names; without one, or with one that is not known, it is draft 7, as in the registries
    /// that exist.
    pub(super) fn of(schema: &Item) -> Draft {
        let url = schema.get("$schema").and_then(Item::string);
        url.and_then(Draft::named).unwrap_or(Draft::Seven)
    }

    fn named(url: &str) -> Option<Draft> {
        let url = url.strip_suffix('#').unwrap_or(url);
        let path = url
            .strip_prefix("http://json-schema.org/")
            .or_else(|| url.strip_prefix("https://json-schema.org/"))?;
        Some(match path {
            "draft-04/schema" | "schema" => Draft::Four,
            "draft-06/schema" => Draft::Six,
            "draft-07/schema" => Draft::Seven,
            "draft/2019-09/schema" => Draft::Of201909,
            "draft/2020-12/schema" => Draft::Of202012,
            _ => return None,
        })
    }

    fn id_keyword(self) -> &'static str {
        if self == Draft::Four { "id" } else { "$id" }
    }

    /// Whether keywords beside a `$ref` count.
    pub(super) fn keeps_siblings(self) -> bool {
        self >= Draft::Of201909
    }
}

/// A place in one of the texts.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) item: &'a Item,
    pub(super) document: usize,
    /// Its JSON pointer there, empty for the whole.
    pub(super) pointer: String,
}

/// What a reference means.
pub(super) enum Target<'a> {
    Place(Place<'a>),
    /// The meta-schema of a draft, by its URL.
    MetaSchema(String),
}

/// A text.
struct Document<'a> {
    root: &'a Item,
    draft: Draft,
}

/// The texts, the first of which is the schema, and all names in them.
pub(super) struct Documents<'a> {
    documents: Vec<Document<'a>>,
    /// The texts that were handed in, by name.
    names: HashMap<&'a str, usize>,
    /// What has a URI, without its fragment.
    resources: HashMap<String, Place<'a>>,
    /// `URI#name`.
    anchors: HashMap<String, Place<'a>>,
    /// Objects that change the base, and to what; what is not in here has the base of what it is in.
    bases: HashMap<*const Item, Scope>,
    roots: Vec<Scope>,
    /// The bytes of the addresses of keywords, and of what has a name.
    addresses_bytes: usize,
}

/// What references at a place are resolved against.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) document: usize,
    base: std::rc::Rc<str>,
}

impl Scope {
    pub(super) fn base_bytes(&self) -> usize {
        self.base.len()
    }
}

/// What is said beyond [`ADDRESSES_BYTES_MAX`].
pub(super) fn too_long_addresses() -> String {
    format!(
        "keys, names, $id and $ref lead to addresses with more than {ADDRESSES_BYTES_MAX} bytes together; shorten them"
    )
}

impl<'a> Documents<'a> {
    /// Names what is in the texts. `references` have the names that they were handed in under.
    ///
    /// # Errors
    /// When their addresses are too long together.
    pub(super) fn new(
        schema: &'a Item,
        references: &'a [(String, Item)],
    ) -> Result<Documents<'a>, ParseError> {
        let draft = Draft::of(schema);
        let mut documents = Documents {
            documents: vec![Document { root: schema, draft }],
            names: HashMap::new(),
            resources: HashMap::new(),
            anchors: HashMap::new(),
            bases: HashMap::new(),
            roots: Vec::new(),
            addresses_bytes: 0,
        };
        let id = schema.get(draft.id_keyword()).and_then(Item::string).unwrap_or("");
        let base = without_fragment(&resolve(BASE, id)).to_owned();
        documents.enter(0, &base);
        for (name, root) in references {
            let index = documents.documents.len();
            let draft = if root.get("$schema").is_some() { Draft::of(root) } else { draft };
            documents.documents.push(Document { root, draft });
            documents.names.insert(name, index);
            let uri = without_fragment(&resolve(&base, name)).to_owned();
            documents.addresses_bytes += uri.len();
            if documents.addresses_bytes > ADDRESSES_BYTES_MAX {
                break;
            }
            documents.enter(index, &uri);
        }
        if documents.addresses_bytes > ADDRESSES_BYTES_MAX {
            return Err(ParseError { message: too_long_addresses(), position: None });
        }
        Ok(documents)
    }

    fn enter(&mut self, document: usize, uri: &str) {
        let root = self.documents[document].root;
        let place = Place { item: root, document, pointer: String::new() };
        self.resources.insert(uri.to_owned(), place);
        let scope = Scope { document, base: uri.into() };
        self.walk(root, &scope, &mut String::new());
        let scope = self.bases.get(&std::ptr::from_ref(root)).cloned().unwrap_or(scope);
        self.roots.push(scope);
    }

    fn walk(&mut self, item: &'a Item, scope: &Scope, pointer: &mut String) {
        if let Some(items) = item.array() {
            for (index, child) in items.iter().enumerate() {
                self.descend(child, scope, pointer, &index.to_string());
            }
        }
        let Some(members) = item.object() else { return };
        self.addresses_bytes += members.iter().map(|(key, _)| pointer.len() + key.len()).sum::<usize>();
        if self.addresses_bytes > ADDRESSES_BYTES_MAX {
            return;
        }
        let scope = self.name(item, scope, pointer);
        for (key, child) in members {
            if !DATA_KEYWORDS.contains(&key.as_str()) || child.object().is_some() {
                self.descend(child, &scope, pointer, key);
            }
        }
    }

    fn descend(&mut self, child: &'a Item, scope: &Scope, pointer: &mut String, token: &str) {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&escape(token));
        self.walk(child, scope, pointer);
        pointer.truncate(length);
    }

    /// Enters the names that an object gives itself.
    fn name(&mut self, item: &'a Item, scope: &Scope, pointer: &str) -> Scope {
        let draft = self.documents[scope.document].draft;
        let mut scope = scope.clone();
        let alone = item.get("$ref").is_some() && !draft.keeps_siblings();
        let id = item.get(draft.id_keyword()).and_then(Item::string).filter(|_| !alone);
        let anchors = ["$anchor", "$dynamicAnchor"].map(|keyword| item.get(keyword).and_then(Item::string));
        let names = || id.into_iter().chain(anchors.into_iter().flatten());
        self.addresses_bytes +=
            names().map(|name| scope.base.len() + pointer.len() + name.len()).sum::<usize>();
        if names().next().is_none() || self.addresses_bytes > ADDRESSES_BYTES_MAX {
            return scope;
        }
        let place = Place { item, document: scope.document, pointer: pointer.to_owned() };
        if let Some(id) = id {
            let uri = resolve(&scope.base, id);
            if id.starts_with('#') {
                self.anchors.insert(uri, place.clone());
            } else {
                let uri = without_fragment(&uri).to_owned();
                scope.base = uri.as_str().into();
                self.resources.insert(uri, place.clone());
                self.bases.insert(std::ptr::from_ref(item), scope.clone());
            }
        }
        for anchor in anchors.into_iter().flatten() {
            self.anchors.insert(format!("{}#{anchor}", scope.base), place.clone());
        }
        scope
    }

    pub(super) fn draft(&self, document: usize) -> Draft {
        self.documents[document].draft
    }

    pub(super) fn root(&self, document: usize) -> &'a Item {
        self.documents[document].root
    }

    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// What references at the top of the schema are resolved against.
    pub(super) fn scope(&self) -> Scope {
        self.roots[0].clone()
    }

    /// What references within `item` are resolved against, when `outer` holds around it.
    pub(super) fn scope_at(&self, item: &Item, outer: &Scope) -> Scope {
        self.bases.get(&std::ptr::from_ref(item)).unwrap_or(outer).clone()
    }

    /// What `reference` means, and what references at its target are resolved against.
    pub(super) fn resolve(&self, scope: &Scope, reference: &str) -> Option<(Target<'a>, Scope)> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let uri = if address.is_empty() { scope.base.to_string() } else { resolve(&scope.base, address) };
        let named = self.names.get(address).map(|index| (self.whole(*index), self.roots[*index].clone()));
        let (resource, outer) = match named {
            Some(found) => found,
            None => match self.resources.get(&uri) {
                Some(place) => {
                    let outer = Scope { document: place.document, base: uri.as_str().into() };
                    (place.clone(), outer)
                }
                None => {
                    return meta_schema(&uri, fragment).map(|url| (Target::MetaSchema(url), scope.clone()));
                }
            },
        };
        let fragment = decode(fragment);
        if fragment.is_empty() {
            return Some((Target::Place(resource), outer));
        }
        if fragment.starts_with('/') {
            return self
                .point(resource, &fragment, outer)
                .map(|(place, scope)| (Target::Place(place), scope));
        }
        let place = self.anchors.get(&format!("{}#{fragment}", outer.base))?.clone();
        let scope = self.scope_at(place.item, &outer);
        Some((Target::Place(place), scope))
    }

    fn whole(&self, document: usize) -> Place<'a> {
        Place { item: self.documents[document].root, document, pointer: String::new() }
    }

    /// Follows a JSON pointer. `$defs` also finds what stands in `definitions`.
    fn point(&self, resource: Place<'a>, pointer: &str, outer: Scope) -> Option<(Place<'a>, Scope)> {
        let mut place = resource;
        let mut scope = outer;
        for (depth, token) in pointer.split('/').skip(1).enumerate() {
            let token = token.replace("~1", "/").replace("~0", "~");
            let (item, token) = match place.item.step(&token) {
                Some(item) => (item, token.as_str()),
                None if depth == 0 && token == "$defs" => (place.item.step("definitions")?, "definitions"),
                None => return None,
            };
            place.item = item;
            place.pointer.push('/');
            place.pointer.push_str(&escape(token));
            scope = self.scope_at(item, &scope);
        }
        Some((place, scope))
    }
}

/// The URL of a meta-schema, when it is one.
fn meta_schema(uri: &str, fragment: &str) -> Option<String> {
    Draft::named(uri).filter(|_| fragment.is_empty())?;
    Some(uri.to_owned())
}

/// A token of a JSON pointer (RFC 6901).
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn without_fragment(uri: &str) -> &str {
    uri.split('#').next().unwrap_or(uri)
}

/// Undoes percent-encoding; what is no text afterwards stays as it is.
fn decode(fragment: &str) -> String {
    if !fragment.contains('%') {
        return fragment.to_owned();
    }
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| fragment.to_owned())
}

/// The parts of a URI reference; the path is always there.
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    /// With its question mark or number sign.
    tail: &'a str,
}

fn parts(uri: &str) -> Parts<'_> {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let (front, tail) = uri.split_at(end);
    let (scheme, rest) = match front.split_once(':') {
        Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, front),
    };
    match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            Parts { scheme, authority: Some(authority), path, tail }
        }
        None => Parts { scheme, authority: None, path: rest, tail },
    }
}

/// Resolves a URI reference against a base (RFC 3986, section 5.2).
fn resolve(base: &str, reference: &str) -> String {
    let (from, to) = (parts(base), parts(reference));
    if to.scheme.is_some() {
        return reference.to_owned();
    }
    let scheme = from.scheme.map(|scheme| format!("{scheme}:")).unwrap_or_default();
    if let Some(authority) = to.authority {
        return format!("{scheme}//{authority}{}{}", without_dots(to.path), to.tail);
    }
    let authority = from.authority.map(|authority| format!("//{authority}")).unwrap_or_default();
    if to.path.is_empty() {
        let tail = if to.tail.is_empty() { without_fragment(from.tail) } else { to.tail };
        return format!("{scheme}{authority}{}{tail}", from.path);
    }
    let path = if to.path.starts_with('/') {
        to.path.to_owned()
    } else {
        match from.path.rfind('/') {
            Some(end) => format!("{}/{}", &from.path[..end], to.path),
            None if from.authority.is_some() => format!("/{}", to.path),
            None => to.path.to_owned(),
        }
    };
    format!("{scheme}{authority}{}{}", without_dots(&path), to.tail)
}

fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').peekable();
    while let Some(segment) = parts.next() {
        let last = parts.peek().is_none();
        match segment {
            ".." if segments.len() > 1 => {
                segments.pop();
            }
            "." | ".." => {}
            other => {
                segments.push(other);
                continue;
            }
        }
        if last {
            segments.push("");
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_the_standard_has_it() {
        for (base, reference, expected) in [
            ("mem://input", "other.json", "mem://input/other.json"),
            ("http://a/b/c/d", "g", "http://a/b/c/g"),
            ("http://a/b/c/d", "./g", "http://a/b/c/g"),
            ("http://a/b/c/d", "../g", "http://a/b/g"),
            ("http://a/b/c/d", "../../../g", "http://a/g"),
            ("http://a/b/c/d", "/g", "http://a/g"),
            ("http://a/b/c/d", "//g", "http://g"),
            ("http://a/b/c/d", "#x", "http://a/b/c/d#x"),
            ("http://a/b/c/d?q#f", "", "http://a/b/c/d?q"),
            ("http://a/b/c/d", "urn:x:y", "urn:x:y"),
            ("http://a/b/c/d", "g/.", "http://a/b/c/g/"),
            ("urn:a:b", "#x", "urn:a:b#x"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference} from {base}");
        }
    }
}
