//! The command line against a broker in this process: what people and scripts see.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use vltava_broker::Broker;

/// What a command left behind.
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

/// A broker and the binary that talks to it.
struct Setting {
    address: String,
}

impl Setting {
    /// Runs `vltava` with these words, split at blanks, and this standard input.
    async fn run(&self, words: &str, input: &str) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vltava"));
        command.args(words.split_whitespace()).args(["-b", &self.address, "--timeout", "20"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let finished = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let written = child.stdin.take().unwrap().write_all(input.as_bytes());
            // A command that takes no input may be gone before it is written.
            assert!(written.is_ok() || input.is_empty());
            child.wait_with_output().unwrap()
        });
        let output = finished.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs a command that must succeed, and returns what it printed.
    async fn out(&self, words: &str, input: &str) -> String {
        let outcome = self.run(words, input).await;
        assert_eq!(outcome.code, 0, "vltava {words}: {}{}", outcome.out, outcome.err);
        outcome.out
    }

    /// Runs a command that must succeed with `--json`, and returns its document.
    async fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.out(&format!("{words} --json"), "").await).unwrap()
    }

    /// Runs a command that must fail with this code, saying this.
    async fn fails(&self, words: &str, code: i32, part: &str) {
        let outcome = self.run(words, "").await;
        assert_eq!(outcome.code, code, "vltava {words}: {}{}", outcome.out, outcome.err);
        assert!(outcome.err.contains(part), "vltava {words}: {} lacks {part}", outcome.err);
    }
}

