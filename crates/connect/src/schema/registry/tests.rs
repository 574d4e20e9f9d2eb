use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::image::Image;
use vltava_core::machine::{Context, Encoded, Entry, Place, StateMachine};
use vltava_core::testing::{Random, machine_suite, seeds};

use super::command::{Answer, Command, Done};
use super::contract::Reference;
use super::library::Library;
use super::plan::{Options, Planned, Planner, SchemaRequest};
use super::settings::{ConfigUpdate, Mode};
use super::state::Filter;
use super::testing::WordsFormat;
use super::{Registry, RegistryError, Settings};

/// One record of the log: its key and value.
type Record = (Bytes, Option<Bytes>);

/// A registry over a log in memory.
struct World {
    registry: Registry,
    library: Library,
    log: Vec<Record>,
}

fn library() -> Library {
    Library::new(vec![Arc::new(WordsFormat)], 100)
}

fn words(text: &str) -> SchemaRequest {
    SchemaRequest {
        schema: Some(text.to_owned()),
        schema_type: Some("WORDS".to_owned()),
        ..SchemaRequest::default()
    }
}

fn context(image: &Image) -> Context<'_> {
    Context { now: Moment::default(), wall: Timestamp(7), entropy: 1, image }
}

fn apply(registry: &mut Registry, (key, value): &Record, offset: i64) {
    let entry = Entry::Record { key: Some(key), value: value.as_ref() };
    if let Some(event) = registry.decode(entry).unwrap() {
        let place = Place { offset: Offset(offset), timestamp: Timestamp(7), transaction: None };
        registry.apply(&event, place);
    }
}

fn replayed<'a>(log: impl Iterator<Item = (i64, &'a Record)>) -> Registry {
    let mut registry = Registry::default();
    log.for_each(|(offset, record)| apply(&mut registry, record, offset));
    registry
}

impl World {
    fn new() -> World {
        World { registry: Registry::default(), library: library(), log: Vec::new() }
    }

    fn planner<'a>(&'a self, settings: &'a Settings) -> Planner<'a> {
        Planner { state: self.registry.state(), library: &self.library, settings }
    }

    fn ask(&mut self, command: Command) -> Answer {
        let image = Image::default();
        let decision = self.registry.decide(&context(&image), command);
        let vltava_core::machine::Reply::Committed(answer) = decision.reply else { panic!("no answer") };
        for event in decision.events {
            let Encoded::Record { key: Some(key), value } = self.registry.encode(&event, &image) else {
                panic!("no record of {event:?}");
            };
            self.write((key, value));
        }
        answer
    }

    /// A record of ours or of somebody else.
    fn write(&mut self, record: Record) {
        apply(&mut self.registry, &record, i64::try_from(self.log.len()).unwrap());
        self.log.push(record);
    }

    fn register_with(
        &mut self,
        subject: &str,
        request: SchemaRequest,
        options: Options,
    ) -> Result<(i32, i32), RegistryError> {
        let planned = self.planner(&Settings::default()).register(subject, request, options)?;
        let version = match planned {
            Planned::Known(version) => version,
            Planned::Write(register) => match self.ask(Command::Register(register))? {
                Done::Registered(version) => version,
                other => panic!("{other:?}"),
            },
        };
        Ok((version.id, version.number))
    }

    fn register(&mut self, subject: &str, text: &str) -> Result<(i32, i32), RegistryError> {
        self.register_with(subject, words(text), Options::default())
    }

    fn delete(&mut self, subject: &str, permanent: bool) -> Result<Vec<i32>, RegistryError> {
        match self.ask(Command::DeleteSubject { subject: subject.to_owned(), permanent })? {
            Done::Deleted(versions) => Ok(versions),
            other => panic!("{other:?}"),
        }
    }

    fn delete_version(&mut self, subject: &str, version: i32, permanent: bool) -> Result<(), RegistryError> {
        self.ask(Command::DeleteVersion { subject: subject.to_owned(), version, permanent }).map(drop)
    }

