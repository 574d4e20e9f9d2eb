//! Tests of the format as a whole.

mod table;

use super::*;

fn parse_with(text: &str, references: &[(&str, &str)]) -> Result<Arc<dyn Schema>, ParseError> {
    let references: Vec<Referenced> = references
        .iter()
        .map(|(name, text)| Referenced { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    JsonFormat.parse(SchemaText { text, references: &references, validation: Validation::New })
}

fn parse(text: &str) -> Arc<dyn Schema> {
    parse_with(text, &[]).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refusal(text: &str) -> String {
    match parse_with(text, &[]) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_line_and_column() {
    for (text, expected) in [
        ("", "line 1, column 1: the text ends where a value of JSON should be"),
        ("{\n  \"type\": string\n}", "line 2, column 11: found 's' where a value of JSON should be"),
        ("{\"a\": 1,}", "line 1, column 9: found '}' where a key in quotes should be"),
        ("{} {}", "line 1, column 4: found '{' where the end of the text should be"),
        (
            "{\"a\": \"\u{e9}\u{e9}\\q\"}",
            "line 1, column 11: found 'q' where one of \"\\/bfnrtu after a backslash should be",
        ),
        ("{\"a\": \"\\ud800\"}", "line 1, column 10: half of a surrogate pair is no character"),
        ("{\"maximum\": 1e99999}", "line 1, column 13: the number 1e99999 is out of range"),
        ("[]", "line 1, column 1: a schema must be an object or a boolean"),
        ("{\n \"properties\": {\n  \"a\": 5}}", "line 3, column 8: a schema must be an object or a boolean"),
        ("{\n \"type\": \"strin\"}", "line 1, column 1: \"strin\" is no type of JSON"),
        (
            "{\n \"minLength\": \"3\"}",
            "line 2, column 15: '#/minLength' is not valid: the value is not of type \"integer\"",
        ),
        (
            "{\"$ref\": \"other.json\"}",
            "line 1, column 10: $ref leads to \"other.json\", which is neither in the text nor among the references; nothing \
             is fetched: register it and name it in the references",
        ),
        (
            "{\"allOf\": [{\"$ref\": \"#\"}]}",
            "line 1, column 12: the schema refers to itself without going into the data; put the reference under \
             properties or items",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn the_canonical_text_has_no_layout_and_the_normalized_one_no_meaningless_difference() {
    for (text, canonical, normalized) in [
        ("true", "true", "true"),
        (
            " { \"type\" : \"object\" ,\n\"maxProperties\":1.0}",
            "{\"type\":\"object\",\"maxProperties\":1.0}",
            "{\"maxProperties\":1,\"type\":\"object\"}",
        ),
        ("{\"enum\":[1e2,0.10,-0]}", "{\"enum\":[1e2,0.10,-0]}", "{\"enum\":[100,0.1,0]}"),
        ("{\"title\":\"\\u00e9\\/\\n\"}", "{\"title\":\"\u{e9}/\\n\"}", "{\"title\":\"\u{e9}/\\n\"}"),
        (
            "{\"title\":\"a\",\"type\":\"null\",\"title\":\"b\"}",
            "{\"title\":\"b\",\"type\":\"null\"}",
            "{\"title\":\"b\",\"type\":\"null\"}",
        ),
    ] {
        let schema = parse(text);
        assert_eq!(schema.canonical(), canonical, "{text}");
        assert_eq!(schema.normalized(), normalized, "{text}");
        assert_eq!(parse(canonical).canonical(), canonical, "{text}");
        assert_eq!(parse(normalized).normalized(), normalized, "{text}");
    }
}

#[test]
fn the_title_is_the_name() {
    assert_eq!(parse(r#"{"title":"Order"}"#).record_name(), Some("Order"));
    assert_eq!(parse("{}").record_name(), None);
}

fn model(text: &str) -> Model {
    let item = Item::parse(text).expect("JSON");
    let documents = Documents::new(&item, &[]);
    Loader::load(&documents, &[text]).expect("a schema").0
}
