//! Names of subjects, which may carry a context: `:.context:subject`.

use std::fmt;

/// The context of subjects that name none.
pub const DEFAULT_CONTEXT: &str = ".";
/// Stands for all contexts where settings are looked up.
pub const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// Before a prefix of subjects: it counts in every context.
pub const ANY_CONTEXT: &str = ":*:";
/// Longer names are refused, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 4096;

/// A subject taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qualified<'a> {
    /// The context, with its leading dot.
    pub context: &'a str,
    /// The name within the context; empty for the context itself.
    pub name: &'a str,
}

impl<'a> Qualified<'a> {
    /// Takes a subject apart. Every text is one.
    #[must_use]
    pub fn of(subject: &'a str) -> Qualified<'a> {
        if let Some(rest) = subject.strip_prefix(ANY_CONTEXT) {
            return Qualified { context: "*", name: rest };
        }
        match subject.strip_prefix(':').filter(|rest| rest.starts_with('.')) {
            Some(rest) => {
                let (context, name) = rest.split_once(':').unwrap_or((rest, ""));
                Qualified { context, name }
            }
            None => Qualified { context: DEFAULT_CONTEXT, name: subject },
        }
    }

    /// No context of its own is named.
    #[must_use]
    pub fn in_default(&self) -> bool {
        self.context == DEFAULT_CONTEXT
    }

    /// The context as it stands before a name: empty for the default one.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.in_default() { String::new() } else { format!(":{}:", self.context) }
    }
}

impl fmt::Display for Qualified<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_default() {
            formatter.write_str(self.name)
        } else {
            write!(formatter, ":{}:{}", self.context, self.name)
        }
    }
}

/// The one spelling of a subject: `:.:a` is `a`, and `:.c` is `:.c:`.
#[must_use]
pub fn normalize(subject: &str) -> String {
    Qualified::of(subject).to_string()
}

/// The context of a subject.
#[must_use]
pub fn context_of(subject: &str) -> &str {
    Qualified::of(subject).context
}

/// A subject that is named within another one: in the context of that, unless it names its own.
#[must_use]
pub fn within(parent: &str, subject: &str) -> String {
    let (parent, own) = (Qualified::of(parent), Qualified::of(subject));
    if own.in_default() && !parent.in_default() {
        Qualified { context: parent.context, name: subject }.to_string()
    } else {
        own.to_string()
    }
}

/// Whether `subject` is meant by `pattern`: the same one, or any of a context when `pattern` is a context.
#[must_use]
pub fn matches(pattern: Option<&str>, subject: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    let wanted = Qualified::of(pattern);
    pattern == subject
        || (wanted.name.is_empty()
            && (wanted.context == GLOBAL_CONTEXT || wanted.context == context_of(subject)))
}

/// Whether a subject begins like this: within its context, which is the default one unless the prefix names another; `:*:`
/// before it stands for every context.
#[must_use]
pub fn has_prefix(subject: &str, prefix: &str) -> bool {
    let own = Qualified::of(subject);
    match prefix.strip_prefix(ANY_CONTEXT) {
        Some(name) => own.name.starts_with(name),
        None => subject.starts_with(prefix) && (prefix.starts_with(":.") || own.in_default()),
    }
}

/// Where the name of a subject is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Schemas are registered under it.
    Schemas,
    /// Settings are made for it.
    Settings,
}

/// Whether a subject may have this name.
#[must_use]
pub fn is_valid(subject: &str, used: Use) -> bool {
    let qualified = Qualified::of(subject);
    subject.len() <= SUBJECT_BYTES_MAX
        && !subject.chars().any(char::is_control)
        && !["__GLOBAL", "__EMPTY"].contains(&qualified.name)
        && (used == Use::Settings || qualified.context != GLOBAL_CONTEXT)
}

/// A context as users write it (`c`, `.c`, `:.c:`) as it stands before a subject; empty for the default one. `None` when it
/// holds a colon.
#[must_use]
pub fn context_prefix(context: &str) -> Option<String> {
    let inner = context.strip_prefix(':').unwrap_or(context);
    let inner = inner.strip_suffix(':').unwrap_or(inner);
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    match inner {
        "" => Some(String::new()),
        _ if inner.contains(':') => None,
        _ => Some(format!(":.{inner}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_one_spelling() {
        for (subject, normal) in [
            ("a", "a"),
            ("", ""),
            (":.:a", "a"),
            (":.c:a", ":.c:a"),
            (":.c", ":.c:"),
            (":.c:a:b", ":.c:a:b"),
            (":c:a", ":c:a"),
            (":*:a", ":*:a"),
            (":.:", ""),
        ] {
            assert_eq!(normalize(subject), normal, "{subject}");
        }
    }

    #[test]
    fn references_are_read_in_the_context_of_who_refers() {
        for (parent, subject, expected) in
            [("a", "b", "b"), (":.c:a", "b", ":.c:b"), (":.c:a", ":.d:b", ":.d:b"), ("a", ":.d:b", ":.d:b")]
        {
            assert_eq!(within(parent, subject), expected, "{parent} {subject}");
        }
    }

    #[test]
    fn a_context_stands_for_its_subjects() {
        for (pattern, subject, expected) in [
            (None, "a", true),
            (Some("a"), "a", true),
            (Some("a"), "ab", false),
            (Some(":.c:"), ":.c:a", true),
            (Some(":.c:"), "a", false),
            (Some(":.__GLOBAL:"), ":.c:a", true),
            (Some(""), "a", true),
            (Some(""), ":.c:a", false),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern:?} {subject}");
        }
    }

    #[test]
    fn contexts_are_written_in_several_ways() {
        for (context, expected) in [
            ("c", Some(":.c:")),
            (".c", Some(":.c:")),
            (":.c:", Some(":.c:")),
            (".", Some("")),
            (":.:", Some("")),
            ("a:b", None),
        ] {
            assert_eq!(context_prefix(context).as_deref(), expected, "{context}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_no_subjects() {
        for (subject, used, expected) in [
            ("a", Use::Schemas, true),
            ("", Use::Schemas, true),
            ("a\u{1}", Use::Schemas, false),
            ("__GLOBAL", Use::Schemas, false),
            (":.c:__EMPTY", Use::Settings, false),
            (":.__GLOBAL:a", Use::Schemas, false),
            (":.__GLOBAL:", Use::Settings, true),
        ] {
            assert_eq!(is_valid(subject, used), expected, "{subject:?}");
        }
    }
}
