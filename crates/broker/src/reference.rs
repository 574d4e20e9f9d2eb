//! Reference pages in Markdown, written from the declarations that the broker runs by.

use std::fmt::Write as _;

use vltava_protocol::api::ListenerKind;

use crate::api::TABLE;
use crate::metrics::families::FAMILIES;

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
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.word(),
            labels.join(", "),
            family.help
        );
    }
    page
}
