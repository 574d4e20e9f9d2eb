use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::{FileSink, FileSource};
use crate::connector::testing::{SinkHarness, SourceHarness, StoredOffsets, sink_suite, source_suite};
use crate::connector::{Connector, SinkConnector, Source, SourceConnector};
use crate::connectors::Allowed;
use crate::record::{Origin, Record, SourceMap};
use crate::settings::Config;
use crate::value::Value;

fn allowed() -> Arc<Allowed> {
    Arc::new(Allowed::everything())
}

fn config(entries: &[(&str, &str)]) -> Config {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

struct Lines {
    folder: tempfile::TempDir,
    next: usize,
}

impl Lines {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), next: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lines.txt")
    }

    fn append(&self, text: &str) {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path()).expect("a file");
        file.write_all(text.as_bytes()).expect("a line");
    }
}

#[async_trait]
impl SourceHarness for Lines {
    fn connector(&self) -> Arc<dyn SourceConnector> {
        Arc::new(FileSource::new(allowed()))
    }

    fn config(&self) -> Config {
        let path = self.path();
        config(&[("file", &path.display().to_string()), ("topic", "t"), ("batch.size", "7")])
    }

    async fn feed(&mut self, records: usize) {
        for _ in 0..records {
            self.append(&format!("line {}\n", self.next));
            self.next += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_source_keeps_the_rules() {
    source_suite(Lines::new()).await;
}

fn task(lines: &Lines) -> Box<dyn Source> {
    let connector = lines.connector();
    let values = connector.settings().parse(&lines.config()).expect("settings");
    connector.task(&values, Arc::new(StoredOffsets::default()).context()).expect("a task")
}

fn shown(records: &[Record]) -> Vec<(String, u64)> {
    let one = |record: &Record| {
        let Value::String(text) = &record.value.value else { panic!("a line is text") };
        let Origin::Source(position) = &record.origin else { panic!("a line has a position") };
        assert!(position.partition.contains_key("filename"));
        (
            text.to_string(),
            position.offset.to_map().get("position").and_then(serde_json::Value::as_u64).expect("a position"),
        )
    };
    records.iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn lines_end_in_several_ways_and_files_are_replaced() {
    let lines = Lines::new();
    lines.append("one\ntwo\r\nthree\rfour\n\nun");
    let mut task = task(&lines);
    task.start().await.expect("a start");
    let found = shown(&task.poll().await.expect("lines"));
    let expected = [("one", 4), ("two", 9), ("three", 15), ("four", 20), ("", 21)];
    assert_eq!(found, expected.map(|(text, at)| (text.to_owned(), at)));
    lines.append("finished\r");
    lines.append("x\n");
    let found = shown(&task.poll().await.expect("lines"));
    assert_eq!(found, [("unfinished".to_owned(), 32), ("x".to_owned(), 34)]);
    // Rotated: the rest of the old file comes first.
    std::fs::rename(lines.path(), lines.folder.path().join("old.txt")).expect("a rename");
    let mut old =
        std::fs::OpenOptions::new().append(true).open(lines.folder.path().join("old.txt")).expect("a file");
    old.write_all(b"late\n").expect("a line");
    lines.append("new\n");
    assert_eq!(shown(&task.poll().await.expect("lines")), [("late".to_owned(), 39)]);
    assert_eq!(shown(&task.poll().await.expect("lines")), [("new".to_owned(), 4)]);
    // Made shorter: from the beginning.
    std::fs::write(lines.path(), "a\n").expect("a file");
    assert_eq!(shown(&task.poll().await.expect("lines")), [("a".to_owned(), 2)]);
    task.close().await;
}

#[tokio::test]
async fn offsets_are_checked() {
    let map = |value: serde_json::Value| -> SourceMap { value.as_object().cloned().expect("an object") };
    let file = map(json!({"filename": "f"}));
    let cases = [
        (file.clone(), Some(json!({"position": 5})), ""),
        (file.clone(), None, ""),
        (
            file.clone(),
            Some(json!({"place": 5})),
            "Offset objects should either be null or contain the key 'position'",
        ),
        (
            file.clone(),
            Some(json!({"position": "5"})),
            "The value for the 'position' key in the offset is expected to be a Long value",
        ),
        (
            file,
            Some(json!({"position": -5})),
            "The value for the 'position' key in the offset should be a non-negative value",
        ),
        (map(json!({})), Some(json!({"position": 5})), "Partition objects should contain the key 'filename'"),
    ];
    let lines = Lines::new();
    let connector = FileSource::new(allowed());
    let values = connector.settings().parse(&lines.config()).expect("settings");
    for (partition, offset, expected) in cases {
        let outcome = connector.alter_offsets(&values, &[(partition, offset.map(map))]).await;
        assert_eq!(outcome.err().map(|error| error.message).unwrap_or_default(), expected);
    }
}

struct Written {
    folder: tempfile::TempDir,
    delivery: &'static str,
}

#[async_trait]
impl SinkHarness for Written {
    fn connector(&self) -> Arc<dyn SinkConnector> {
        Arc::new(FileSink::new(allowed()))
    }

    fn config(&self) -> Config {
        let folder = self.folder.path();
        let file = if self.is_exactly_once() { folder.to_owned() } else { folder.join("lines.txt") };
        config(&[("file", &file.display().to_string()), ("delivery", self.delivery)])
    }

    async fn written(&mut self) -> Vec<String> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "txt"));
        paths.sort();
        let text = |path: &PathBuf| std::fs::read_to_string(path).expect("text");
        paths.iter().flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn is_exactly_once(&self) -> bool {
        self.delivery == "exactly-once"
    }
}

#[tokio::test]
async fn the_sink_keeps_the_rules() {
    for delivery in ["at-least-once", "exactly-once"] {
        sink_suite(Written { folder: tempfile::tempdir().expect("a folder"), delivery }).await;
    }
}

#[tokio::test]
async fn a_file_must_be_named_and_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let allowed = Arc::new(Allowed::folders([folder.path().to_owned()]));
    let inside = folder.path().join("f").display().to_string();
    let cases =
        [(Some(inside.as_str()), true), (Some("/etc/passwd"), false), (Some(""), false), (None, false)];
    let (source, sink) = (FileSource::new(Arc::clone(&allowed)), FileSink::new(allowed));
    for (file, expected) in cases {
        let mut given = config(&[("topic", "t")]);
        given.extend(file.map(|file| ("file".to_owned(), file.to_owned())));
        let values = source.settings().parse(&given).expect("settings");
        assert_eq!(source.validate(&values).await.is_empty(), expected, "{file:?}");
        let values = sink.settings().parse(&given).expect("settings");
        assert_eq!(sink.validate(&values).await.is_empty(), expected, "{file:?}");
    }
}