async fn with_broker(test: impl AsyncFnOnce(&Setting)) {
    let broker = Broker::builder().set("num.partitions", "2").start().await.unwrap();
    test(&Setting { address: broker.address().to_string() }).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_described_altered_and_deleted() {
    with_broker(async |vltava| {
        let created = vltava.out("topic create orders --partitions 3 --config retention.ms=1000", "").await;
        assert_eq!(created, "orders: created with 3 partitions, 1 replicas\n");
        vltava.fails("topic create orders", 1, "TOPIC_ALREADY_EXISTS").await;
        vltava.out("topic create orders --if-not-exists", "").await;
        vltava.fails("topic create x --config retention.mss=1", 1, "did you mean retention.ms?").await;
        vltava.fails("topic create x --config segment.bytes=1", 1, "Value must be at least 1048576").await;
        vltava
            .out(
                "topic alter orders --partitions 4 --set retention.ms=2000 --append cleanup.policy=compact",
                "",
            )
            .await;
        vltava.fails("topic alter orders --partitions 2", 1, "INVALID_PARTITIONS").await;
        vltava.fails("topic alter orders", 2, "nothing to change").await;
        let described = vltava.json("topic describe orders").await;
        assert_eq!(described[0]["partitions"].as_array().map(Vec::len), Some(4));
        assert_eq!(described[0]["configs"]["cleanup.policy"], "delete,compact");
        assert_eq!(described[0]["configs"]["retention.ms"], "2000");
        let listed = vltava.out("topic list", "").await;
        assert_eq!(
            listed.lines().last().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["orders", "4", "1", "0", "0"]
        );
        vltava.out("topic delete orders", "").await;
        vltava.fails("topic delete orders", 1, "UNKNOWN_TOPIC_OR_PARTITION").await;
        vltava.out("topic delete orders --if-exists", "").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_back_with_every_codec() {
    with_broker(async |vltava| {
        let lines: String = (0..2000).map(|n| format!("key{}:value {n}\n", n % 17)).collect();
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            vltava
                .out(
                    &format!("produce {codec} --key-separator : --compression {codec} --batch-bytes 5000"),
                    &lines,
                )
                .await;
            let consumed =
                vltava.out(&format!("consume {codec} --from beginning --exit --format %k:%v\\n"), "").await;
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(sorted(&consumed), sorted(&lines), "{codec}");
        }
        let last = vltava.out("consume none --from -1 --exit --partition 0 --json", "").await;
        let last: Value = serde_json::from_str(last.trim()).unwrap();
        assert_eq!((&last["topic"], &last["partition"]), (&Value::from("none"), &Value::from(0)));
        vltava.fails("consume none --partition 7", 2, "has partitions 0 to 1").await;
        vltava.fails("consume nowhere", 1, "vltava topic list").await;
        vltava.fails("produce none --partition 7", 2, "has partitions 0 to 1").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_reads_on_where_it_left_off_and_is_moved() {
    with_broker(async |vltava| {
        let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
        vltava.out("produce jobs --partition 0", &lines).await;
        let first = vltava.out("consume jobs --group work --from beginning --max-messages 30", "").await;
        let rest = vltava.out("consume jobs --group work --exit", "").await;
        assert_eq!(format!("{first}{rest}"), lines);
        let lag = |described: &Value| -> i64 {
            described[0]["partitions"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|partition| partition["lag"].as_i64())
                .sum()
        };
        let described = vltava.json("group describe work").await;
        assert_eq!((&described[0]["state"], lag(&described)), (&Value::from("Empty"), 0));
        let listed = vltava.json("group list").await;
        assert_eq!(listed[0]["group"], "work");
        vltava.out("group reset-offsets work --topic jobs:0 --to -40", "").await;
        assert_eq!(lag(&vltava.json("group describe work").await), 0, "nothing moves without --execute");
        vltava.out("group reset-offsets work --topic jobs:0 --to -40 --execute", "").await;
        assert_eq!(lag(&vltava.json("group describe work").await), 40);
        vltava.out("group delete-offsets work --topic jobs", "").await;
        vltava.out("group delete work", "").await;
        vltava.fails("group describe work", 1, "work").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_the_consumer_protocol_reads_on_and_shows_its_epochs() {
    with_broker(async |vltava| {
        let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
        vltava.out("produce jobs --partition 0", &lines).await;
        let consume = "consume jobs --group work --group-protocol consumer";
        let first = vltava.out(&format!("{consume} --from beginning --max-messages 30"), "").await;
        let rest = vltava.out(&format!("{consume} --exit"), "").await;
        assert_eq!(format!("{first}{rest}"), lines);
        let described = &vltava.json("group describe work").await[0];
        assert_eq!(
            (&described["type"], &described["state"]),
            (&Value::from("consumer"), &Value::from("Empty"))
        );
        let number = |field: &str| described[field].as_i64().unwrap();
        let (epoch, target) = (number("epoch"), number("target_epoch"));
        assert!(epoch >= 4 && target <= epoch, "two members have come and gone: {described}");
        let text = vltava.out("group describe work", "").await;
        assert!(text.contains(&format!("epoch {epoch}  target epoch {target}")), "{text}");
        vltava.fails("consume jobs --group-protocol consumer", 2, "--group").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_shown_with_where_they_come_from() {
    with_broker(async |vltava| {
        vltava.out("topic create orders", "").await;
        vltava.out("config alter topic orders --set retention.ms=7", "").await;
        let table = vltava.out("config describe topic orders --synonyms", "").await;
        assert!(table.contains("retention.ms=7 (topic)"), "{table}");
        vltava.out("config alter broker --set log.retention.ms=9", "").await;
        let all = vltava.json("config describe topic orders --all").await;
        let retention =
            all.as_array().unwrap().iter().find(|config| config["name"] == "retention.ms").unwrap();
        assert_eq!(
            retention["synonyms"][1],
            serde_json::json!({ "name": "log.retention.ms", "value": "9", "source": "all brokers" })
        );
        vltava.out("config alter topic orders --delete retention.ms", "").await;
        let own = vltava.json("config describe topic orders").await;
        let retention =
            own.as_array().unwrap().iter().find(|config| config["name"] == "retention.ms").unwrap();
        assert_eq!(
            (&retention["value"], &retention["source"]),
            (&Value::from("9"), &Value::from("all brokers"))
        );
        vltava
            .fails(
                "config alter broker 1 --set num.partitions=3",
                1,
                "Cannot update these configs dynamically",
            )
            .await;
        vltava.fails("config describe broker one", 2, "give its id as a number").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_dumped_while_and_after_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
    let vltava = Setting { address: broker.address().to_string() };
    vltava.out("produce orders --header source=shop", "one\ntwo\n").await;
    broker.shutdown().await;
    let dump = |words: &str, name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vltava"));
        command.args(["log", "dump"]).args(words.split_whitespace()).arg(folder.path().join(name));
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, err) = dump("--deep", "orders-0");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("value \"two\"") && out.contains("source=\"shop\"") && out.contains("producer"),
        "{out}"
    );
    let (_, out, _) = dump("--deep", "__cluster_metadata-0");
    assert!(out.contains("Topic { name: \"orders\""), "{out}");
    let (_, out, _) = dump("--json --deep", "orders-0/00000000000000000000.log");
    let records = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line.get("record").is_some());
    assert_eq!(records.count(), 2);
    let segment = folder.path().join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (code, _, err) = dump("", "orders-0/00000000000000000000.log");
    assert!(code == Some(1) && err.contains("wrong checksum"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_is_an_error_that_says_what_to_do() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vltava"));
    command.args(["topic", "list", "--timeout", "0.3", "-b", &nobody.to_string()]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("Is the cluster running?") && err.contains("--bootstrap-server"), "{err}");
}
