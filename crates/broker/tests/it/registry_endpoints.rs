//! Endpoints of the schema registry one by one: what each answers, with which parameters. A row is a request and what it comes to,
//! in the order of the table, on one registry.

use serde_json::{Value, json};

use crate::registry::{Client, record};

/// What a request comes to.
enum Comes {
    /// 200, with at least this.
    To(Value),
    /// A list of this length, whose elements have at least these.
    List(Vec<Value>),
    /// A refusal with this code, whose message holds these words.
    Refusal(u32, &'static str),
    /// This status, and nothing said.
    Nothing(u16),
}

use Comes::{List, Nothing, Refusal, To};

type Row = (&'static str, &'static str, Value, Comes);

async fn check(client: &Client, rows: Vec<Row>) {
    for (method, path, body, comes) in rows {
        match comes {
            To(expected) => client.check(method, path, body, 200, expected).await,
            Refusal(code, words) => client.refused(method, path, body, code, words).await,
            Nothing(status) => client.check(method, path, body, status, json!("")).await,
            List(expected) => client.check(method, path, body, 200, Value::Array(expected)).await,
        }
    }
}

fn get(path: &'static str, comes: Comes) -> Row {
    ("GET", path, Value::Null, comes)
}

/// A record that has metadata and a rule.
fn contract(fields: &[&str], owner: &str, rule: Option<&str>) -> Value {
    let mut body = record(fields);
    body["metadata"] = json!({"properties": {"owner": owner, "team": "t"}});
    if let Some(kind) = rule {
        let rule = json!({"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": kind, "expr": "true"});
        body["ruleSet"] = json!({"domainRules": [rule]});
    }
    body
}

#[tokio::test]
async fn all_schemas_are_listed_by_every_filter() {
    let (broker, client) = Client::start().await;
    let place = |subject: &str, version: i32| json!({"subject": subject, "version": version});
    check(
        &client,
        vec![
            get("/schemas", List(vec![])),
            ("POST", "/subjects/a/versions", record(&["x"]), To(json!({"id": 1}))),
            ("POST", "/subjects/a/versions", record(&["x", "y?"]), To(json!({"id": 2}))),
            ("POST", "/subjects/ab/versions", contract(&["x"], "me", Some("CEL")), To(json!({"id": 3}))),
            ("POST", "/subjects/:.c:a/versions", record(&["x"]), To(json!({"id": 1}))),
            ("PUT", "/config/other", json!({"alias": "a"}), To(json!({"alias": "a"}))),
            get("/schemas", List(vec![place("a", 1), place("a", 2), place("ab", 1)])),
            get("/schemas?subjectPrefix=ab", List(vec![place("ab", 1)])),
            get("/schemas?subjectPrefix=:.c:", List(vec![place(":.c:a", 1)])),
            get(
                "/schemas?subjectPrefix=:*:a&latestOnly=true",
                List(vec![place(":.c:a", 1), place("a", 2), place("ab", 1)]),
            ),
            get("/contexts/c/schemas", List(vec![place(":.c:a", 1)])),
            get("/contexts/./schemas?latestOnly=true", List(vec![place("a", 2), place("ab", 1)])),
            get("/schemas?latestOnly=true&offset=1&limit=1", List(vec![place("ab", 1)])),
            get("/schemas?limit=0", List(vec![place("a", 1), place("a", 2), place("ab", 1)])),
            get("/schemas?limit=x", Refusal(404, "Not Found")),
            get("/schemas?ruleType=CEL", List(vec![place("ab", 1)])),
            get("/schemas?ruleType=JSONATA", List(vec![])),
            get(
                "/schemas?subjectPrefix=oth&aliases=true&latestOnly=true",
                List(vec![json!({"subject": "a", "aliases": ["other"]})]),
            ),
            get(
                "/schemas?subjectPrefix=:*:&aliases=true&latestOnly=true",
                List(vec![
                    json!({"subject": ":.c:a"}),
                    json!({"subject": "a", "aliases": ["other"]}),
                    json!({"subject": "ab"}),
                ]),
            ),
            get("/schemas?resourceType=topic", List(vec![])),
            get("/schemas?lifecycle=NONE", List(vec![place("a", 1), place("a", 2), place("ab", 1)])),
            ("DELETE", "/subjects/a/versions/2", Value::Null, To(json!(2))),
            get("/schemas?subjectPrefix=a", List(vec![place("a", 1), place("ab", 1)])),
            get("/schemas?latestOnly=true&subjectPrefix=a", List(vec![place("a", 1), place("ab", 1)])),
            get(
                "/schemas?deleted=true&subjectPrefix=a",
                List(vec![place("a", 1), json!({"version": 2, "deleted": true}), place("ab", 1)]),
            ),
            get("/subjects?subjectPrefix=", To(json!(["a", "ab"]))),
            get("/contexts/:.:/subjects", To(json!(["a", "ab"]))),
            get("/subjects", To(json!([":.c:a", "a", "ab"]))),
            get("/subjects?subjectPrefix=:*:a&limit=1", To(json!([":.c:a"]))),
        ],
    )
    .await;
    broker.shutdown().await;
}

#[tokio::test]
async fn schemas_are_found_by_their_metadata_in_every_form_and_by_who_refers_to_them() {
    let (broker, client) = Client::start().await;
    let referring = json!({
        "schema": json!({"type": "record", "name": "S", "fields": [{"name": "r", "type": "R"}]}).to_string(),
        "references": [{"name": "R", "subject": "s", "version": 1}],
    });
    let inlined = "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}}]}";
    check(
        &client,
        vec![
            ("POST", "/subjects/s/versions", contract(&["x"], "ann", None), To(json!({"version": 1}))),
            ("POST", "/subjects/s/versions", contract(&["x"], "bob", None), To(json!({"version": 2}))),
            get("/subjects/s/metadata?key=owner&value=ann", To(json!({"version": 1}))),
            get("/subjects/s/metadata?key=team&value=t", To(json!({"version": 2}))),
            get("/subjects/s/metadata?key=owner&value=bob&key=team&value=t", To(json!({"version": 2}))),
            get("/subjects/s/metadata?key=owner&value=eve", Refusal(40403, "Schema not found")),
            get("/subjects/none/metadata?key=owner&value=ann", Refusal(40401, "Subject 'none' not found.")),
            ("POST", "/subjects/q/versions", referring.clone(), To(json!({"id": 3}))),
            get("/subjects/s/versions/1/referencedby", To(json!([3]))),
            get("/subjects/s/versions/2/referencedby", To(json!([]))),
            get("/subjects/s/versions/9/referencedby", Refusal(40402, "Version 9 not found.")),
            get("/subjects/none/versions/1/referencedby", Refusal(40401, "Subject 'none' not found.")),
            get("/subjects/s/versions/x/referencedby", Refusal(42202, "not a valid version")),
            get("/subjects/s/versions/2/schema", To(json!({"type": "record", "name": "R"}))),
            get("/subjects/s/versions/latest/schema", To(json!({"name": "R"}))),
            get("/subjects/s/versions/7/schema", Refusal(40402, "Version 7 not found.")),
            get("/subjects/q/versions/1/schema?format=resolved", To(serde_json::from_str(inlined).unwrap())),
            get("/subjects/q/versions/1?format=resolved", To(json!({"schema": inlined}))),
            get("/schemas/ids/3?format=resolved", To(json!({"schema": inlined}))),
            get("/schemas/ids/3/schema?format=resolved", To(serde_json::from_str(inlined).unwrap())),
            get("/schemas/ids/3?format=of-tomorrow", To(json!({"schema": "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"r\",\"type\":\"R\"}]}"}))),
            get("/schemas/ids/9/schema", Refusal(40403, "Schema 9 not found")),
            get("/schemas/ids/9/subjects", Refusal(40403, "Schema")),
            get("/schemas/ids/9/versions", Refusal(40403, "Schema")),
            get("/schemas/guids/00000000-0000-0000-0000-000000000000", Refusal(40403, "not found")),
            get("/schemas/guids/nonsense", Refusal(40403, "not found")),
            get("/schemas/guids/00000000-0000-0000-0000-000000000000/ids", To(json!([]))),
            ("DELETE", "/subjects/s/versions/1", Value::Null, Refusal(42206, "One or more references exist")),
            ("DELETE", "/subjects/q", Value::Null, To(json!([1]))),
            get("/subjects/s/versions/1/referencedby", To(json!([]))),
            get("/subjects/s/versions/1/referencedby?deleted=true", To(json!([3]))),
            ("DELETE", "/subjects/s/versions/1", Value::Null, To(json!(1))),
            (
                "DELETE",
                "/subjects/s/versions/1?permanent=true",
                Value::Null,
                Refusal(42206, "One or more references exist"),
            ),
            get("/subjects/s/versions/1/schema", Refusal(40402, "Version 1 not found.")),
            get("/subjects/s/versions/1/schema?deleted=true", To(json!({"name": "R"}))),
            get(
                "/v1/metadata/id",
                To(json!({"scope": {"clusters": {"schema-registry-cluster": "schema-registry"}}})),
            ),
            get("/v1/metadata/version", To(json!({"commitId": ""}))),
            get("/v1/metadata/deployment", To(json!({"attributes": []}))),
            get("/v1/metadata/other", Refusal(404, "Not Found")),
        ],
    )
    .await;
    broker.shutdown().await;
}

fn tags(path: &str, kind: &str, tags: &[&str]) -> Value {
    json!([{"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": tags}])
}

#[tokio::test]
async fn tags_are_written_into_schemas_and_found_there() {
    let (broker, client) = Client::start().await;
    let with = |key: &str, value: Value| {
        let mut body = record(&["x"]);
        body[key] = value;
        body
    };
    let json_schema = json!({"schemaType": "JSON", "schema": "{\"type\":\"object\",\"properties\":{\"card\":{\"type\":\"string\"}}}"});
    let tagged_json =
        "{\"type\":\"object\",\"properties\":{\"card\":{\"type\":\"string\",\"confluent:tags\":[\"PII\"]}}}";
    check(
        &client,
        vec![
            ("POST", "/subjects/s/versions", record(&["x"]), To(json!({"id": 1}))),
            (
                "POST",
                "/subjects/s/versions",
                with("schemaTagsToAdd", tags("R", "sr_record", &["A", "B"])),
                To(json!({
                    "id": 2,
                    "version": 2,
                    "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}],\"confluent:tags\":[\"A\",\"B\"]}",
                    "metadata": {"properties": {"confluent:version": "2"}},
                })),
            ),
            get("/subjects/s/versions/2?findTags=*", To(json!({"schemaTags": tags("R", "sr_record", &["A", "B"])}))),
            get("/schemas/ids/2?findTags=B", To(json!({"schemaTags": tags("R", "sr_record", &["A", "B"])}))),
            get("/schemas/ids/2?findTags=C", To(json!({"schemaTags": []}))),
            (
                "POST",
                "/subjects/s/versions/latest/tags",
                json!({"newVersion": 3, "tagsToAdd": tags("R.x", "sr_field", &["PII"]), "tagsToRemove": tags("R", "sr_record", &["A"])}),
                To(json!({"version": 3, "schema": "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]}],\"confluent:tags\":[\"B\"]}"})),
            ),
            (
                "POST",
                "/subjects/s/versions",
                {
                    let mut body = record(&["x", "y?"]);
                    body["propagateSchemaTags"] = json!(true);
                    body
                },
                To(json!({"version": 4})),
            ),
            get("/subjects/s/versions/4?findTags=PII", To(json!({"schemaTags": tags("R.x", "sr_field", &["PII"])}))),
            (
                "POST",
                "/subjects/s/versions",
                with("schemaTagsToAdd", tags("R.none", "sr_field", &["A"])),
                Refusal(42201, "No matching path 'R.none' found in the schema"),
            ),
            ("POST", "/subjects/s/versions/9/tags", json!({}), Refusal(40402, "Version 9 not found.")),
            ("POST", "/subjects/none/versions/1/tags", json!({}), Refusal(40401, "Subject 'none' not found.")),
            (
                "POST",
                "/subjects/s/versions/latest/tags",
                json!({"ruleSet": {}, "rulesToRemove": ["r"]}),
                Refusal(42210, "ruleSet should be omitted"),
            ),
            (
                "POST",
                "/subjects/s/versions/latest/tags",
                json!({"newVersion": 5, "rulesToMerge": {"domainRules": [{"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL"}]}}),
                To(json!({"version": 5, "ruleSet": {"domainRules": [{"name": "r"}]}})),
            ),
            ("POST", "/subjects/j/versions", json_schema, To(json!({"version": 1}))),
            (
                "POST",
                "/subjects/j/versions/1/tags",
                json!({"newVersion": 2, "tagsToAdd": tags("object.card", "sr_field", &["PII"])}),
                To(json!({"version": 2, "schema": tagged_json})),
            ),
            get("/subjects/j/versions/2?findTags=PII", To(json!({"schemaTags": tags("object.card", "sr_field", &["PII"])}))),
        ],
    )
    .await;
    broker.shutdown().await;
}

#[tokio::test]
async fn settings_of_everything_and_of_contexts_are_read_changed_and_forgotten() {
    let (broker, client) = Client::start().await;
    let level = |name: &str| json!({"compatibility": name});
    let found = |name: &str| json!({"compatibilityLevel": name});
    let reserved = |fields: &[&str], names: &str| {
        let mut body = record(fields);
        body["metadata"] = json!({"properties": {"confluent:reserved": names}});
        body
    };
    check(
        &client,
        vec![
            ("PUT", "/config", level("FULL"), To(level("FULL"))),
            ("PUT", "/contexts/c/config", level("NONE"), To(level("NONE"))),
            get("/config", To(found("FULL"))),
            get("/contexts/c/config", To(found("NONE"))),
            get("/config/:.c:", To(found("NONE"))),
            get("/config/:.c:s", Refusal(40408, "does not have subject-level compatibility")),
            get("/config/:.c:s?defaultToGlobal=true", To(found("NONE"))),
            get("/config/s?defaultToGlobal=true", To(found("FULL"))),
            ("DELETE", "/contexts/c/config", Value::Null, To(found("NONE"))),
            ("DELETE", "/contexts/c/config", Value::Null, Refusal(40401, "not found")),
            ("DELETE", "/config", Value::Null, To(found("FULL"))),
            get("/config", To(found("BACKWARD"))),
            (
                "PUT",
                "/config",
                json!({"compatibility": "FULL", "normalize": true}),
                To(json!({"normalize": true})),
            ),
            ("PUT", "/config", json!({"normalize": null}), To(level("FULL"))),
            ("PUT", "/config", Value::Null, Refusal(422, "may not be null")),
            ("DELETE", "/config", Value::Null, To(found("FULL"))),
            ("PUT", "/mode", json!({"mode": "READONLY"}), To(json!({"mode": "READONLY"}))),
            ("PUT", "/mode/:.c:", json!({"mode": "READWRITE"}), To(json!({"mode": "READWRITE"}))),
            get("/contexts/c/mode", To(json!({"mode": "READWRITE"}))),
            ("POST", "/subjects/s/versions", record(&["x"]), Refusal(42205, "is in read-only mode")),
            ("PUT", "/config", level("NONE"), Refusal(42205, "read-only")),
            ("DELETE", "/mode/:.c:", Value::Null, To(json!({"mode": "READWRITE"}))),
            ("DELETE", "/mode/:.c:", Value::Null, Refusal(40401, "not found")),
            ("DELETE", "/mode", Value::Null, To(json!({"mode": "READONLY"}))),
            get("/mode", To(json!({"mode": "READWRITE"}))),
            ("PUT", "/mode/a", json!({"mode": "IMPORT"}), To(json!({"mode": "IMPORT"}))),
            ("DELETE", "/mode?recursive=true", Value::Null, To(json!({"mode": "READWRITE"}))),
            get("/mode/a", Refusal(40409, "does not have subject-level mode")),
            ("PUT", "/mode/a", json!({"mode": "FORWARD"}), Refusal(42204, "only supported on global level")),
            ("PUT", "/config/v", json!({"validateFields": true}), To(json!({"validateFields": true}))),
            (
                "POST",
                "/subjects/v/versions",
                reserved(&["x", "y?"], "y"),
                Refusal(40901, "conflicts with the reserved field y"),
            ),
            ("POST", "/subjects/v/versions", reserved(&["x"], "y"), To(json!({"version": 1}))),
            (
                "POST",
                "/subjects/v/versions",
                reserved(&["x"], "z"),
                Refusal(40901, "reserved field y removed"),
            ),
        ],
    )
    .await;
    broker.shutdown().await;
}

fn association(kind: &str, rest: Value) -> Value {
    let mut association = json!({"associationType": kind});
    let members = association.as_object_mut().unwrap();
    members.extend(rest.as_object().unwrap().clone());
    json!({"resourceName": "orders", "resourceNamespace": "lkc", "resourceId": "t1", "associations": [association]})
}

#[tokio::test]
async fn subjects_are_associated_with_topics() {
    let (broker, client) = Client::start().await;
    let strong = || association("value", json!({"schema": record(&["x"])}));
    let weak = |subject: &str| association("value", json!({"subject": subject, "lifecycle": "WEAK"}));
    let named = |name: &str| {
        let mut body = weak("s");
        body["resourceName"] = json!(name);
        body
    };
    let own = ":.lkc:orders-value";
    check(
        &client,
        vec![
            (
                "POST",
                "/associations",
                strong(),
                To(json!({
                    "resourceName": "orders",
                    "associations": [{"subject": own, "associationType": "value", "lifecycle": "STRONG"}],
                })),
            ),
            ("POST", "/associations", strong(), To(json!({"resourceId": "t1"}))),
            get(
                "/associations/subjects/:.lkc:orders-value",
                List(vec![json!({"resourceId": "t1", "lifecycle": "STRONG"})]),
            ),
            get("/associations/resources/t1?associationType=key", List(vec![])),
            get("/associations/resources/-/-?lifecycle=strong", List(vec![json!({"subject": own})])),
            get(
                "/schemas?subjectPrefix=:*:&resourceType=topic",
                List(vec![json!({"subject": own, "associations": [{"resourceId": "t1"}]})]),
            ),
            get("/schemas?subjectPrefix=:*:&lifecycle=WEAK", List(vec![])),
            (
                "POST",
                "/associations",
                association("value", json!({"schema": record(&["y"])})),
                Refusal(40903, "already exists for resource 'orders'"),
            ),
            (
                "PUT",
                "/associations/resources/t1",
                association("value", json!({"lifecycle": "WEAK"})),
                Refusal(42212, "cannot use subject"),
            ),
            ("PUT", "/associations/resources/other", weak("s"), Refusal(42212, "does not match")),
            (
                "PUT",
                "/associations/resources/t1",
                association("key", json!({"schema": record(&["x"])})),
                Refusal(42212, "must be created with the topic"),
            ),
            (
                "PUT",
                "/associations/resources/t1",
                association("key", json!({"subject": "s"})),
                Refusal(42212, "must have the same lifecycle"),
            ),
            ("POST", "/associations", named("a b"), Refusal(42212, "illegal character ' '")),
            ("POST", "/associations", named(""), Refusal(42212, "cannot be null or empty")),
            (
                "POST",
                "/associations",
                association("both", json!({"subject": "s"})),
                Refusal(42212, "must be either 'key' or 'value'"),
            ),
            (
                "POST",
                "/associations",
                json!({"resourceName": "o", "resourceNamespace": "l"}),
                Refusal(42212, "resourceId"),
            ),
            (
                "DELETE",
                "/subjects/:.lkc:orders-value",
                Value::Null,
                Refusal(40904, "An association already exists for subject"),
            ),
            ("DELETE", "/associations/resources/t1", Value::Null, Refusal(40908, "is frozen")),
            (
                "DELETE",
                "/associations/resources/t1?cascadeLifecycle=true&dryRun=true",
                Value::Null,
                Nothing(204),
            ),
            ("DELETE", "/associations/resources/t1?cascadeLifecycle=true", Value::Null, Nothing(204)),
            (
                "DELETE",
                "/associations/resources/t1",
                Value::Null,
                Refusal(40410, "Association for 't1' not found."),
            ),
            get("/subjects?deleted=true", To(json!([]))),
            ("POST", "/associations", weak("s"), Refusal(40907, "No active")),
            ("POST", "/subjects/s/versions", record(&["x"]), To(json!({"version": 1}))),
            ("POST", "/associations?dryRun=true", weak("s"), To(json!({"resourceName": "orders"}))),
            get("/associations/subjects/s", List(vec![])),
            (
                "PUT",
                "/associations/resources/t1",
                weak("s"),
                To(json!({"associations": [{"subject": "s", "lifecycle": "WEAK"}]})),
            ),
            ("DELETE", "/subjects/s/versions/1", Value::Null, Refusal(40907, "No active")),
            get("/schemas?lifecycle=WEAK", List(vec![json!({"associations": [{"lifecycle": "WEAK"}]})])),
            ("DELETE", "/associations/resources/t1?associationType=value", Value::Null, Nothing(204)),
            ("POST", "/associations:batchMutate", json!({}), Refusal(42212, "requests")),
            ("POST", "/associations:batchGet", json!({"requests": []}), Refusal(42212, "requests")),
        ],
    )
    .await;
    let mut wanted = weak("s");
    wanted["associations"][0]["opType"] = json!("CREATE");
    let mut gone = association("value", json!({"opType": "DELETE"}));
    for (path, requests, expected) in [
        (
            "batchMutate",
            json!([wanted, named("a b")]),
            json!([{"result": {"associations": [{"subject": "s"}]}}, {"error": {"error_code": 42212}}]),
        ),
        (
            "batchGet?includeSchemas=true",
            json!([{"resourceId": "t1"}, {}]),
            json!([{"result": {"resourceName": "orders", "associations": [{"schema": {"subject": "s"}}]}}, {"error": {"error_code": 42212}}]),
        ),
        ("batchMutate", json!([gone.take()]), json!([{"result": {"resourceId": "t1"}}])),
        (
            "batchGet",
            json!([{"resourceName": "orders", "resourceNamespace": "lkc"}]),
            json!([{"result": {"resourceType": "topic"}}]),
        ),
    ] {
        let (status, answer) =
            client.ask("POST", &format!("/associations:{path}"), &json!({"requests": requests})).await;
        assert_eq!(status, 207, "{path}: {answer}");
        let expected = json!({ "results": expected });
        assert!(crate::registry::covers(&answer, &expected), "{path}: {answer} is not {expected}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn exporters_and_keys_are_none_and_are_not_made() {
    let (broker, client) = Client::start().await;
    check(
        &client,
        vec![
            get("/exporters", To(json!([]))),
            get("/exporters/e/status", Refusal(40450, "Exporter 'e' not found.")),
            ("PUT", "/exporters/e/pause", json!({}), Refusal(40450, "Exporter 'e' not found.")),
            ("POST", "/exporters", json!({"name": "e"}), Refusal(501, "not served")),
            get("/dek-registry/v1/keks", To(json!([]))),
            get("/dek-registry/v1/keks/k", Refusal(40470, "Key 'k' not found.")),
            get("/dek-registry/v1/keks/k/deks/s", Refusal(40470, "Key 'k' not found.")),
            ("POST", "/dek-registry/v1/keks", json!({"name": "k"}), Refusal(501, "not kept here")),
            get("/dek-registry/v2/keks", Refusal(404, "Not Found")),
        ],
    )
    .await;
    broker.shutdown().await;
}
