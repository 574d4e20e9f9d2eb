//! What stands beside the text of a schema: references, metadata and rules. They are stored and given back; whoever
//! serializes carries the rules out.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::schema::wire::Guid;

/// The property that holds the version of a schema, for clients that look at metadata alone.
pub const VERSION_PROPERTY: &str = "confluent:version";
/// The longest name of a rule, in characters.
const RULE_NAME_CHARS_MAX: usize = 64;
/// The most rules in one list.
const RULES_MAX: usize = 1000;

/// A schema that another one refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// As it is called there: an Avro name, a path of an import, the URL of a `$ref`.
    #[serde(default)]
    pub name: String,
    /// Its subject, in the context of who refers unless it names another one.
    #[serde(default)]
    pub subject: String,
    /// Its version; -1 in a request is the latest one.
    #[serde(default)]
    pub version: i32,
}

/// What users say about a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Tags of the fields at a path.
    #[serde(default, skip_serializing_if = "nothing_in_map")]
    pub tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Anything.
    #[serde(default, skip_serializing_if = "nothing_in_map")]
    pub properties: Option<BTreeMap<String, String>>,
    /// The properties that are not to be shown.
    #[serde(default, skip_serializing_if = "nothing_in_set")]
    pub sensitive: Option<BTreeSet<String>>,
}

/// What serializers do with data: at migration between versions, on objects, on bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSet {
    /// Between versions.
    #[serde(default, skip_serializing_if = "nothing_in_list")]
    pub migration_rules: Option<Vec<Rule>>,
    /// On objects.
    #[serde(default, skip_serializing_if = "nothing_in_list")]
    pub domain_rules: Option<Vec<Rule>>,
    /// On bytes.
    #[serde(default, skip_serializing_if = "nothing_in_list")]
    pub encoding_rules: Option<Vec<Rule>>,
    /// Where they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<String>,
}

/// One rule. What its type and expression mean is the executor's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Unique in its set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// `TRANSFORM` or `CONDITION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it runs: `UPGRADE`, `DOWNGRADE`, `UPDOWN`, `WRITE`, `READ` or `WRITEREAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Which executor runs it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind_of_executor: Option<String>,
    /// On which tagged fields.
    #[serde(default, skip_serializing_if = "nothing_in_set")]
    pub tags: Option<BTreeSet<String>>,
    /// For the executor.
    #[serde(default, skip_serializing_if = "nothing_in_map")]
    pub params: Option<BTreeMap<String, String>>,
    /// For the executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// What happens then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// What happens else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// It does not run.
    #[serde(default)]
    pub disabled: bool,
}

