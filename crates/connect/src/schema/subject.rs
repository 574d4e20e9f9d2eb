//! Under which subject the schema of a record is registered.

use super::wire::Part;

/// How the name of a subject is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    /// `orders-value`: all records of a topic share one line of versions.
    #[default]
    TopicName,
    /// `shop.Order`: the same type may be in many topics.
    RecordName,
    /// `orders-shop.Order`: a topic may hold many types.
    TopicRecordName,
}

/// The subject's name needs that of the record, and the schema has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the subject is named after the record, but the schema has no name; use the strategy TopicNameStrategy"
)]
pub struct NamelessRecord;

/// What users write to choose a strategy: the names of the classes, with or without their packages.
const NAMES: [(&str, SubjectNameStrategy); 3] = [
    ("TopicNameStrategy", SubjectNameStrategy::TopicName),
    ("RecordNameStrategy", SubjectNameStrategy::RecordName),
    ("TopicRecordNameStrategy", SubjectNameStrategy::TopicRecordName),
];

impl SubjectNameStrategy {
    /// The subject for a part of the records in `topic`, whose schema describes a record of that name, if it has one.
    ///
    /// # Errors
    /// [`NamelessRecord`] when the name is needed.
    pub fn subject(self, topic: &str, part: Part, record: Option<&str>) -> Result<String, NamelessRecord> {
        match self {
            SubjectNameStrategy::TopicName => Ok(format!("{topic}-{}", part.word())),
            SubjectNameStrategy::RecordName => record.map(str::to_owned).ok_or(NamelessRecord),
            SubjectNameStrategy::TopicRecordName => {
                record.map(|record| format!("{topic}-{record}")).ok_or(NamelessRecord)
            }
        }
    }

    /// The strategy of a class that clients are configured with.
    pub fn of_class(class: &str) -> Option<SubjectNameStrategy> {
        let simple = class.rsplit('.').next()?;
        NAMES.iter().find(|(name, _)| *name == simple).map(|(_, strategy)| *strategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_names_the_subject_after_topic_record_or_both() {
        let check = |class: &str, record, expected: Option<&str>| {
            let strategy = SubjectNameStrategy::of_class(class).unwrap();
            assert_eq!(strategy.subject("orders", Part::Key, record).ok().as_deref(), expected, "{class}");
        };
        check("io.confluent.kafka.serializers.subject.TopicNameStrategy", None, Some("orders-key"));
        check("RecordNameStrategy", Some("shop.Order"), Some("shop.Order"));
        check("TopicRecordNameStrategy", Some("shop.Order"), Some("orders-shop.Order"));
        check("RecordNameStrategy", None, None);
        check("TopicRecordNameStrategy", None, None);
        assert_eq!(SubjectNameStrategy::of_class("MyStrategy"), None);
    }
}
