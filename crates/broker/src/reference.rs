//! Reference pages in Markdown, written from the declarations that the broker runs by.

use std::fmt::Write as _;

use vltava_connect::connectors::{self, Allowed};
use vltava_connect::converters::registries;
use vltava_connect::plugins::Plugin;
use vltava_connect::settings::{DefinitionView, Settings};
use vltava_connect::worker;
use vltava_protocol::api::ListenerKind;

use crate::api::TABLE;
use crate::builtins;
use crate::connect::DEFAULTS;
use crate::metrics::connect::shown;
use crate::metrics::families::{FAMILIES, Kind};

/// The page of APIs: which are served, in which versions, on which listeners.
#[must_use]
pub fn apis() -> String {
    let mut page = String::from(
        "# APIs\n\n\
         The requests of Kafka's protocol that this release serves, each in every version that it names. An API that is not\n\
         here is not advertised; a request for it closes the connection, as Kafka does.\n\n\
         | key | API | versions | since flexible | listeners |\n| ---: | --- | --- | --- | --- |\n",
    );
    for row in TABLE {
        let api = row.key.api();
        let versions = row.versions();
        let kinds: Vec<&str> = api.listeners.iter().map(|kind| listener(*kind)).collect();
        let flexible = api.flexible_since.map_or_else(|| "–".to_owned(), |version| version.to_string());
        let _ = writeln!(
            page,
            "| {} | {} | {}–{} | {flexible} | {} |",
            api.key.code(),
            api.name,
            versions.start(),
            versions.end(),
            kinds.join(", ")
        );
    }
    page
}

fn listener(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Broker => "broker",
        ListenerKind::Controller => "controller",
    }
}

/// The page of metrics: every family of `/metrics`.
#[must_use]
pub fn metrics() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` on `vltava.http.listeners` (by default `http://127.0.0.1:8080`) answers in Prometheus' text format.\n\
         The names are those that the usual rules of the JMX exporter give to Kafka's beans; what Kafka has no name for starts\n\
         with `vltava_` or `process_`. A series without the labels at the end is the sum over them. Quantiles are of the last\n\
         five to ten minutes, counts are since the start. `GET /metrics?partitions=false` leaves out the series of partitions.\n\n\
         | name | type | labels | what it tells |\n| --- | --- | --- | --- |\n",
    );
    for family in FAMILIES {
        row(&mut page, family.name, family.kind, family.labels, family.help);
    }
    page.push_str(
        "\n## Of connectors\n\n\
         A task may have figures of its own, through its context: `kafka_connect_plugins_` stands before their names, and they\n\
         have the labels `connector` and `task` and those that the connector gives them. Those of mirrors have the names and\n\
         labels of MirrorMaker's. They are gone when the task has ended.\n\n\
         | name | type | labels | what it tells |\n| --- | --- | --- | --- |\n",
    );
    for figure in connectors::figures() {
        let name = format!("{}{}", figure.prefix, figure.name);
        row(&mut page, &name, shown(figure.kind), figure.labels, figure.help);
    }
    page
}

fn row(page: &mut String, name: &str, kind: Kind, labels: &[&str], help: &str) {
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", "));
}

/// The page of Connect: the settings of workers and of all plugins of this build.
#[must_use]
pub fn connect() -> String {
    let plugins = builtins::plugins(Allowed::everything(), &registries(|| None));
    let of =
        |kind: &str| plugins.iter().filter(|plugin| plugin.implementation.kind() == kind).collect::<Vec<_>>();
    let mut page = String::from(
        "# Connect\n\n\
         What workers, connectors, converters, transforms and predicates are told. A worker in the broker takes its settings\n\
         with the prefix `vltava.connect.`, `vltava connect` takes them from its file. Settings of the worker's clients stand\n\
         beside them, with `producer.`, `consumer.` or `admin.` before those that are only for one of them.\n\n\
         Plugins are those of the default build; `GET /connector-plugins/{name}/config` tells the same of any worker. They are\n\
         named by their class, its last part, or that without the word for its kind (`FileStreamSource`).\n\n\
         ## Workers\n",
    );
    table(&mut page, &worker::declared());
    page.push_str("\nThe broker and `vltava connect` take these values where nothing is said:\n\n");
    for (name, value) in DEFAULTS {
        let _ = writeln!(page, "- `{name}={value}`");
    }
    page.push_str(
        "\n`listeners`, `rest.advertised.host.name` and `rest.advertised.port` say where the API is and how other workers reach it.\n\
         Connectors may touch what `allowed.folders` and `allowed.urls` list; `*` is everything. Without them that is nothing\n\
         in the broker, and everything with `vltava connect`. Certificates and keys that they name (`ssl.*`) are such files, and\n\
         registries of the converters that they choose are such addresses.\n\n\
         Connectors of HTTP servers and of object stores, and converters with a registry, trust over https the authorities of\n\
         `ssl.truststore.location` (or `ssl.truststore.certificates`, the text itself), or else the public ones. They show the\n\
         certificate of `ssl.keystore.location`, a file that has the key as well (or of `ssl.keystore.certificate.chain` and\n\
         `ssl.keystore.key`). All are PEM.\n",
    );
    for (title, kind) in [("Source connectors", "source"), ("Sink connectors", "sink")] {
        let _ = write!(page, "\n## {title}\n");
        let rows = of(kind);
        if let Some(any) = rows.first() {
            page.push_str("\nEvery one of them has these:\n");
            table(&mut page, &worker::common::settings(any));
        }
        sections(&mut page, &rows);
    }
    for (title, kind) in [
        ("Converters", "converter"),
        ("Converters of headers", "header_converter"),
        ("Transforms", "transformation"),
        ("Predicates", "predicate"),
    ] {
        let _ = write!(page, "\n## {title}\n");
        sections(&mut page, &of(kind));
    }
    page
}

/// A section for each plugin; neighbours with the same settings, such as a transform of keys and that of values, share one.
fn sections(page: &mut String, plugins: &[&Plugin]) {
    let settings = |plugin: &Plugin| plugin.implementation.settings();
    for alike in plugins.chunk_by(|one, other| settings(one).definitions() == settings(other).definitions()) {
        let classes: Vec<String> = alike.iter().map(|plugin| format!("`{}`", plugin.class)).collect();
        let _ = write!(page, "\n### {}\n", classes.join(", "));
        table(page, &settings(alike[0]));
    }
}

fn table(page: &mut String, settings: &Settings) {
    let settings = settings.definitions();
    if settings.is_empty() {
        page.push_str("\nNo settings of its own.\n");
        return;
    }
    page.push_str("\n| key | type | default | importance | meaning |\n| --- | --- | --- | --- | --- |\n");
    for DefinitionView { name, kind, required, default_value, importance, documentation, .. } in settings {
        let default = match default_value {
            _ if required => "*required*".to_owned(),
            None => "*null*".to_owned(),
            Some(text) if text.is_empty() => "*empty*".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let (kind, importance) = (kind.to_lowercase(), importance.to_lowercase());
        let text = documentation.replace('|', "\\|");
        let _ = writeln!(page, "| `{name}` | {kind} | {default} | {importance} | {text} |");
    }
}