fn nothing_in_map<K, V>(map: &Option<BTreeMap<K, V>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

fn nothing_in_set<T>(set: &Option<BTreeSet<T>>) -> bool {
    set.as_ref().is_none_or(BTreeSet::is_empty)
}

fn nothing_in_list<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

impl Guid {
    /// The GUID of a schema: the MD5 of everything, in the order in which other registries hash it.
    #[must_use]
    pub fn of(
        text: &str,
        references: &[Reference],
        metadata: Option<&Metadata>,
        rules: Option<&RuleSet>,
    ) -> Guid {
        let mut hash = Md5::new();
        hash.update(text);
        for reference in references {
            hash.update(&reference.name);
            hash.update(&reference.subject);
            hash.update(reference.version.to_be_bytes());
        }
        if let Some(metadata) = metadata {
            hash.update([1]);
            metadata.hash(&mut hash);
        }
        if let Some(rules) = rules {
            hash.update([1]);
            rules.hash(&mut hash);
        }
        Guid(hash.finalize().into())
    }
}

impl Metadata {
    fn hash(&self, hash: &mut Md5) {
        for (path, tags) in self.tags.iter().flatten() {
            hash.update(path);
            tags.iter().for_each(|tag| hash.update(tag));
        }
        for (name, value) in self.properties.iter().flatten() {
            hash.update(name);
            hash.update(value);
        }
        self.sensitive.iter().flatten().for_each(|name| hash.update(name));
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.get(name).map(String::as_str)
    }

    /// With the version of the schema among the properties.
    #[must_use]
    pub fn with_version(metadata: Option<Metadata>, version: i32) -> Metadata {
        let mut metadata = metadata.unwrap_or_default();
        metadata.properties.get_or_insert_default().insert(VERSION_PROPERTY.to_owned(), version.to_string());
        metadata
    }

    /// Without the version among the properties; nothing when nothing else is said.
    #[must_use]
    pub fn without_version(metadata: Option<&Metadata>) -> Option<Metadata> {
        let mut metadata = metadata?.clone();
        if let Some(properties) = &mut metadata.properties {
            properties.remove(VERSION_PROPERTY);
        }
        let Metadata { tags, properties, sensitive } = &metadata;
        let nothing = nothing_in_map(tags) && nothing_in_map(properties) && nothing_in_set(sensitive);
        (!nothing).then_some(metadata)
    }

    /// Both; what `over` says counts where they differ.
    #[must_use]
    pub fn merged(base: Option<Metadata>, over: Option<Metadata>) -> Option<Metadata> {
        let (Some(base), Some(over)) = (&base, &over) else { return over.or(base) };
        Some(Metadata {
            tags: merged_maps(base.tags.as_ref(), over.tags.as_ref()),
            properties: merged_maps(base.properties.as_ref(), over.properties.as_ref()),
            sensitive: merged_sets(base.sensitive.as_ref(), over.sensitive.as_ref()),
        })
    }
}

fn merged_maps<V: Clone>(
    base: Option<&BTreeMap<String, V>>,
    over: Option<&BTreeMap<String, V>>,
) -> Option<BTreeMap<String, V>> {
    let (Some(base), Some(over)) = (base, over) else { return over.or(base).cloned() };
    let both = base.iter().chain(over);
    Some(both.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn merged_sets(base: Option<&BTreeSet<String>>, over: Option<&BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let (Some(base), Some(over)) = (base, over) else { return over.or(base).cloned() };
    Some(base.union(over).cloned().collect())
}

impl RuleSet {
    fn hash(&self, hash: &mut Md5) {
        self.lists().into_iter().flatten().flatten().for_each(|rule| rule.hash(hash));
        self.enable_at.iter().for_each(|place| hash.update(place));
    }

    fn lists(&self) -> [Option<&Vec<Rule>>; 3] {
        [self.migration_rules.as_ref(), self.domain_rules.as_ref(), self.encoding_rules.as_ref()]
    }

    /// Whether a rule is of this type.
    #[must_use]
    pub fn has_type(&self, name: &str) -> bool {
        self.lists()
            .into_iter()
            .flatten()
            .flatten()
            .any(|rule| rule.kind_of_executor.as_deref() == Some(name))
    }

    /// Both; a rule of `over` takes the place of the one of its name.
    #[must_use]
    pub fn merged(base: Option<RuleSet>, over: Option<RuleSet>) -> Option<RuleSet> {
        let (Some(base), Some(over)) = (&base, &over) else { return over.or(base) };
        Some(RuleSet {
            migration_rules: merged_rules(base.migration_rules.as_ref(), over.migration_rules.as_ref()),
            domain_rules: merged_rules(base.domain_rules.as_ref(), over.domain_rules.as_ref()),
            encoding_rules: merged_rules(base.encoding_rules.as_ref(), over.encoding_rules.as_ref()),
            enable_at: over.enable_at.clone().or_else(|| base.enable_at.clone()),
        })
    }

    /// Without the rules of these names.
    #[must_use]
    pub fn without(mut self, names: &[String]) -> RuleSet {
        for rules in [&mut self.migration_rules, &mut self.domain_rules, &mut self.encoding_rules] {
            let kept = |rule: &Rule| !rule.name.as_ref().is_some_and(|name| names.contains(name));
            rules.iter_mut().for_each(|rules| rules.retain(kept));
        }
        self
    }

    /// Checks names, modes and actions.
    ///
    /// # Errors
    /// What is wrong with the first rule that is.
    pub fn check(&self) -> Result<(), String> {
        const MIGRATION: (&str, [&str; 3]) = ("Migration", ["UPGRADE", "DOWNGRADE", "UPDOWN"]);
        const DOMAIN: (&str, [&str; 3]) = ("Domain", ["WRITE", "READ", "WRITEREAD"]);
        const ENCODING: (&str, [&str; 3]) = ("Encoding", ["WRITE", "READ", "WRITEREAD"]);
        let mut names = BTreeSet::new();
        for (rules, (what, modes)) in self.lists().into_iter().zip([MIGRATION, DOMAIN, ENCODING]) {
            if rules.is_some_and(|rules| rules.len() > RULES_MAX) {
                return Err(format!("{what} rules are limited to {RULES_MAX}"));
            }
            for rule in rules.into_iter().flatten() {
                rule.check()?;
                if !names.insert(&rule.name) {
                    return Err(format!(
                        "Found rule with duplicate name '{}'",
                        rule.name.as_deref().unwrap_or("")
                    ));
                }
                if !rule.mode.as_deref().is_some_and(|mode| modes.contains(&mode)) {
                    return Err(format!("{what} rules can only be {}", modes.join(", ")));
                }
            }
        }
        Ok(())
    }
}

fn merged_rules(base: Option<&Vec<Rule>>, over: Option<&Vec<Rule>>) -> Option<Vec<Rule>> {
    let nothing = |rules: &&Vec<Rule>| !rules.is_empty();
    let (Some(base), Some(over)) = (base.filter(nothing), over.filter(nothing)) else {
        return over.filter(nothing).or(base).cloned();
    };
    let kept = base.iter().filter(|rule| over.iter().all(|newer| newer.name != rule.name));
    Some(kept.chain(over).cloned().collect())
}

impl Rule {
    fn hash(&self, hash: &mut Md5) {
        let Rule {
            name,
            doc,
            kind,
            mode,
            kind_of_executor,
            tags,
            params,
            expr,
            on_success,
            on_failure,
            disabled,
        } = self;
        for text in [name, doc, kind, mode, kind_of_executor].into_iter().flatten() {
            hash.update(text);
        }
        tags.iter().flatten().for_each(|tag| hash.update(tag));
        for (name, value) in params.iter().flatten() {
            hash.update(name);
            hash.update(value);
        }
        for text in [expr, on_success, on_failure].into_iter().flatten() {
            hash.update(text);
        }
        if *disabled {
            hash.update([1]);
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = self.name.as_deref().ok_or("Missing rule name")?;
        let first = name.chars().next().ok_or("Empty rule name")?;
        if name.chars().count() > RULE_NAME_CHARS_MAX {
            return Err("Rule name too long".to_owned());
        }
        if !(first.is_alphabetic() || first == '_') {
            return Err(format!("Illegal initial character in rule name: {name}"));
        }
        if !name.chars().skip(1).all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return Err(format!("Illegal character in rule name: {name}"));
        }
        if self.kind_of_executor.is_none() {
            return Err("Missing rule type".to_owned());
        }
        if self.kind.as_deref().is_some_and(|kind| !["TRANSFORM", "CONDITION"].contains(&kind)) {
            return Err("Rule kinds can only be TRANSFORM, CONDITION".to_owned());
        }
        let two_ways = self.mode.as_deref().is_none_or(|mode| ["WRITEREAD", "UPDOWN"].contains(&mode));
        let several = |action: &Option<String>| action.as_ref().is_some_and(|action| action.contains(','));
        if !two_ways && (several(&self.on_success) || several(&self.on_failure)) {
            return Err("Multiple actions only valid with WRITEREAD and UPDOWN".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> RuleSet {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_guid_covers_everything_and_reads_back() {
        let plain = Guid::of("\"int\"", &[], None, None);
        // md5sum of "int" in quotation marks.
        assert_eq!(plain.to_string(), "ef524ea1-b91e-7317-3d93-8ade36c1db32");
        assert_eq!(Guid::parse(&plain.to_string()), Some(plain));
        assert_eq!(Guid::parse(&plain.to_string().replace('-', "")), Some(plain));
        for broken in ["", "zz", "ef524ea1", "éf524ea1-b91e-7317-3d93-8ade36c1db32"] {
            assert_eq!(Guid::parse(broken), None, "{broken}");
        }
        let metadata = Metadata::default();
        let reference = Reference { name: "a".into(), subject: "b".into(), version: 1 };
        let all = [
            plain,
            Guid::of("\"int\"", &[reference], None, None),
            Guid::of("\"int\"", &[], Some(&metadata), None),
            Guid::of("\"long\"", &[], None, None),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn rules_are_merged_by_name() {
        let base =
            rules(r#"{"domainRules":[{"name":"a","type":"T"},{"name":"b","type":"T"}],"enableAt":"E"}"#);
        let over = rules(r#"{"domainRules":[{"name":"a","type":"U"}],"migrationRules":[{"name":"m"}]}"#);
        let merged = RuleSet::merged(Some(base), Some(over)).unwrap();
        let expected = r#"{"migrationRules":[{"name":"m","disabled":false}],"domainRules":[{"name":"b","type":"T","disabled":false},{"name":"a","type":"U","disabled":false}],"enableAt":"E"}"#;
        assert_eq!(serde_json::to_string(&merged).unwrap(), expected);
        assert!(merged.has_type("U") && !merged.has_type("X"));
        assert_eq!(merged.without(&["a".into(), "b".into()]).domain_rules, Some(Vec::new()));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for (text, why) in [
            (r#"{"domainRules":[{"name":"a","type":"T","mode":"WRITE"}]}"#, None),
            (r#"{"domainRules":[{"type":"T","mode":"WRITE"}]}"#, Some("Missing rule name")),
            (r#"{"domainRules":[{"name":"","type":"T","mode":"WRITE"}]}"#, Some("Empty rule name")),
            (r#"{"domainRules":[{"name":"1","type":"T","mode":"WRITE"}]}"#, Some("Illegal initial")),
            (r#"{"domainRules":[{"name":"a b","type":"T","mode":"WRITE"}]}"#, Some("Illegal character")),
            (r#"{"domainRules":[{"name":"a","mode":"WRITE"}]}"#, Some("Missing rule type")),
            (r#"{"domainRules":[{"name":"a","type":"T","mode":"UPGRADE"}]}"#, Some("Domain rules can only")),
            (r#"{"migrationRules":[{"name":"a","type":"T","mode":"READ"}]}"#, Some("Migration rules can")),
            (
                r#"{"domainRules":[{"name":"a","type":"T","mode":"WRITE"},{"name":"a","type":"T","mode":"WRITE"}]}"#,
                Some("duplicate name 'a'"),
            ),
            (
                r#"{"domainRules":[{"name":"a","type":"T","mode":"WRITE","onFailure":"A,B"}]}"#,
                Some("Multiple actions"),
            ),
        ] {
            match (rules(text).check(), why) {
                (Ok(()), None) => {}
                (Err(error), Some(why)) if error.contains(why) => {}
                (outcome, why) => panic!("{text}: {outcome:?}, expected {why:?}"),
            }
        }
    }

    #[test]
    fn metadata_are_merged_by_name_and_know_their_version() {
        let metadata = |text: &str| serde_json::from_str::<Metadata>(text).unwrap();
        let base = metadata(r#"{"properties":{"a":"1","b":"1"},"tags":{"p":["x"]}}"#);
        let over = metadata(r#"{"properties":{"b":"2"},"sensitive":["b"]}"#);
        let merged = Metadata::merged(Some(base.clone()), Some(over)).unwrap();
        let expected = r#"{"tags":{"p":["x"]},"properties":{"a":"1","b":"2"},"sensitive":["b"]}"#;
        assert_eq!(serde_json::to_string(&merged).unwrap(), expected);
        assert_eq!(Metadata::merged(None, Some(base.clone())), Some(base.clone()));
        let versioned = Metadata::with_version(Some(base.clone()), 7);
        assert_eq!(versioned.property(VERSION_PROPERTY), Some("7"));
        assert_eq!(Metadata::without_version(Some(&versioned)), Some(base));
        assert_eq!(Metadata::without_version(Some(&Metadata::with_version(None, 1))), None);
    }
}
