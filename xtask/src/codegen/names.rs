//! How the names of the tables become Rust's.

/// `TopicData`, `topicData` → `topic_data`.
pub fn snake_case(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let letters: Vec<char> = name.chars().collect();
    let mut result = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let after_lowercase = index > 0 && letters.get(index - 1).is_some_and(|c| !c.is_uppercase());
        let before_lowercase = index > 0 && letters.get(index + 1).is_some_and(|c| c.is_lowercase());
        if letter.is_uppercase() && (after_lowercase || before_lowercase) {
            result.push('_');
        }
        result.extend(letter.to_lowercase());
    }
    result
}

/// The same, as a field that Rust accepts.
pub fn field(name: &str) -> String {
    match snake_case(name).as_str() {
        keyword @ ("type" | "match" | "final" | "ref" | "use" | "where" | "loop" | "move") => {
            format!("r#{keyword}")
        }
        plain => plain.to_owned(),
    }
}

/// `topicName` → `topic name`.
pub fn words(name: &str) -> String {
    snake_case(name).replace('_', " ")
}

/// Whether `word` stands in `code` as an identifier of its own, not as a field.
pub fn mentions(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, expected) in [
            ("TopicData", "topic_data"),
            ("commitTimestamp", "commit_timestamp"),
            ("KRaftVersionFeature", "kraft_version_feature"),
            ("SubscribedTopicRegex", "subscribed_topic_regex"),
            ("ISRNodes", "isr_nodes"),
        ] {
            assert_eq!(snake_case(name), expected);
        }
        assert_eq!(field("Type"), "r#type");
        assert!(mentions("f(reader, version)", "version"));
        assert!(!mentions("value.version = min_version", "version"));
    }
}