    fn level(&mut self, subject: Option<&str>, level: &str) {
        let update = Box::new(ConfigUpdate::of_level(level));
        self.ask(Command::SetConfig(subject.map(str::to_owned), update)).unwrap();
    }

    fn mode(&mut self, subject: Option<&str>, mode: Mode, force: bool) -> Result<(), RegistryError> {
        let subject = subject.map(str::to_owned);
        self.ask(Command::SetMode { subject, mode: Some(mode), force }).map(drop)
    }

    /// Compaction: of each key the last record, and none that is gone for long.
    fn compact(&mut self) {
        let mut last: BTreeMap<Bytes, usize> = BTreeMap::new();
        for (index, (key, _)) in self.log.iter().enumerate() {
            last.insert(key.clone(), index);
        }
        let kept = |index: usize, record: &Record| record.1.is_some() && last.get(&record.0) == Some(&index);
        self.log = self
            .log
            .iter()
            .enumerate()
            .filter(|(index, record)| kept(*index, record))
            .map(|(_, record)| record.clone())
            .collect();
    }

    /// Another node takes over.
    fn restart(&mut self) {
        self.registry = replayed((0..).zip(&self.log));
    }
}

fn check_refused<T: std::fmt::Debug>(outcome: Result<T, RegistryError>, code: u32, words: &str) {
    match outcome {
        Err(error) if error.code() == code && error.to_string().contains(words) => {}
        other => panic!("{other:?}, expected {code} {words:?}"),
    }
}

#[test]
fn the_same_schema_has_one_id_in_a_context_and_each_subject_its_versions() {
    let mut world = World::new();
    for (subject, text, expected) in [
        ("a", "x y", (1, 1)),
        ("a", "x  y", (1, 1)),
        ("b", "x y", (1, 1)),
        ("a", "x y z?", (2, 2)),
        (":.c:a", "x y z?", (1, 1)),
        ("b", "x y z?", (2, 2)),
        ("a", "x y", (1, 1)),
    ] {
        assert_eq!(world.register(subject, text).unwrap(), expected, "{subject} {text}");
    }
    assert_eq!(world.registry.state().contexts().collect::<Vec<_>>(), [".", ".c"]);
}

#[test]
fn incompatible_schemas_are_refused_by_level_with_all_differences() {
    for (level, old, new, refused) in [
        ("BACKWARD", &["a"][..], "a b c", Some("'b' is missing', additionalInfo:'b'")),
        ("BACKWARD", &["a"], "a b?", None),
        ("BACKWARD", &["a b", "a"], "a b?", None),
        ("BACKWARD_TRANSITIVE", &["a b", "a", "a"], "a", None),
        ("FORWARD", &["a b"], "a", Some("'b'")),
        ("FULL", &["a"], "a b", Some("'b'")),
        ("NONE", &["a"], "c d", None),
    ] {
        let mut world = World::new();
        world.level(None, "NONE");
        for text in old {
            world.register("s", text).unwrap();
        }
        world.level(Some("s"), level);
        let outcome = world.register("s", new);
        match refused {
            None => assert!(outcome.is_ok(), "{level} {new}: {outcome:?}"),
            Some(_) => {
                let Err(RegistryError::Incompatible { messages, .. }) = &outcome else {
                    panic!("{outcome:?}")
                };
                assert!(
                    messages.iter().any(|message| message.contains("{oldSchemaVersion: 1}")),
                    "{messages:?}"
                );
                check_refused(outcome, 40901, "'b' is missing");
            }
        }
    }
}

