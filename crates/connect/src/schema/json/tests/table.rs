//! Pairs of schemas, and what differs between them in both directions.

use super::model;
use crate::schema::CompatibilityPolicy::{Lenient, Strict};
use crate::schema::json::compare::{self, Keep};

/// An old schema, a new one, what differs when the new one reads the old one, and the other way round. Each difference
/// begins with its verdict: `+` is tolerated, `~` only leniently, `-` never.
pub(in crate::schema) type Case =
    (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

pub(in crate::schema) const CASES: &[Case] = &[
    // annotations
    (
        r##"{"title":"a"}"##,
        r##"{"title":"b","description":"x"}"##,
        &["+TITLE_CHANGED #/", "+DESCRIPTION_CHANGED #/"],
        &["+TITLE_CHANGED #/", "+DESCRIPTION_CHANGED #/"],
    ),
    (
        r##"{"type":"string","default":"a"}"##,
        r##"{"type":"string","default":"b"}"##,
        &["+DEFAULT_CHANGED #/"],
        &["+DEFAULT_CHANGED #/"],
    ),
    (r##"{"$id":"http://a/x"}"##, r##"{"$id":"http://a/y"}"##, &["+ID_CHANGED #/"], &["+ID_CHANGED #/"]),
    // types
    (r##"{"type":"string"}"##, r##"{"type":"number"}"##, &["-TYPE_CHANGED #/"], &["-TYPE_CHANGED #/"]),
    (r##"{"type":"integer"}"##, r##"{"type":"number"}"##, &["+TYPE_EXTENDED #/"], &["-TYPE_NARROWED #/"]),
    (r##"{"type":"string"}"##, r##"{}"##, &[], &["-TYPE_CHANGED #/"]),
    (r##"{"type":"string"}"##, r##"true"##, &[], &["-TYPE_CHANGED #/"]),
    (r##"false"##, r##"{"type":"string"}"##, &[], &["-TYPE_CHANGED #/"]),
    (
        r##"{"type":"string"}"##,
        r##"{"type":["string","null"]}"##,
        &["+SUM_TYPE_EXTENDED #/"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"type":["string","null"]}"##,
        r##"{"type":["null","string","integer"]}"##,
        &["+SUM_TYPE_EXTENDED #/"],
        &["-SUM_TYPE_NARROWED #/"],
    ),
    (
        r##"{"type":["string","integer"]}"##,
        r##"{"type":["string","number"]}"##,
        &["+TYPE_EXTENDED #/anyOf/1"],
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
    ),
    (
        r##"{"maxLength":3}"##,
        r##"{"type":"string","maxLength":3}"##,
        &["-TYPE_NARROWED #/"],
        &["+TYPE_EXTENDED #/"],
    ),
    (r##"{"type":"null"}"##, r##"{"type":"boolean"}"##, &["-TYPE_CHANGED #/"], &["-TYPE_CHANGED #/"]),
    (
        r##"{"type":"string","connect.type":"bytes"}"##,
        r##"{"type":"number","connect.type":"bytes"}"##,
        &[],
        &[],
    ),
    // strings
    (
        r##"{"type":"string"}"##,
        r##"{"type":"string","maxLength":5}"##,
        &["-MAX_LENGTH_ADDED #/maxLength"],
        &["+MAX_LENGTH_REMOVED #/maxLength"],
    ),
    (
        r##"{"type":"string","maxLength":5}"##,
        r##"{"type":"string","maxLength":6}"##,
        &["+MAX_LENGTH_INCREASED #/maxLength"],
        &["-MAX_LENGTH_DECREASED #/maxLength"],
    ),
    (
        r##"{"type":"string"}"##,
        r##"{"type":"string","minLength":1}"##,
        &["-MIN_LENGTH_ADDED #/minLength"],
        &["+MIN_LENGTH_REMOVED #/minLength"],
    ),
    (
        r##"{"type":"string","minLength":1}"##,
        r##"{"type":"string","minLength":2}"##,
        &["-MIN_LENGTH_INCREASED #/minLength"],
        &["+MIN_LENGTH_DECREASED #/minLength"],
    ),
    (
        r##"{"type":"string"}"##,
        r##"{"type":"string","pattern":"^a"}"##,
        &["-PATTERN_ADDED #/pattern"],
        &["+PATTERN_REMOVED #/pattern"],
    ),
    (
        r##"{"type":"string","pattern":"^a"}"##,
        r##"{"type":"string","pattern":"^b"}"##,
        &["-PATTERN_CHANGED #/pattern"],
        &["-PATTERN_CHANGED #/pattern"],
    ),
    (r##"{"type":"string"}"##, r##"{"type":"string","format":"date"}"##, &[], &[]),
    // numbers
    (
        r##"{"type":"number"}"##,
        r##"{"type":"number","maximum":10}"##,
        &["-MAXIMUM_ADDED #/maximum"],
        &["+MAXIMUM_REMOVED #/maximum"],
    ),
    (r##"{"type":"number","maximum":10}"##, r##"{"type":"number","maximum":10.0}"##, &[], &[]),
    (
        r##"{"type":"number","maximum":9.99}"##,
        r##"{"type":"number","maximum":1e1}"##,
        &["+MAXIMUM_INCREASED #/maximum"],
        &["-MAXIMUM_DECREASED #/maximum"],
    ),
    (
        r##"{"type":"number","maximum":9007199254740993}"##,
        r##"{"type":"number","maximum":9007199254740992}"##,
        &["-MAXIMUM_DECREASED #/maximum"],
        &["+MAXIMUM_INCREASED #/maximum"],
    ),
    (
        r##"{"type":"number"}"##,
        r##"{"type":"number","minimum":-1}"##,
        &["-MINIMUM_ADDED #/minimum"],
        &["+MINIMUM_REMOVED #/minimum"],
    ),
    (
        r##"{"type":"number","minimum":-1}"##,
        r##"{"type":"number","minimum":0}"##,
        &["-MINIMUM_INCREASED #/minimum"],
        &["+MINIMUM_DECREASED #/minimum"],
    ),
    (
        r##"{"type":"number"}"##,
        r##"{"type":"number","exclusiveMaximum":1}"##,
        &["-EXCLUSIVE_MAXIMUM_ADDED #/exclusiveMaximum"],
        &["+EXCLUSIVE_MAXIMUM_REMOVED #/exclusiveMaximum"],
    ),
    (
        r##"{"type":"number","exclusiveMaximum":1}"##,
        r##"{"type":"number","exclusiveMaximum":2}"##,
        &["+EXCLUSIVE_MAXIMUM_INCREASED #/exclusiveMaximum"],
        &["-EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum"],
    ),
    (
        r##"{"type":"number"}"##,
        r##"{"type":"number","exclusiveMinimum":1}"##,
        &["-EXCLUSIVE_MINIMUM_ADDED #/exclusiveMinimum"],
        &["+EXCLUSIVE_MINIMUM_REMOVED #/exclusiveMinimum"],
    ),
    (
        r##"{"type":"number","exclusiveMinimum":1}"##,
        r##"{"type":"number","exclusiveMinimum":2}"##,
        &["-EXCLUSIVE_MINIMUM_INCREASED #/exclusiveMinimum"],
        &["+EXCLUSIVE_MINIMUM_DECREASED #/exclusiveMinimum"],
    ),
    (
        r##"{"$schema":"http://json-schema.org/draft-04/schema#","type":"number","maximum":5}"##,
        r##"{"$schema":"http://json-schema.org/draft-04/schema#","type":"number","maximum":5,"exclusiveMaximum":true}"##,
        &["-EXCLUSIVE_MAXIMUM_ADDED #/exclusiveMaximum"],
        &["+EXCLUSIVE_MAXIMUM_REMOVED #/exclusiveMaximum"],
    ),
    (
        r##"{"type":"number"}"##,
        r##"{"type":"number","multipleOf":2}"##,
        &["-MULTIPLE_OF_ADDED #/multipleOf"],
        &["+MULTIPLE_OF_REMOVED #/multipleOf"],
    ),
    (
        r##"{"type":"number","multipleOf":2}"##,
        r##"{"type":"number","multipleOf":6}"##,
        &["-MULTIPLE_OF_EXPANDED #/multipleOf"],
        &["+MULTIPLE_OF_REDUCED #/multipleOf"],
    ),
    (r##"{"type":"number","multipleOf":0.5}"##, r##"{"type":"number","multipleOf":0.50}"##, &[], &[]),
    (
        r##"{"type":"number","multipleOf":2}"##,
        r##"{"type":"number","multipleOf":3}"##,
        &["-MULTIPLE_OF_CHANGED #/multipleOf"],
        &["-MULTIPLE_OF_CHANGED #/multipleOf"],
    ),
    // enumerations
    (
        r##"{"enum":["a","b"]}"##,
        r##"{"enum":["b","a","c"]}"##,
        &["+ENUM_ARRAY_EXTENDED #/enum"],
        &["-ENUM_ARRAY_NARROWED #/enum"],
    ),
    (
        r##"{"enum":["a","b"]}"##,
        r##"{"enum":["b","c"]}"##,
        &["-ENUM_ARRAY_CHANGED #/enum"],
        &["-ENUM_ARRAY_CHANGED #/enum"],
    ),
    (r##"{"enum":[1]}"##, r##"{"enum":[1.0]}"##, &[], &[]),
    (
        r##"{"const":"a"}"##,
        r##"{"const":"b"}"##,
        &["-ENUM_ARRAY_CHANGED #/const"],
        &["-ENUM_ARRAY_CHANGED #/const"],
    ),
    (
        r##"{"const":"a"}"##,
        r##"{"enum":["a","b"]}"##,
        &["+ENUM_ARRAY_EXTENDED #/enum"],
        &["-ENUM_ARRAY_NARROWED #/const"],
    ),
    (
        r##"{"type":"string","enum":["a"]}"##,
        r##"{"type":"string"}"##,
        &["+PRODUCT_TYPE_NARROWED #/"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"type":"string","enum":["a","b"]}"##,
        r##"{"type":"string","enum":["a","b","c"]}"##,
        &["+ENUM_ARRAY_EXTENDED #/allOf/0/enum"],
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
    ),
    // objects: required
    (
        r##"{"properties":{"a":{}},"required":["a"]}"##,
        r##"{"properties":{"a":{}}}"##,
        &["+REQUIRED_ATTRIBUTE_REMOVED #/required/a"],
        &["-REQUIRED_ATTRIBUTE_ADDED #/required/a"],
    ),
    (
        r##"{"properties":{"a":{"type":"string"}}}"##,
        r##"{"properties":{"a":{"type":"string","default":""}},"required":["a"]}"##,
        &["+REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED #/required/a", "+DEFAULT_CHANGED #/properties/a"],
        &["+REQUIRED_ATTRIBUTE_REMOVED #/required/a", "+DEFAULT_CHANGED #/properties/a"],
    ),
    // objects: properties of open models
    (
        r##"{"properties":{"a":{}}}"##,
        r##"{"properties":{"a":{},"b":{"type":"string"}}}"##,
        &["~OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}}}"##,
        r##"{"properties":{"a":{},"b":{"type":"string"}},"required":["b"]}"##,
        &["-REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}}}"##,
        r##"{"properties":{"a":{},"b":{"type":"string","default":""}},"required":["b"]}"##,
        &["~REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}}}"##,
        r##"{"properties":{"a":{},"b":{}}}"##,
        &["+PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}}}"##,
        r##"{"properties":{"a":{},"b":true},"required":["b"]}"##,
        &["-REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{"type":"string"}}}"##,
        r##"{"properties":{"a":{"type":"integer"}}}"##,
        &["-TYPE_CHANGED #/properties/a"],
        &["-TYPE_CHANGED #/properties/a"],
    ),
    (
        r##"{"properties":{"a/b~c":{"type":"string"}}}"##,
        r##"{"properties":{"a/b~c":{"type":"integer"}}}"##,
        &["-TYPE_CHANGED #/properties/a~1b~0c"],
        &["-TYPE_CHANGED #/properties/a~1b~0c"],
    ),
    // objects: properties of closed models
    (
        r##"{"properties":{"a":{}},"additionalProperties":false}"##,
        r##"{"properties":{"a":{},"b":{"type":"string"}},"additionalProperties":false}"##,
        &["+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
        &["~PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}},"additionalProperties":false}"##,
        r##"{"properties":{"a":{},"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"##,
        &["-REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
        &["~PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{}},"additionalProperties":false}"##,
        r##"{"properties":{"a":{},"b":{"default":1}},"required":["b"],"additionalProperties":false}"##,
        &["+REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
        &["~PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
    ),
    (
        r##"{"properties":{"a":{},"b":false},"additionalProperties":false}"##,
        r##"{"properties":{"a":{}},"additionalProperties":false}"##,
        &["+PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
        &["+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
    ),
    // objects: properties of partially open models
    (
        r##"{"additionalProperties":{"type":"string"}}"##,
        r##"{"properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}"##,
        &[
            "+PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
            "+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a",
        ],
        &["+PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a"],
    ),
    (
        r##"{"additionalProperties":{"type":"string"}}"##,
        r##"{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}"##,
        &[
            "-TYPE_CHANGED #/properties/a",
            "~PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
            "+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a",
        ],
        &[
            "-TYPE_CHANGED #/properties/a",
            "~PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
        ],
    ),
    (
        r##"{"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"##,
        r##"{"properties":{"s_a":{"type":"string"}},"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"##,
        &[
            "+PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/s_a",
            "+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/s_a",
        ],
        &["+PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/s_a"],
    ),
    (
        r##"{"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"##,
        r##"{"properties":{"s_a":{"type":"integer"}},"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"##,
        &[
            "-TYPE_CHANGED #/properties/s_a",
            "~PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/s_a",
            "+OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/s_a",
        ],
        &[
            "-TYPE_CHANGED #/properties/s_a",
            "~PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/s_a",
        ],
    ),
    (
        r##"{"patternProperties":{"^s_":{"type":"string"}}}"##,
        r##"{"properties":{"a":{"type":"integer"}},"patternProperties":{"^s_":{"type":"string"}}}"##,
        &["~OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/a"],
    ),
    (
        r##"{"patternProperties":{"^s_":{"type":"string"}}}"##,
        r##"{"patternProperties":{"^s_":{"type":"integer"}}}"##,
        &["-TYPE_CHANGED #/patternProperties/^s_"],
        &["-TYPE_CHANGED #/patternProperties/^s_"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","patternProperties":{"^s_":{"type":"string"}}}"##,
        &["-SCHEMA_ADDED #/patternProperties/^s_"],
        &["+SCHEMA_REMOVED #/patternProperties/^s_"],
    ),
    (
        r##"{"type":"object","additionalProperties":false}"##,
        r##"{"type":"object","patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"##,
        &[],
        &["~PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/patternProperties/^s_"],
    ),
    // objects: everything else
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","additionalProperties":false}"##,
        &["~ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"],
        &["+ADDITIONAL_PROPERTIES_ADDED #/additionalProperties"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","additionalProperties":{"type":"string"}}"##,
        &["~ADDITIONAL_PROPERTIES_NARROWED #/additionalProperties"],
        &["+ADDITIONAL_PROPERTIES_EXTENDED #/additionalProperties"],
    ),
    (
        r##"{"additionalProperties":false}"##,
        r##"{"additionalProperties":{"type":"string"}}"##,
        &["+ADDITIONAL_PROPERTIES_ADDED #/additionalProperties"],
        &["~ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"],
    ),
    (
        r##"{"additionalProperties":{"type":"string"}}"##,
        r##"{"additionalProperties":{"type":["string","null"]}}"##,
        &["+SUM_TYPE_EXTENDED #/additionalProperties"],
        &["-TYPE_CHANGED #/additionalProperties"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","additionalProperties":{}}"##,
        &[],
        &["+ADDITIONAL_PROPERTIES_EXTENDED #/additionalProperties"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","maxProperties":1}"##,
        &["-MAX_PROPERTIES_ADDED #/maxProperties"],
        &["+MAX_PROPERTIES_REMOVED #/maxProperties"],
    ),
    (
        r##"{"maxProperties":1}"##,
        r##"{"maxProperties":2}"##,
        &["+MAX_PROPERTIES_INCREASED #/maxProperties"],
        &["-MAX_PROPERTIES_DECREASED #/maxProperties"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","minProperties":1}"##,
        &["-MIN_PROPERTIES_ADDED #/minProperties"],
        &["+MIN_PROPERTIES_REMOVED #/minProperties"],
    ),
    (
        r##"{"minProperties":1}"##,
        r##"{"minProperties":2}"##,
        &["-MIN_PROPERTIES_INCREASED #/minProperties"],
        &["+MIN_PROPERTIES_DECREASED #/minProperties"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","propertyNames":{"maxLength":3}}"##,
        &["-SCHEMA_ADDED #/propertyNames"],
        &["+SCHEMA_REMOVED #/propertyNames"],
    ),
    (
        r##"{"propertyNames":{"maxLength":3}}"##,
        r##"{"propertyNames":{"maxLength":4}}"##,
        &["+MAX_LENGTH_INCREASED #/propertyNames/maxLength"],
        &["-MAX_LENGTH_DECREASED #/propertyNames/maxLength"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","unevaluatedProperties":false}"##,
        &["~UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties"],
        &["+UNEVALUATED_PROPERTIES_ADDED #/unevaluatedProperties"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","unevaluatedProperties":{"type":"string"}}"##,
        &["~UNEVALUATED_PROPERTIES_NARROWED #/unevaluatedProperties"],
        &["+UNEVALUATED_PROPERTIES_EXTENDED #/unevaluatedProperties"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","type":"object","unevaluatedProperties":{"type":"integer"}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","type":"object","unevaluatedProperties":{"type":"number"}}"##,
        &["+TYPE_EXTENDED #/unevaluatedProperties"],
        &["-TYPE_NARROWED #/unevaluatedProperties"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":true,"unevaluatedProperties":false}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string"}},"additionalProperties":true,"unevaluatedProperties":false}"##,
        &["~OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        &["+PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/a"],
    ),
    // objects: dependencies
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","dependencies":{"a":["b"]}}"##,
        &["-DEPENDENCY_ARRAY_ADDED #/dependencies/a"],
        &["+DEPENDENCY_ARRAY_REMOVED #/dependencies/a"],
    ),
    (
        r##"{"dependencies":{"a":["b"]}}"##,
        r##"{"dependencies":{"a":["b","c"]}}"##,
        &["-DEPENDENCY_ARRAY_EXTENDED #/dependencies/a"],
        &["+DEPENDENCY_ARRAY_NARROWED #/dependencies/a"],
    ),
    (
        r##"{"dependencies":{"a":["b"]}}"##,
        r##"{"dependencies":{"a":["c"]}}"##,
        &["-DEPENDENCY_ARRAY_CHANGED #/dependencies/a"],
        &["-DEPENDENCY_ARRAY_CHANGED #/dependencies/a"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","dependencies":{"a":{"minProperties":2}}}"##,
        &["-DEPENDENCY_SCHEMA_ADDED #/dependencies/a"],
        &["+DEPENDENCY_SCHEMA_REMOVED #/dependencies/a"],
    ),
    (
        r##"{"dependencies":{"a":{"minProperties":2}}}"##,
        r##"{"dependencies":{"a":{"minProperties":3}}}"##,
        &["-MIN_PROPERTIES_INCREASED #/dependencies/a/minProperties"],
        &["+MIN_PROPERTIES_DECREASED #/dependencies/a/minProperties"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","dependentRequired":{"a":["b"]}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","dependentRequired":{"a":["b","c"]}}"##,
        &["-DEPENDENCY_ARRAY_EXTENDED #/dependencies/a"],
        &["+DEPENDENCY_ARRAY_NARROWED #/dependencies/a"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","dependentSchemas":{"a":{"minProperties":2}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","dependentSchemas":{"a":{"minProperties":3}}}"##,
        &["-MIN_PROPERTIES_INCREASED #/dependencies/a/minProperties"],
        &["+MIN_PROPERTIES_DECREASED #/dependencies/a/minProperties"],
    ),
    // arrays
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","items":{"type":"string"}}"##,
        &["-SCHEMA_ADDED #/items"],
        &["+SCHEMA_REMOVED #/items"],
    ),
    (
        r##"{"items":{"type":"string"}}"##,
        r##"{"items":{"type":"integer"}}"##,
        &["-TYPE_CHANGED #/items"],
        &["-TYPE_CHANGED #/items"],
    ),
    (r##"{"type":"array"}"##, r##"{"type":"array","items":true}"##, &[], &["+SCHEMA_REMOVED #/items"]),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","items":[{"type":"string"}]}"##,
        &["-ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/0"],
        &["+ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL #/items/0"],
    ),
    (
        r##"{"items":[{"type":"string"}]}"##,
        r##"{"items":[{"type":"string"},true]}"##,
        &["+ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"],
        &["+ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL #/items/1"],
    ),
    (
        r##"{"items":[{"type":"string"}],"additionalItems":false}"##,
        r##"{"items":[{"type":"string"},{"type":"integer"}],"additionalItems":false}"##,
        &["+ITEM_ADDED_TO_CLOSED_CONTENT_MODEL #/items/1"],
        &["-ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1"],
    ),
    (
        r##"{"items":[{"type":"string"}],"additionalItems":false}"##,
        r##"{"items":[{"type":"string"},false],"additionalItems":false}"##,
        &["+ITEM_ADDED_TO_CLOSED_CONTENT_MODEL #/items/1"],
        &["+ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1"],
    ),
    (
        r##"{"items":[{"type":"string"}],"additionalItems":{"type":"integer"}}"##,
        r##"{"items":[{"type":"string"},{"type":"number"}],"additionalItems":{"type":"integer"}}"##,
        &["+TYPE_EXTENDED #/items/1", "+ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        &["-TYPE_NARROWED #/items/1", "-ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
    ),
    (
        r##"{"items":[{"type":"string"}]}"##,
        r##"{"items":[{"type":"string"}],"additionalItems":false}"##,
        &["-ADDITIONAL_ITEMS_REMOVED #/additionalItems"],
        &["+ADDITIONAL_ITEMS_ADDED #/additionalItems"],
    ),
    (
        r##"{"items":[{"type":"string"}]}"##,
        r##"{"items":[{"type":"string"}],"additionalItems":{"type":"integer"}}"##,
        &["-ADDITIONAL_ITEMS_NARROWED #/additionalItems"],
        &["+ADDITIONAL_ITEMS_EXTENDED #/additionalItems"],
    ),
    (
        r##"{"items":{"type":"string"}}"##,
        r##"{"items":[{"type":"string"}]}"##,
        &["+SCHEMA_REMOVED #/items", "+ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/0"],
        &["-SCHEMA_ADDED #/items", "+ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/0"],
    ),
    (
        r##"{"additionalItems":false}"##,
        r##"{"items":[{"type":"string"}],"additionalItems":false}"##,
        &["-ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/0"],
        &["+ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL #/items/0"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}]}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}],"items":false}"##,
        &["-ADDITIONAL_ITEMS_REMOVED #/additionalItems"],
        &["+ADDITIONAL_ITEMS_ADDED #/additionalItems"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"}],"items":{"type":"integer"}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{"type":"string"},{"type":"integer"}],"items":{"type":"integer"}}"##,
        &["+ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        &["+ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":{"type":"string"}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":{"type":["string","null"]}}"##,
        &["+SUM_TYPE_EXTENDED #/items"],
        &["-TYPE_CHANGED #/items"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array","unevaluatedItems":false}"##,
        &["-UNEVALUATED_ITEMS_REMOVED #/unevaluatedItems"],
        &["+UNEVALUATED_ITEMS_ADDED #/unevaluatedItems"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array","unevaluatedItems":{"type":"string"}}"##,
        &["-UNEVALUATED_ITEMS_NARROWED #/unevaluatedItems"],
        &["+UNEVALUATED_ITEMS_EXTENDED #/unevaluatedItems"],
    ),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","maxItems":1}"##,
        &["-MAX_ITEMS_ADDED #/maxItems"],
        &["+MAX_ITEMS_REMOVED #/maxItems"],
    ),
    (
        r##"{"maxItems":1}"##,
        r##"{"maxItems":2}"##,
        &["+MAX_ITEMS_INCREASED #/maxItems"],
        &["-MAX_ITEMS_DECREASED #/maxItems"],
    ),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","minItems":1}"##,
        &["-MIN_ITEMS_ADDED #/minItems"],
        &["+MIN_ITEMS_REMOVED #/minItems"],
    ),
    (
        r##"{"minItems":1}"##,
        r##"{"minItems":2}"##,
        &["-MIN_ITEMS_INCREASED #/minItems"],
        &["+MIN_ITEMS_DECREASED #/minItems"],
    ),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","uniqueItems":true}"##,
        &["-UNIQUE_ITEMS_ADDED #/uniqueItems"],
        &["+UNIQUE_ITEMS_REMOVED #/uniqueItems"],
    ),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","contains":{"type":"string"}}"##,
        &["-SCHEMA_ADDED #/contains"],
        &["+SCHEMA_REMOVED #/contains"],
    ),
    (
        r##"{"type":"array"}"##,
        r##"{"type":"array","contains":true}"##,
        &["-SCHEMA_ADDED #/contains"],
        &["+SCHEMA_REMOVED #/contains"],
    ),
    (
        r##"{"contains":{"type":"integer"}}"##,
        r##"{"contains":{"type":"number"}}"##,
        &["+TYPE_EXTENDED #/contains"],
        &["-TYPE_NARROWED #/contains"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array","contains":{"type":"string"}}"##,
        &["-MIN_CONTAINS_ADDED #/minContains"],
        &["+MIN_CONTAINS_REMOVED #/minContains"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"},"minContains":2}"##,
        &["-MIN_CONTAINS_INCREASED #/minContains"],
        &["+MIN_CONTAINS_DECREASED #/minContains"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"},"maxContains":2}"##,
        &["-MAX_CONTAINS_ADDED #/maxContains"],
        &["+MAX_CONTAINS_REMOVED #/maxContains"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"},"maxContains":2}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"string"},"maxContains":3}"##,
        &["+MAX_CONTAINS_INCREASED #/maxContains"],
        &["-MAX_CONTAINS_DECREASED #/maxContains"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"integer"},"maxContains":2}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","contains":{"type":"number"},"maxContains":2}"##,
        &["+TYPE_EXTENDED #/contains", "-TYPE_CHANGED #/contains"],
        &["-TYPE_NARROWED #/contains"],
    ),
    // combinations
    (
        r##"{"oneOf":[{"type":"string"}]}"##,
        r##"{"oneOf":[{"type":"integer"},{"type":"string"}]}"##,
        &["+SUM_TYPE_EXTENDED #/"],
        &["-SUM_TYPE_NARROWED #/"],
    ),
    (
        r##"{"oneOf":[{"type":"string"},{"type":"integer"}]}"##,
        r##"{"oneOf":[{"type":"number"},{"type":"string"}]}"##,
        &["+TYPE_EXTENDED #/oneOf/1"],
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
    ),
    (
        r##"{"anyOf":[{"type":"string"},{"type":"null"}]}"##,
        r##"{"anyOf":[{"type":"string","maxLength":3},{"type":"boolean"}]}"##,
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
        &["+MAX_LENGTH_REMOVED #/anyOf/0/maxLength", "-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
    ),
    (
        r##"{"allOf":[{"type":"string"},{"maxLength":3}]}"##,
        r##"{"allOf":[{"type":"string"}]}"##,
        &["+PRODUCT_TYPE_NARROWED #/"],
        &["-PRODUCT_TYPE_EXTENDED #/"],
    ),
    (
        r##"{"oneOf":[{"type":"string"},{"type":"null"}]}"##,
        r##"{"anyOf":[{"type":"string"},{"type":"null"}]}"##,
        &["+COMBINED_TYPE_EXTENDED #/"],
        &["-COMBINED_TYPE_CHANGED #/"],
    ),
    (
        r##"{"oneOf":[{"type":"string"}]}"##,
        r##"{"allOf":[{"type":"string"}]}"##,
        &["+COMBINED_TYPE_EXTENDED #/"],
        &["+COMBINED_TYPE_EXTENDED #/"],
    ),
    (
        r##"{"type":"string"}"##,
        r##"{"anyOf":[{"type":"string"},{"type":"null"}]}"##,
        &["+SUM_TYPE_EXTENDED #/"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"type":"string","minLength":1}"##,
        r##"{"allOf":[{"type":"string"}]}"##,
        &["+MIN_LENGTH_REMOVED #/minLength"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"anyOf":[{"type":"integer"},{"type":"number"}]}"##,
        r##"{"anyOf":[{"type":"number"},{"type":"integer"}]}"##,
        &[],
        &[],
    ),
    (
        r##"{"anyOf":[{"type":"number"},{"type":"number","maximum":5}]}"##,
        r##"{"anyOf":[{"type":"number"},{"type":"string"}]}"##,
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
    ),
    (
        r##"{"not":{"type":"number"}}"##,
        r##"{"not":{"type":"integer"}}"##,
        &["+NOT_TYPE_NARROWED #/not"],
        &["-NOT_TYPE_EXTENDED #/not"],
    ),
    (
        r##"{"type":"string"}"##,
        r##"{"type":"string","not":{"const":"a"}}"##,
        &["-TYPE_CHANGED #/"],
        &["+PRODUCT_TYPE_NARROWED #/"],
    ),
    (
        r##"{"type":"object","if":{"required":["a"]},"then":{"minProperties":2}}"##,
        r##"{"type":"object","if":{"required":["a"]},"then":{"minProperties":3}}"##,
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
        &["+MIN_PROPERTIES_DECREASED #/allOf/0/then/minProperties"],
    ),
    (
        r##"{"if":{"required":["a"]},"then":{"minProperties":2}}"##,
        r##"{"if":{"type":"object","required":["a"]},"then":{"minProperties":2}}"##,
        &["-TYPE_CHANGED #/if"],
        &["-TYPE_CHANGED #/if"],
    ),
    (
        r##"{"if":{"type":"string"},"then":{"minLength":2}}"##,
        r##"{"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"null"}}"##,
        &["-SCHEMA_ADDED #/else"],
        &["+SCHEMA_REMOVED #/else"],
    ),
    (
        r##"{"type":"object"}"##,
        r##"{"type":"object","if":{"required":["a"]},"then":{"minProperties":2}}"##,
        &["-TYPE_CHANGED #/"],
        &["+PRODUCT_TYPE_NARROWED #/"],
    ),
    // references
    (
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"type":"string"}}}"##,
        r##"{"type":"string"}"##,
        &[],
        &[],
    ),
    (
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"type":"string"}}}"##,
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"type":"integer"}}}"##,
        &["-TYPE_CHANGED #/"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}"##,
        r##"{"properties":{"next":{"$ref":"#"},"v":{"type":"number"}}}"##,
        &["+TYPE_EXTENDED #/properties/v"],
        &["-TYPE_NARROWED #/properties/next/properties/v", "-TYPE_NARROWED #/properties/v"],
    ),
    (
        r##"{"properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}"##,
        r##"{"properties":{"next":{"properties":{"next":{"$ref":"#"},"v":{"type":"string"}}},"v":{"type":"integer"}}}"##,
        &[
            "-TYPE_CHANGED #/properties/next/properties/next/properties/next/properties/v",
            "-TYPE_CHANGED #/properties/next/properties/v",
        ],
        &[
            "-TYPE_CHANGED #/properties/next/properties/next/properties/next/properties/v",
            "-TYPE_CHANGED #/properties/next/properties/v",
        ],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/a","maxLength":3,"$defs":{"a":{"type":"string"}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/a","maxLength":2,"$defs":{"a":{"type":"string"}}}"##,
        &["-COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
        &["+MAX_LENGTH_INCREASED #/allOf/1/maxLength"],
    ),
    (
        r##"{"$ref":"#/$defs/a","definitions":{"a":{"type":"string"}}}"##,
        r##"{"$ref":"#x","definitions":{"a":{"$id":"#x","type":"string"}}}"##,
        &["+ID_CHANGED #/"],
        &["+ID_CHANGED #/"],
    ),
    (
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#x","$defs":{"a":{"$anchor":"x","type":"string"}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"sub","$defs":{"a":{"$id":"sub","type":"integer"}}}"##,
        &["-TYPE_CHANGED #/"],
        &["-TYPE_CHANGED #/"],
    ),
    (
        r##"{"$ref":"http://json-schema.org/draft-07/schema#"}"##,
        r##"{"$ref":"http://json-schema.org/draft-06/schema#"}"##,
        &["-TYPE_CHANGED #/"],
        &["-TYPE_CHANGED #/"],
    ),
];

fn check(original: &str, update: &str, expected: &[&str]) {
    let (original_model, update_model) = (model(original), model(update));
    let of = |policy, keep| compare::differences(&original_model, &update_model, policy, keep);
    let shown: Vec<String> = of(Strict, Keep::All)
        .iter()
        .map(|difference| {
            let verdict = match (difference.kind.is_tolerated(Strict), difference.kind.is_tolerated(Lenient))
            {
                (true, _) => '+',
                (false, true) => '~',
                (false, false) => '-',
            };
            format!("{verdict}{} {}", difference.kind.name(), difference.path())
        })
        .collect();
    assert_eq!(shown, expected, "{original} read with {update}");
    let tolerated = |signs: &[char]| expected.iter().all(|shown| shown.starts_with(signs));
    assert_eq!(of(Strict, Keep::Incompatible).is_empty(), tolerated(&['+']), "{original} read with {update}");
    assert_eq!(
        of(Lenient, Keep::Incompatible).is_empty(),
        tolerated(&['+', '~']),
        "{original} leniently read with {update}"
    );
}

#[test]
fn differences_have_kinds_paths_and_verdicts() {
    for (old, new, backward, forward) in CASES {
        check(old, new, backward);
        check(new, old, forward);
        for policy in [Strict, Lenient] {
            let (schema, copy) = (model(old), model(old));
            assert_eq!(
                compare::differences(&schema, &copy, policy, Keep::Incompatible),
                [],
                "{old} read with itself"
            );
        }
    }
}
