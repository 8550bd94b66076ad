//! Makes `docs/manifest.md` and `docs/manifest.schema.json` of the types, and compares; `UPDATE_GOLDEN=1` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::Manifest;

/// Compares a text with the file at `path`, from this package's folder, or writes it there.
pub(crate) fn compare(path: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text,
        expected,
        "{} differs; UPDATE_GOLDEN=1 rewrites it",
        path.display()
    );
}

fn schema() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Manifest)).unwrap();
    schema["title"] = "ukernel.toml".into();
    schema
}

#[test]
fn the_schema_is_made_of_the_types() {
    let text = serde_json::to_string_pretty(&schema()).unwrap();
    compare("../docs/manifest.schema.json", &(text + "\n"));
}

const HEAD: &str = "# ukernel.toml\n\n\
    <!-- Made of the types in bundle-tool/src/manifest by a test; UPDATE_GOLDEN=1 cargo test -p bundle-tool rewrites it. -->\n\n\
    The settings of a project, read by every command that works on one, from the folder it is called in upwards. A key \
    that is not listed here is an error, with its line. [manifest.schema.json](manifest.schema.json) says the same to \
    editors.\n\n\
    A manifest that uses every key that makes sense together:\n\n```toml\n";

#[test]
fn the_page_is_made_of_the_types() {
    let schema = schema();
    let mut page = format!("{HEAD}{}```\n", include_str!("everything.toml"));
    let required = schema["required"].as_array().unwrap();
    for (name, section) in schema["properties"].as_object().unwrap() {
        let needed = if required.contains(&Value::from(name.as_str())) {
            " (required)"
        } else {
            ""
        };
        write!(page, "\n## [{name}]{needed}\n\n{}\n", description(section)).unwrap();
        let table = resolve(&schema, section);
        // A table of tables: what one of them has.
        let (prefix, table) = match table
            .get("additionalProperties")
            .filter(|inner| inner.is_object())
        {
            Some(inner) => ("NAME.", resolve(&schema, inner)),
            None => ("", table),
        };
        keys(&mut page, &schema, prefix, &table);
    }
    compare("../docs/manifest.md", &page);
}

fn keys(page: &mut String, schema: &Value, prefix: &str, table: &Map<String, Value>) {
    let required = table
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    *page += "\n| key | type | meaning |\n| --- | --- | --- |\n";
    for (key, value) in table["properties"].as_object().unwrap() {
        let kind = kind(schema, value);
        let needed = if required.contains(&Value::from(key.as_str())) {
            ", required"
        } else {
            ""
        };
        writeln!(
            page,
            "| `{prefix}{key}` | {kind}{needed} | {}{} |",
            description(value),
            default(value)
        )
        .unwrap();
    }
}

fn default(value: &Value) -> String {
    match value.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(list)) if list.is_empty() => String::new(),
        Some(Value::Object(table)) if table.is_empty() => String::new(),
        Some(other) => format!(" Default: `{other}`."),
    }
}

fn description(value: &Value) -> String {
    let text = value["description"]
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not described"));
    text.replace('\n', " ").replace('|', "\\|")
}

/// What a schema says where it refers to another.
fn resolve(schema: &Value, value: &Value) -> Map<String, Value> {
    let alternatives = value.get("anyOf").and_then(Value::as_array);
    let value = alternatives.map_or(value, |all| &all[0]);
    let target = match value.get("$ref").and_then(Value::as_str) {
        Some(path) => schema.pointer(path.trim_start_matches('#')).unwrap(),
        None => value,
    };
    target.as_object().unwrap().clone()
}

fn kind(schema: &Value, value: &Value) -> String {
    let value = resolve(schema, value);
    let name = match value.get("type") {
        Some(Value::Array(kinds)) => kinds[0].as_str(),
        Some(kind) => kind.as_str(),
        None => Some("string"), // a choice of words
    };
    match name.unwrap() {
        "array" => format!("list of {}s", kind(schema, &value["items"])),
        "boolean" => "true or false".into(),
        "integer" => "number".into(),
        "object" => "table of strings".into(),
        name => name.into(),
    }
}