#[test]
fn deletion_is_soft_before_it_is_for_good_and_ids_never_come_back() {
    let mut world = World::new();
    world.level(None, "NONE");
    assert_eq!(world.register("s", "a").unwrap(), (1, 1));
    assert_eq!(world.register("s", "b").unwrap(), (2, 2));
    check_refused(world.delete("s", true), 40405, "was not deleted first");
    assert_eq!(world.delete("s", false).unwrap(), [1, 2]);
    check_refused(world.delete("s", false), 40404, "was soft deleted.Set permanent=true");
    assert!(world.registry.state().by_id(2, None).is_some(), "what was written can still be read");
    // The content that was deleted softly comes back as a new version with its id.
    assert_eq!(world.register("s", "b").unwrap(), (2, 3));
    check_refused(world.delete_version("s", 1, false), 40406, "was soft deleted");
    check_refused(world.delete_version("s", 3, true), 40407, "was not deleted first");
    assert_eq!(world.delete("s", false).unwrap(), [3]);
    assert_eq!(world.delete("s", true).unwrap(), [1, 3]);
    check_refused(world.delete("s", false), 40401, "Subject 's' not found.");
    assert!(world.registry.state().by_id(2, None).is_none());
    world.compact();
    world.restart();
    assert_eq!(world.register("s", "a").unwrap(), (3, 1));
    assert_eq!(world.register("t", "b").unwrap(), (4, 1));
}

#[test]
fn what_is_referred_to_stays() {
    let mut world = World::new();
    world.register("base", "a").unwrap();
    let refer = |name: &str, version| Reference { name: name.into(), subject: "base".into(), version };
    let with = |references: Vec<Reference>| SchemaRequest { references: Some(references), ..words("@r b") };
    let (id, _) = world.register_with("user", with(vec![refer("r", -1)]), Options::default()).unwrap();
    let version = world.registry.state().version("user", 1, Filter::Live).unwrap();
    assert_eq!(version.content.references[0].version, 1, "the latest version has a number");
    assert_eq!(world.registry.state().referrers("base", 1, Filter::Live), [(Arc::from("."), id)]);
    check_refused(world.delete_version("base", 1, false), 42206, "subject=base,version=1");
    check_refused(world.delete("base", false), 42206, "One or more references exist");
    // The same schema with everything in its text is known as well.
    let planner =
        world.planner(&Settings { ..Settings::default() }).lookup("user", &words("b a"), Options::default());
    assert!(planner.unwrap().is_some());
    check_refused(
        world.register_with("user", with(vec![refer("r", 9)]), Options::default()),
        42201,
        "No schema reference found for subject \"base\" and version 9",
    );
    check_refused(
        world.register_with("user", with(vec![refer("", 1)]), Options::default()),
        42201,
        "Invalid reference",
    );
    world.delete("user", false).unwrap();
    check_refused(world.delete_version("base", 1, true), 42206, "");
    world.delete_version("base", 1, false).unwrap();
    world.delete("user", true).unwrap();
    world.delete("base", true).unwrap();
    assert!(world.registry.state().referrers.is_empty());
}

#[test]
fn references_of_others_that_go_in_circles_are_refused() {
    let mut world = World::new();
    let record = |subject: &str, id: i32, other: &str| {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        let value = format!(
            r#"{{"subject":"{subject}","version":1,"id":{id},"schemaType":"WORDS","references":[{{"name":"{other}","subject":"{other}","version":1}}],"schema":"@{other}"}}"#
        );
        (Bytes::from(key), Some(Bytes::from(value)))
    };
    world.write(record("a", 1, "b"));
    world.write(record("b", 2, "a"));
    let reference = Reference { name: "x".into(), subject: "a".into(), version: 1 };
    let request = SchemaRequest { references: Some(vec![reference]), ..words("@x") };
    check_refused(world.register_with("c", request, Options::default()), 42201, "lead back");
}

