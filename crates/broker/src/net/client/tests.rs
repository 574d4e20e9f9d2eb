use super::*;

#[test]
fn addresses_are_read_and_shown() {
    for (text, expected) in [
        ("localhost:9092", Some(("localhost", 9092, "localhost:9092"))),
        ("localhost", Some(("localhost", 9092, "localhost:9092"))),
        ("PLAINTEXT://a.b:1", Some(("a.b", 1, "a.b:1"))),
        (" [::1]:9093 ", Some(("::1", 9093, "[::1]:9093"))),
        ("[::1]", Some(("::1", 9092, "[::1]:9092"))),
        ("::1", None),
        ("", None),
        (":9092", None),
        ("a:b", None),
        ("a:99999", None),
        ("[::1", None),
    ] {
        let parsed = text.parse::<Address>().ok();
        let shown = parsed.as_ref().map(ToString::to_string);
        let found = parsed
            .as_ref()
            .zip(shown.as_deref())
            .map(|(address, shown)| (address.host.as_str(), address.port, shown));
        assert_eq!(found, expected, "{text:?}");
    }
}
