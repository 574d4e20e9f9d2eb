//! What can differ between two schemas, in the words of the registry's API, and which differences are tolerated.

use crate::schema::{CompatibilityPolicy, Direction, Incompatibility};

/// Declares the kinds of differences by what tolerates them.
macro_rules! kinds {
    (always { $($always:ident)* } lenient { $($lenient:ident)* } never { $($never:ident)* }) => {
        /// A kind of difference, spelled as the API spells it.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Kind { $($always,)* $($lenient,)* $($never,)* }

        impl Kind {
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Kind::$always => stringify!($always),)*
                    $(Kind::$lenient => stringify!($lenient),)*
                    $(Kind::$never => stringify!($never),)*
                }
            }

            /// Whether what was valid stays valid, as far as `policy` asks.
            pub(super) fn is_tolerated(self, policy: CompatibilityPolicy) -> bool {
                match self {
                    $(Kind::$always)|* => true,
                    $(Kind::$lenient)|* => policy == CompatibilityPolicy::Lenient,
                    $(Kind::$never)|* => false,
                }
            }
        }
    };
}

kinds! {
    always {
        ID_CHANGED DESCRIPTION_CHANGED TITLE_CHANGED DEFAULT_CHANGED SCHEMA_REMOVED TYPE_EXTENDED
        MAX_LENGTH_INCREASED MAX_LENGTH_REMOVED MIN_LENGTH_DECREASED MIN_LENGTH_REMOVED PATTERN_REMOVED
        MAXIMUM_INCREASED MAXIMUM_REMOVED MINIMUM_DECREASED MINIMUM_REMOVED
        EXCLUSIVE_MAXIMUM_INCREASED EXCLUSIVE_MAXIMUM_REMOVED
        EXCLUSIVE_MINIMUM_DECREASED EXCLUSIVE_MINIMUM_REMOVED MULTIPLE_OF_REDUCED MULTIPLE_OF_REMOVED
        REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED REQUIRED_ATTRIBUTE_REMOVED
        DEPENDENCY_ARRAY_NARROWED DEPENDENCY_ARRAY_REMOVED DEPENDENCY_SCHEMA_REMOVED
        MAX_PROPERTIES_INCREASED MAX_PROPERTIES_REMOVED MIN_PROPERTIES_DECREASED MIN_PROPERTIES_REMOVED
        ADDITIONAL_PROPERTIES_ADDED ADDITIONAL_PROPERTIES_EXTENDED
        UNEVALUATED_PROPERTIES_ADDED UNEVALUATED_PROPERTIES_EXTENDED
        PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL
        REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL
        OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL
        PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL
        PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        MAX_ITEMS_INCREASED MAX_ITEMS_REMOVED MIN_ITEMS_DECREASED MIN_ITEMS_REMOVED
        MAX_CONTAINS_INCREASED MAX_CONTAINS_REMOVED MIN_CONTAINS_DECREASED MIN_CONTAINS_REMOVED
        UNIQUE_ITEMS_REMOVED ADDITIONAL_ITEMS_ADDED ADDITIONAL_ITEMS_EXTENDED
        UNEVALUATED_ITEMS_ADDED UNEVALUATED_ITEMS_EXTENDED
        ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL ITEM_ADDED_TO_CLOSED_CONTENT_MODEL
        ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL
        ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        ENUM_ARRAY_EXTENDED COMBINED_TYPE_EXTENDED PRODUCT_TYPE_NARROWED SUM_TYPE_EXTENDED NOT_TYPE_NARROWED
    }
    lenient {
        ADDITIONAL_PROPERTIES_NARROWED ADDITIONAL_PROPERTIES_REMOVED
        UNEVALUATED_PROPERTIES_NARROWED UNEVALUATED_PROPERTIES_REMOVED
        REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL
        OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL
        PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL
        PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
    }
    never {
        SCHEMA_ADDED TYPE_NARROWED TYPE_CHANGED
        MAX_LENGTH_ADDED MAX_LENGTH_DECREASED MIN_LENGTH_ADDED MIN_LENGTH_INCREASED PATTERN_ADDED PATTERN_CHANGED
        MAXIMUM_ADDED MAXIMUM_DECREASED MINIMUM_ADDED MINIMUM_INCREASED
        EXCLUSIVE_MAXIMUM_ADDED EXCLUSIVE_MAXIMUM_DECREASED EXCLUSIVE_MINIMUM_ADDED EXCLUSIVE_MINIMUM_INCREASED
        MULTIPLE_OF_ADDED MULTIPLE_OF_EXPANDED MULTIPLE_OF_CHANGED
        REQUIRED_ATTRIBUTE_ADDED MAX_PROPERTIES_ADDED MAX_PROPERTIES_DECREASED
        MIN_PROPERTIES_ADDED MIN_PROPERTIES_INCREASED
        DEPENDENCY_ARRAY_ADDED DEPENDENCY_ARRAY_EXTENDED DEPENDENCY_ARRAY_CHANGED DEPENDENCY_SCHEMA_ADDED
        REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL
        MAX_ITEMS_ADDED MAX_ITEMS_DECREASED MIN_ITEMS_ADDED MIN_ITEMS_INCREASED
        MAX_CONTAINS_ADDED MAX_CONTAINS_DECREASED MIN_CONTAINS_ADDED MIN_CONTAINS_INCREASED
        UNIQUE_ITEMS_ADDED ADDITIONAL_ITEMS_REMOVED ADDITIONAL_ITEMS_NARROWED
        UNEVALUATED_ITEMS_REMOVED UNEVALUATED_ITEMS_NARROWED
        ITEM_ADDED_TO_OPEN_CONTENT_MODEL ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL
        ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        ENUM_ARRAY_NARROWED ENUM_ARRAY_CHANGED COMBINED_TYPE_CHANGED COMBINED_TYPE_SUBSCHEMAS_CHANGED
        PRODUCT_TYPE_EXTENDED SUM_TYPE_NARROWED NOT_TYPE_EXTENDED
        COMPARISON_LIMIT_EXCEEDED
    }
}