#[test]
fn modes_say_who_may_write() {
    let mut world = World::new();
    world.register("s", "a").unwrap();
    world.mode(Some("s"), Mode::ReadOnly, false).unwrap();
    assert_eq!(world.register("s", "a").unwrap(), (1, 1), "what is there is no write");
    check_refused(world.register("s", "a b?"), 42205, "Subject s in context  is in read-only mode");
    check_refused(world.delete("s", false), 42205, "read-only");
    world.mode(Some("s"), Mode::ReadWrite, false).unwrap();
    let imported = SchemaRequest { id: Some(40), version: Some(7), ..words("i") };
    check_refused(
        world.register_with("s", imported.clone(), Options::default()),
        42205,
        "is not in import mode",
    );
    check_refused(
        world.mode(None, Mode::Import, false),
        42205,
        "Cannot import since found existing subjects",
    );
    world.mode(Some("t"), Mode::Import, false).unwrap();
    check_refused(world.register("t", "a"), 42205, "is not in read-write mode");
    assert_eq!(world.register_with("t", imported.clone(), Options::default()).unwrap(), (40, 7));
    let other = SchemaRequest { version: Some(8), schema: Some("j".into()), ..imported };
    check_refused(
        world.register_with("t", other, Options::default()),
        42205,
        "Overwrite new schema with id 40",
    );
    assert_eq!(world.register("s", "a n?").unwrap(), (41, 2), "ids go on above imported ones");
    world.mode(None, Mode::ReadOnlyOverride, false).unwrap();
    check_refused(world.register("s", "a n? m?"), 42205, "read-only");
}

#[test]
fn import_clears_what_is_deleted_softly() {
    let mut world = World::new();
    world.register("s", "a").unwrap();
    world.delete("s", false).unwrap();
    world.mode(Some("s"), Mode::Import, false).unwrap();
    assert!(world.registry.state().versions("s").is_none());
    let imported = SchemaRequest { id: Some(1), version: Some(1), ..words("other") };
    assert_eq!(world.register_with("s", imported, Options::default()).unwrap(), (1, 1));
    assert_eq!(world.register("t", "b").unwrap(), (2, 1));
}

#[test]
fn a_plan_that_was_overtaken_is_made_again() {
    let mut world = World::new();
    let plan = |world: &World, text: &str| {
        let planned =
            world.planner(&Settings::default()).register("s", words(text), Options::default()).unwrap();
        let Planned::Write(register) = planned else { panic!("{planned:?}") };
        register
    };
    let (first, second) = (plan(&world, "a"), plan(&world, "b"));
    assert!(matches!(world.ask(Command::Register(first)), Ok(Done::Registered(_))));
    assert!(matches!(world.ask(Command::Register(second)), Ok(Done::Stale)));
    let third = plan(&world, "a b?");
    world.level(None, "FULL");
    assert!(matches!(world.ask(Command::Register(third)), Ok(Done::Stale)));
}

#[test]
fn settings_are_given_to_new_schemas() {
    let mut world = World::new();
    let update = |text: &str| Box::new(serde_json::from_str::<ConfigUpdate>(text).unwrap());
    let config = r#"{"defaultMetadata":{"properties":{"team":"x","a":"1"}},"overrideMetadata":{"properties":{"a":"2"}}}"#;
    world.ask(Command::SetConfig(Some("s".into()), update(config))).unwrap();
    world.register("s", "a").unwrap();
    let version = world.registry.state().version("s", -1, Filter::Live).unwrap().clone();
    let metadata = version.content.metadata.as_ref().unwrap();
    assert_eq!((metadata.property("team"), metadata.property("a")), (Some("x"), Some("2")));
    assert_eq!(world.register("s", "a").unwrap(), (1, 1), "it is known as it was given");
    let versioned = SchemaRequest { version: Some(-1), ..words("a b?") };
    world.register_with("s", versioned, Options::default()).unwrap();
    let version = world.registry.state().version("s", 2, Filter::Live).unwrap();
    assert_eq!(version.content.metadata.as_ref().unwrap().property("confluent:version"), Some("2"));
}

