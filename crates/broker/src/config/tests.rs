use super::*;
use vltava_core::config::BrokerConfig;

/// The distribution's file for one combined node, shortened by its comments.
const STOCK: &str = "\
# The role of this server. Setting this puts us in KRaft mode
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

fn file(name: &str, text: &str) -> ConfigFile {
    ConfigFile { path: name.into(), text: text.to_owned() }
}

fn with(name: &str, text: &str, flags: &[&str]) -> Result<LoadedConfig, LoadError> {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    load(Some(&file(name, text)), &flags)
}

#[test]
fn kafkas_own_file_loads_and_says_what_changes_nothing() {
    let loaded = with("server.properties", STOCK, &[]).unwrap();
    assert_eq!(loaded.config.listeners.bound.len(), 2);
    assert_eq!(loaded.config.logs.dirs, ["/tmp/kraft-combined-logs"]);
    let warned: Vec<_> =
        loaded.warnings.iter().map(|warning| warning.split(" changes").next().unwrap_or("")).collect();
    assert_eq!(warned, ["server.properties:10: num.network.threads", "server.properties:11: num.io.threads"]);
}

#[test]
fn a_node_without_a_file_is_alone_on_loopback() {
    let check = |flags: &[&str], expected: &dyn Fn(&BrokerConfig) -> bool| {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let loaded = load(None, &flags).unwrap();
        assert!(expected(&loaded.config), "{flags:?}");
        assert!(loaded.warnings.is_empty());
    };
    check(&[], &|config| config.listeners.bound[0].to_string() == "PLAINTEXT://127.0.0.1:9092");
    check(&[], &|config| config.logs.dirs == ["./data"] && config.groups.offsets_replication_factor == 1);
    check(&[], &|config| {
        config.transactions.replication_factor == 1 && config.transactions.insync_replicas_min == 1
    });
    check(&["listeners=PLAINTEXT://127.0.0.1:0"], &|config| config.listeners.bound[0].port == 0);
    check(&["listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"], &|config| {
        config.listeners.bound.len() == 2
    });
    check(&["num.partitions=3", "num.partitions=4"], &|config| config.topics.partitions == 4);
    check(&["node.id=7"], &|config| config.identity.node.0 == 7);
    check(&["vltava.http.listeners="], &|config| config.http.node.is_empty());
}

#[test]
fn flags_win_over_the_file() {
    let loaded = with("server.properties", STOCK, &["num.partitions=9"]).unwrap();
    assert_eq!(loaded.config.topics.partitions, 9);
}

#[test]
fn toml_is_one_flat_table() {
    let text = "\"process.roles\" = [\"broker\", \"controller\"]\n\"node.id\" = 3\n\"controller.listener.names\" = \"CONTROLLER\"\n\
        \"listeners\" = [\"PLAINTEXT://127.0.0.1:9092\"]\n\"num.partitions\" = 2\n";
    let loaded = with("node.toml", text, &[]).unwrap();
    assert_eq!((loaded.config.identity.node.0, loaded.config.topics.partitions), (3, 2));
    assert_eq!(loaded.config.groups.offsets_replication_factor, 3);
}

#[test]
fn unknown_keys_in_properties_are_warnings_with_the_nearest_name() {
    let text = format!(
        "{STOCK}num.partitons=2\nzookeeper.connect=x\nmy.plugin.key=1\nsuper.users=User:a\nlistener.name.plaintext.max.connections=1\nlistener.name.plaintext.num.network.threads=1\n"
    );
    let warnings = with("server.properties", &text, &[]).unwrap().warnings;
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    assert!(
        warnings[5]
            .contains("listener.name.plaintext.num.network.threads changes nothing: connections share")
    );
    assert!(warnings[2].contains(
        "server.properties:26: Unknown broker config name: num.partitons (did you mean num.partitions?)"
    ));
    assert!(warnings[3].contains("there is no ZooKeeper"));
    assert!(warnings[4].contains("Unknown broker config name: my.plugin.key;"));
}

#[test]
fn mistakes_name_file_line_and_key_and_what_to_do() {
    let stock = |more: &str| format!("{STOCK}{more}");
    for (name, text, flags, message) in [
        (
            "p.properties",
            stock("num.partitions=x"),
            &[][..],
            "p.properties:26: Invalid value x for configuration num.partitions: Not a number of type INT",
        ),
        (
            "p.properties",
            stock("num.partitions=0"),
            &["num.partitions=-1"],
            "--set: Invalid value -1 for configuration num.partitions: Value must be at least 1",
        ),
        ("p.properties", stock("a=\\u1"), &[], "p.properties:26: \\u1 is no escape"),
        (
            "p.properties",
            stock(""),
            &["num.partitons=1"],
            "--set: Unknown broker config name: num.partitons (did you mean num.partitions?)",
        ),
        ("p.properties", stock(""), &["nothing"], "--set nothing: write --set key=value"),
        (
            "p.properties",
            "node.id=1\n".to_owned(),
            &[],
            "Missing required configuration \"controller.listener.names\" which has no default value. Add controller.listener.names=CONTROLLER",
        ),
        (
            "p.properties",
            "zookeeper.connect=a\nbroker.id=0\ncontroller.listener.names=C".to_owned(),
            &[],
            "Add process.roles=broker,controller",
        ),
        (
            "p.toml",
            "\"num.partitons\" = 1".to_owned(),
            &[],
            "p.toml:1: Unknown broker config name: num.partitons (did you mean num.partitions?)",
        ),
        ("p.toml", "num.partitions = 1".to_owned(), &[], "p.toml:1: quote the whole key: \"num.partitions\""),
    ] {
        let error = with(name, &text, flags).expect_err(message).to_string();
        assert!(error.contains(message), "{error}\nlacks\n{message}");
    }
    let error = ConfigFile::read(std::path::Path::new("/nonexistent/x.properties")).unwrap_err().to_string();
    assert!(error.contains("cannot read /nonexistent/x.properties"), "{error}");
}
