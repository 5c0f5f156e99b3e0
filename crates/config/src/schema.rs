//! In:     the declarations of all keys.
//! Out:    the JSON Schema (draft 2020-12) by which editors complete and check a file.
//! Actors: none.
//! Never:  does it say another thing than the checks do.

use super::declare::{Key, Kind};
use super::tables::FILE;
use serde_json::{Map, Value, json};

/// The schema of a whole file.
pub fn schema() -> Value {
    let mut schema = table(FILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("hallway.toml");
    schema
}

fn table(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys.iter().filter(|key| !matches!(key.kind, Kind::Later)) {
        let mut value = of(&key.kind);
        value["description"] = json!(key.told());
        properties.insert(key.name.into(), value);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn of(kind: &Kind) -> Value {
    const SIZE: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?$";
    match kind {
        Kind::Duration => json!({"anyOf": [text(Some("^[0-9]+(ms|s|m|h)?$")), {"type": "integer", "minimum": 0}]}),
        Kind::Size => json!({"anyOf": [text(Some(SIZE)), {"type": "integer", "minimum": 0}]}),
        Kind::Whole(least, i64::MAX) => json!({"type": "integer", "minimum": least}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Percent => text(Some("^[0-9]+%$")),
        Kind::Rate => text(Some("^[0-9]+/(s|m|h)$")),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Pattern => text(Some("^/")),
        Kind::Method => text(Some("^[A-Z0-9!#$%&'*+.^_`|~-]+$")),
        Kind::FieldName => text(Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")),
        Kind::OneOrMore(one) => json!({"anyOf": [of(one), {"type": "array", "items": of(one), "minItems": 1}]}),
        Kind::List(one) => json!({"type": "array", "items": of(one)}),
        Kind::Table(keys) => table(keys),
        Kind::Named(_, one) => json!({"type": "object", "additionalProperties": of(one)}),
        Kind::Either(kinds) => {
            let several: Vec<Value> = kinds.iter().filter(|kind| !matches!(kind, Kind::Later)).map(of).collect();
            json!({"anyOf": several})
        }
        Kind::Text | Kind::LogForm | Kind::Secret | Kind::Path | Kind::Address | Kind::Network => text(None),
        Kind::Later => json!(false),
    }
}

fn text(pattern: Option<&str>) -> Value {
    let mut schema = json!({"type": "string"});
    if let Some(pattern) = pattern {
        schema["pattern"] = json!(pattern);
    }
    schema
}