/// A difference and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    /// As a JSON pointer, empty for the whole.
    pub(super) pointer: String,
    /// What clients show beside it.
    pub(super) detail: String,
}

impl Difference {
    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Difference>() + self.pointer.len() + self.detail.len()
    }

    pub(super) fn path(&self) -> String {
        match self.pointer.as_str() {
            "" => "#/".to_owned(),
            pointer => format!("#{pointer}"),
        }
    }

    pub(super) fn explain(&self, direction: Direction) -> Incompatibility {
        let (reader, writer) = match direction {
            Direction::NewReadsOld => ("new", "old"),
            Direction::OldReadsNew => ("old", "new"),
        };
        let path = self.path();
        let message = message(self.kind, &path, reader, writer);
        Incompatibility { kind: self.kind.name(), path, message, detail: self.detail.clone() }
    }
}

/// What a difference means to a person.
fn message(kind: Kind, path: &str, reader: &str, writer: &str) -> String {
    use Kind::*;
    let says = |what: &str| format!("At '{path}', {what}");
    let name = kind.name();
    match kind {
        TYPE_CHANGED | TYPE_NARROWED => says(&format!(
            "the {reader} schema does not take the type of value that the {writer} schema allows"
        )),
        SCHEMA_ADDED => says(&format!("the {reader} schema restricts what the {writer} schema leaves open")),
        REQUIRED_ATTRIBUTE_ADDED => {
            says(&format!("the {reader} schema requires a property that the {writer} schema leaves optional"))
        }
        REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL | REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL => {
            says(&format!(
                "the {reader} schema requires a property that the {writer} schema does not have; give it a default or make it \
             optional"
            ))
        }
        OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL
        | REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL
        | ITEM_ADDED_TO_OPEN_CONTENT_MODEL => says(&format!(
            "the {reader} schema restricts a property or item of which the {writer} schema, whose content model is open, \
             allows any value"
        )),
        PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL | ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL => {
            says(&format!(
                "the {writer} schema has a property or item that the {reader} schema, whose content model is closed, refuses"
            ))
        }
        PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        | ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL => says(&format!(
            "the {writer} schema has a property or item that what the {reader} schema demands of additional ones does not \
             cover"
        )),
        PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
        | ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL => says(&format!(
            "the {reader} schema restricts a property or item more than the {writer} schema restricts additional ones"
        )),
        ADDITIONAL_PROPERTIES_REMOVED
        | UNEVALUATED_PROPERTIES_REMOVED
        | ADDITIONAL_ITEMS_REMOVED
        | UNEVALUATED_ITEMS_REMOVED => {
            says(&format!("the {reader} schema refuses additional values that the {writer} schema allows"))
        }
        ADDITIONAL_PROPERTIES_NARROWED
        | UNEVALUATED_PROPERTIES_NARROWED
        | ADDITIONAL_ITEMS_NARROWED
        | UNEVALUATED_ITEMS_NARROWED => says(&format!(
            "the {reader} schema restricts additional values of which the {writer} schema allows any"
        )),
        ENUM_ARRAY_NARROWED | ENUM_ARRAY_CHANGED => {
            says(&format!("the {reader} schema lacks values that the {writer} schema lists"))
        }
        COMBINED_TYPE_CHANGED => says(&format!(
            "the {reader} schema combines its parts in a stricter way than the {writer} schema"
        )),
        COMBINED_TYPE_SUBSCHEMAS_CHANGED => says(&format!(
            "parts of the {writer} schema have no counterpart of their own in the {reader} schema"
        )),
        PRODUCT_TYPE_EXTENDED => {
            says(&format!("the {reader} schema demands more parts at once than the {writer} schema"))
        }
        SUM_TYPE_NARROWED => {
            says(&format!("the {reader} schema offers fewer alternatives than the {writer} schema"))
        }
        NOT_TYPE_EXTENDED => says(&format!("the {reader} schema excludes more than the {writer} schema")),
        COMPARISON_LIMIT_EXCEEDED => says(
            "the new and the old schema are too large or too deeply entangled to compare; simplify oneOf, anyOf and $ref",
        ),
        PATTERN_CHANGED | MULTIPLE_OF_CHANGED | DEPENDENCY_ARRAY_CHANGED => {
            says(&format!("the {reader} schema demands something else than the {writer} schema"))
        }
        _ if name.ends_with("_ADDED") => {
            says(&format!("the {reader} schema has a restriction that the {writer} schema does not have"))
        }
        _ if name.ends_with("_INCREASED") || name.ends_with("_EXPANDED") || name.ends_with("_EXTENDED") => {
            says(&format!("the {reader} schema demands more than the {writer} schema"))
        }
        _ => says(&format!("the {reader} schema allows less than the {writer} schema")),
    }
}