#[test]
fn versions_of_other_groups_are_not_compared() {
    let mut world = World::new();
    let update = serde_json::from_str::<ConfigUpdate>(r#"{"compatibilityGroup":"major"}"#).unwrap();
    world.ask(Command::SetConfig(Some("s".into()), Box::new(update))).unwrap();
    let of = |major: &str, text: &str| {
        let metadata = serde_json::from_str(&format!(r#"{{"properties":{{"major":"{major}"}}}}"#)).unwrap();
        SchemaRequest { metadata: Some(metadata), ..words(text) }
    };
    world.register_with("s", of("1", "a"), Options::default()).unwrap();
    world.register_with("s", of("2", "b"), Options::default()).unwrap();
    check_refused(world.register_with("s", of("1", "a c"), Options::default()), 40901, "'c'");
    check_refused(world.register_with("s", of("2", "b a"), Options::default()), 40901, "'a'");
}

/// Bytes as other registries write them, in the order of their attributes.
#[test]
fn a_topic_of_another_registry_is_loaded_as_it_is() {
    let log: Vec<Record> = [
        (r#"{"keytype":"NOOP","magic":0}"#, None),
        (
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            Some(r#"{"subject":null,"compatibilityLevel":"FULL"}"#),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}"#,
            Some(r#"{"subject":"orders-value","version":1,"id":1,"schema":"\"string\"","deleted":false}"#),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"orders-value","version":2,"magic":1}"#,
            Some(
                r#"{"subject":"orders-value","version":2,"id":2,"md5":"oqFCmIF5tTDCAgBSu4Xsew==","schemaType":"JSON","references":[{"name":"o","subject":"other","version":1}],"metadata":{"tags":{"a":["PII"]},"properties":{"owner":"x"},"sensitive":["owner"]},"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"true","disabled":false}]},"schema":"{}","deleted":false}"#,
            ),
        ),
        (
            r#"{"keytype":"CONTEXT","tenant":"default","context":".prod"}"#,
            Some(r#"{"tenant":"default","context":".prod"}"#),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":":.prod:t","version":1,"magic":1}"#,
            Some(r#"{"subject":":.prod:t","version":1,"id":100001,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";","deleted":false}"#),
        ),
        (r#"{"keytype":"MODE","subject":":.prod:","magic":0}"#, Some(r#"{"subject":":.prod:","mode":"IMPORT"}"#)),
        (r#"{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}"#, None),
        (
            r#"{"keytype":"DELETE_SUBJECT","subject":"orders-value","magic":0}"#,
            Some(r#"{"subject":"orders-value","version":1}"#),
        ),
        (
            r#"{"keytype":"ASSOC","tenant":"default","resourceName":"orders","resourceNamespace":"lkc","resourceType":"topic","associationType":"value","subject":"orders-value","magic":0}"#,
            Some(r#"{"subject":"orders-value","guid":"g","tenant":"default","resourceName":"orders","resourceNamespace":"lkc","resourceId":"id","resourceType":"topic","associationType":"value","lifecycle":"WEAK","frozen":false,"createTs":5}"#),
        ),
        (r#"{"keytype":"SOMETHING","magic":9}"#, Some("{}")),
        ("not json", Some("not json")),
        (r#"{"keytype":"SCHEMA","subject":"broken","version":1,"magic":1}"#, Some("{")),
    ]
    .into_iter()
    .map(|(key, value)| (Bytes::from_static(key.as_bytes()), value.map(|value| Bytes::from_static(value.as_bytes()))))
    .collect();
    let registry = replayed((0..).zip(&log));
    let state = registry.state();
    assert_eq!(state.config(None, &Settings::default().defaults()).unwrap().level().name(), "FULL");
    assert_eq!(state.subjects.keys().map(|name| &**name).collect::<Vec<_>>(), [":.prod:t", "orders-value"]);
    assert!(state.version("orders-value", 1, Filter::Live).is_none());
    let second = state.version("orders-value", 2, Filter::Live).unwrap();
    assert_eq!((second.id, &*second.content.format), (2, "JSON"));
    assert!(second.content.rules.as_ref().unwrap().has_type("CEL"));
    assert_eq!(state.by_id(1, None).unwrap().1.content.format, "AVRO");
    assert_eq!(state.by_id(100_001, Some(":.prod:")).unwrap().1.number, 1);
    assert_eq!(state.mode_in_scope(Some(":.prod:t")), Mode::Import);
    assert_eq!(state.contexts().collect::<Vec<_>>(), [".", ".prod"]);
    assert_eq!(state.associations.len(), 1);

    let mut world = World { registry, library: library(), log };
    // The settings for everything were written under another text of the key, which goes with them.
    world.ask(Command::DeleteConfig(None)).unwrap();
    world.compact();
    world.restart();
    assert_eq!(
        world.registry.state().config(None, &Settings::default().defaults()).unwrap().level().name(),
        "BACKWARD"
    );
}

#[test]
fn keys_are_written_as_other_registries_write_them() {
    let mut world = World::new();
    world.register(":.c:s", "a").unwrap();
    world.level(None, "FULL");
    world.level(Some("s"), "FULL");
    world.mode(Some("s"), Mode::ReadWrite, false).unwrap();
    world.delete(":.c:s", false).unwrap();
    world.delete(":.c:s", true).unwrap();
    let keys: Vec<&str> = world.log.iter().map(|(key, _)| std::str::from_utf8(key).unwrap()).collect();
    assert_eq!(
        keys,
        [
            r#"{"keytype":"CONTEXT","tenant":"default","context":".c"}"#,
            r#"{"keytype":"SCHEMA","subject":":.c:s","version":1,"magic":1}"#,
            r#"{"keytype":"CONFIG","magic":0}"#,
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
            r#"{"keytype":"MODE","subject":"s","magic":0}"#,
            r#"{"keytype":"DELETE_SUBJECT","subject":":.c:s","magic":0}"#,
            r#"{"keytype":"NOOP","context":".c","magic":0}"#,
            r#"{"keytype":"SCHEMA","subject":":.c:s","version":1,"magic":1}"#,
        ]
    );
    let schema = std::str::from_utf8(world.log[1].1.as_ref().unwrap()).unwrap();
    assert_eq!(
        schema,
        r#"{"subject":":.c:s","version":1,"id":1,"schemaType":"WORDS","schema":"a","deleted":false}"#
    );
}

/// A command that a test makes up, planned by the state as it is.
fn made_up(registry: &Registry, library: &Library, random: &mut Random) -> Command {
    let subjects = ["a", "b", ":.c:a", ":.c:b"];
    let subject = subjects[random.below(subjects.len())].to_owned();
    match random.below(12) {
        0 => Command::DeleteSubject { subject, permanent: false },
        1 | 2 => Command::DeleteSubject { subject, permanent: true },
        3 => Command::DeleteVersion { subject, version: -1, permanent: false },
        4 => {
            let version = i32::try_from(random.below(6)).unwrap() + 1;
            Command::DeleteVersion { subject, version, permanent: random.once_in(2) }
        }
        5 => Command::SetConfig(Some(subject), Box::new(ConfigUpdate::of_level("NONE"))),
        6 => Command::DeleteConfig(Some(subject)),
        7 => {
            let mode = [Mode::ReadWrite, Mode::Import, Mode::ReadOnly][random.below(3)];
            Command::SetMode { subject: Some(subject), mode: Some(mode), force: random.once_in(3) }
        }
        8 => Command::DeleteMode { subject: Some(subject), recursive: false },
        9 => Command::DeleteContext(":.c:".to_owned()),
        _ => {
            let planner = Planner { state: registry.state(), library, settings: &Settings::default() };
            let mut request = words(["x", "y", "x y", "z", "x z?"][random.below(5)]);
            if registry.state().mode_in_scope(Some(&subject)) == Mode::Import {
                request.id = Some(i32::try_from(random.below(30)).unwrap());
                request.version = Some(i32::try_from(random.below(5)).unwrap() + 1);
            }
            if random.once_in(4) && registry.state().version("a", -1, Filter::Live).is_some() {
                let reference = Reference { name: "r".into(), subject: "a".into(), version: -1 };
                request.references = Some(vec![reference]);
            }
            let options = Options { force: true, ..Options::default() };
            match planner.register(&subject, request, options) {
                Ok(Planned::Write(register)) => Command::Register(register),
                Ok(Planned::Known(_)) | Err(_) => Command::View,
            }
        }
    }
}

#[test]
fn the_laws_of_state_machines_hold() {
    let library = library();
    machine_suite(
        seeds("VLTAVA_REGISTRY_SEEDS", 0..40),
        150,
        &Image::default(),
        Registry::default,
        |registry, random| made_up(registry, &library, random),
    );
}

/// Two registries write one log, one after another; both die now and then, the log is compacted, schemas are deleted for
/// good. Ids are never given twice, and nothing that was acknowledged is lost.
#[test]
fn two_writers_never_give_an_id_twice() {
    for seed in seeds("VLTAVA_REGISTRY_SEEDS", 0..60) {
        let mut random = Random::new(seed);
        let mut world = World::new();
        world.level(Some(":.__GLOBAL:"), "NONE");
        let (mut given, mut live) = (BTreeMap::new(), BTreeMap::new());
        let mut counter = 0;
        for step in 0..200 {
            let subject = ["a", "b", ":.c:a"][random.below(3)];
            match random.below(8) {
                0 => {
                    if world.delete(subject, false).is_ok() && random.once_in(2) {
                        world.delete(subject, true).unwrap();
                    }
                    live.retain(|(other, _), _| other != subject);
                }
                1 => world.compact(),
                // The other writer takes over, or this one comes back.
                2 | 3 => world.restart(),
                _ => {
                    counter += 1;
                    let text = format!("w{counter}");
                    let (id, version) = world.register(subject, &text).unwrap();
                    let context = super::subject::context_of(subject).to_owned();
                    let twice = given.insert((context, id), text.clone());
                    assert_eq!(twice, None, "seed {seed} step {step}: id {id} was given before");
                    live.insert((subject.to_owned(), version), text);
                }
            }
            for ((subject, version), text) in &live {
                let kept = world.registry.state().version(subject, *version, Filter::Live);
                let kept = kept.map(|version| &*version.content.text);
                assert_eq!(kept, Some(text.as_str()), "seed {seed} step {step}: {subject} {version}");
            }
        }
    }
}

/// A log that several registries write. Each places only at the end that it has seen.
#[derive(Default)]
struct SharedLog {
    records: Vec<(i64, Record)>,
    end: i64,
}

impl SharedLog {
    /// Keeps the last record of each key, and removals of keys too when `all` stays.
    fn compacted(&self, all: bool) -> Vec<(i64, Record)> {
        let last: BTreeMap<&Bytes, i64> =
            self.records.iter().map(|(offset, (key, _))| (key, *offset)).collect();
        let kept = |(offset, (key, value)): &&(i64, Record)| {
            last.get(key) == Some(offset) && (all || value.is_some())
        };
        self.records.iter().filter(kept).cloned().collect()
    }
}

/// One of the registries: what it knows lags behind the log, and what it plans may be overtaken.
#[derive(Default)]
struct Writer {
    registry: Registry,
    seen: i64,
    plan: Option<(String, Command)>,
}

impl Writer {
    /// One that has just started.
    fn new(log: &SharedLog) -> Writer {
        let records = log.compacted(false);
        Writer {
            registry: replayed(records.iter().map(|(offset, record)| (*offset, record))),
            seen: log.end,
            plan: None,
        }
    }

    fn catch_up(&mut self, log: &SharedLog, end: i64) {
        for (offset, record) in log.records.iter().filter(|(at, _)| (self.seen..end).contains(at)) {
            apply(&mut self.registry, record, *offset);
        }
        self.seen = end;
    }

    /// Decides by what it knows, and writes that unless others were first.
    fn place(&mut self, log: &mut SharedLog, command: Command) -> Option<Answer> {
        let image = Image::default();
        let decision = self.registry.decide(&context(&image), command);
        if self.seen != log.end {
            return None;
        }
        let vltava_core::machine::Reply::Committed(answer) = decision.reply else { panic!("no answer") };
        for event in decision.events {
            let Encoded::Record { key: Some(key), value } = self.registry.encode(&event, &image) else {
                panic!("no record of {event:?}");
            };
            log.records.push((log.end, (key, value)));
            log.end += 1;
        }
        self.catch_up(log, log.end);
        Some(answer)
    }

    /// The same, as often as it takes.
    fn place_at_last(&mut self, log: &mut SharedLog, command: &Command) -> Answer {
        loop {
            match self.place(log, command.clone()) {
                Some(answer) => return answer,
                None => self.catch_up(log, log.end),
            }
        }
    }
}

/// Registries at one log, in any order: they plan by what they have seen, place at the end that they have seen, die, catch up in
/// parts; schemas are deleted for good, the log is compacted. An id stands for one text for ever, what was acknowledged stays,
/// and all end up with what a replay gives.
#[test]
fn writers_who_lag_behind_each_other_agree_in_the_end() {
    let library = library();
    let settings = Settings::default();
    for seed in seeds("VLTAVA_REGISTRY_SEEDS", 0..60) {
        let mut random = Random::new(seed);
        let mut log = SharedLog::default();
        let mut writers: Vec<Writer> = (0..3).map(|_| Writer::default()).collect();
        let everywhere = Some(":.__GLOBAL:".to_owned());
        let open = Command::SetConfig(everywhere, Box::new(ConfigUpdate::of_level("NONE")));
        writers[0].place_at_last(&mut log, &open).unwrap();
        let (mut texts, mut live) = (BTreeMap::new(), BTreeMap::new());
        let mut overtaken = 0;
        for step in 0..300 {
            let subject = ["a", "b", ":.c:a"][random.below(3)];
            let writer = &mut writers[random.below(3)];
            match random.below(12) {
                0 => log.records = log.compacted(true),
                1 => *writer = Writer::new(&log),
                2 | 3 => {
                    let behind = usize::try_from(log.end - writer.seen).unwrap();
                    let end = writer.seen + i64::try_from(random.below(behind + 1)).unwrap();
                    writer.catch_up(&log, end);
                }
                4 => {
                    let permanent = random.once_in(2);
                    let command = Command::DeleteSubject { subject: subject.to_owned(), permanent };
                    if writer.place_at_last(&mut log, &command).is_ok() {
                        live.retain(|(other, _), _| other != subject);
                    }
                }
                _ if writer.plan.is_none() => {
                    let text = format!("w{}", random.below(40));
                    let state = writer.registry.state();
                    let planner = Planner { state, library: &library, settings: &settings };
                    let planned = planner.register(subject, words(&text), Options::default()).unwrap();
                    if let Planned::Write(register) = planned {
                        writer.plan = Some((text, Command::Register(register)));
                    }
                }
                _ => {
                    let Some((text, command)) = writer.plan.take() else { continue };
                    match writer.place(&mut log, command.clone()) {
                        None => {
                            overtaken += 1;
                            writer.catch_up(&log, log.end);
                            writer.plan = Some((text, command));
                        }
                        Some(Ok(Done::Registered(version))) => {
                            let Command::Register(register) = &command else { panic!("another plan") };
                            let name = super::subject::context_of(&register.subject).to_owned();
                            let before = texts.insert((name, version.id), text.clone());
                            let same = before.as_ref().is_none_or(|before| *before == text);
                            assert!(same, "seed {seed} step {step}: {} was {before:?}", version.id);
                            live.insert((register.subject.to_string(), version.number), text);
                        }
                        Some(Ok(Done::Stale)) => overtaken += 1,
                        other => panic!("seed {seed} step {step}: {other:?}"),
                    }
                }
            }
        }
        assert!(overtaken > 0, "seed {seed}: nobody was overtaken");
        let whole = replayed(log.records.iter().map(|(offset, record)| (*offset, record)));
        for writer in &mut writers {
            writer.catch_up(&log, log.end);
            assert_eq!(writer.registry.snapshot(), whole.snapshot(), "seed {seed}: live is not the replay");
        }
        assert_eq!(
            Writer::new(&log).registry.snapshot(),
            whole.snapshot(),
            "seed {seed}: compaction lost something"
        );
        for ((subject, version), text) in &live {
            let kept = whole.state().version(subject, *version, Filter::Live);
            assert_eq!(
                kept.map(|kept| &*kept.content.text),
                Some(text.as_str()),
                "seed {seed}: {subject} {version}"
            );
        }
    }
}
