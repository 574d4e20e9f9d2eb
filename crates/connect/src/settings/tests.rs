use super::*;

fn declared() -> Settings {
    Settings::from([
        Setting::required("file", Kind::String, "The file.").not_empty(),
        Setting::new("batch", Kind::Int, "10", "How many.").between(1, 100),
        Setting::new("on", Kind::Boolean, "true", "Whether."),
        Setting::new("mode", Kind::String, "a", "How.").one_of(["a", "b"]),
        Setting::optional("names", Kind::List, "Which."),
        Setting::optional("secret", Kind::Password, "Hidden."),
    ])
}

fn config(pairs: &[(&str, &str)]) -> Config {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_error_is_told_by_field_and_in_known_words() {
    let given = config(&[("batch", "x"), ("on", "maybe"), ("mode", "c"), ("secret", "s")]);
    let errors = declared().parse(&given).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Missing required configuration \"file\" which has no default value.",
            "Invalid value x for configuration batch: Not a number of type INT",
            "Invalid value maybe for configuration on: Expected value to be either true or false",
            "Invalid value c for configuration mode: String must be one of: a, b",
        ]
    );
    let given = config(&[("file", ""), ("batch", "101")]);
    let errors = declared().parse(&given).unwrap_err();
    assert_eq!(errors[0].message, "Invalid value  for configuration file: String must be non-empty");
    assert_eq!(
        errors[1].message,
        "Invalid value 101 for configuration batch: Value must be no more than 100"
    );
}

#[test]
fn values_have_their_types_and_defaults() {
    let values =
        declared().values(&config(&[("file", " f "), ("names", "a, b ,c"), ("other", "x")])).unwrap();
    assert_eq!(values.string("file").unwrap(), "f");
    assert_eq!(values.number("batch").unwrap(), 10);
    assert!(values.boolean("on").unwrap());
    assert_eq!(values.list("names").unwrap(), ["a", "b", "c"]);
    assert_eq!(values.optional_string("secret").unwrap(), None);
    assert_eq!(values.raw()["other"], "x");
    assert!(values.string("other").is_err() && values.boolean("file").is_err());
}

#[test]
fn passwords_are_not_shown() {
    let views = declared().validate(&config(&[("secret", "s3")]));
    let view = serde_json::to_string(&views).unwrap();
    assert!(!view.contains("s3") && view.contains("[hidden]"));
}

#[test]
fn prefixed_settings_keep_all_but_their_names() {
    let prefixed = declared().prefixed("transforms.x.", "Transforms: x");
    let batch = prefixed.get("transforms.x.batch").unwrap();
    assert_eq!((batch.kind, batch.group.as_deref()), (Kind::Int, Some("Transforms: x")));
}

#[test]
fn what_is_not_of_the_type_is_shown_as_no_value() {
    let views = declared().validate(&config(&[("file", "f"), ("batch", "x"), ("on", "maybe")]));
    let shown = |name: &str| {
        let view = views.iter().find(|view| view.definition.name == name).unwrap();
        (view.value.value.as_deref(), view.value.errors.len())
    };
    assert_eq!((shown("file"), shown("batch"), shown("on")), ((Some("f"), 0), (None, 2), (None, 1)));
}
