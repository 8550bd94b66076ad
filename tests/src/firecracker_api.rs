//! What Firecracker's API lets one `PUT`, so that a fake can check every request: `openapi.json` beside this file is
//! the part of the published OpenAPI description (of version 1.17) that a machine of this kernel needs, and
//! [`Conversation`] knows what may be said before the machine starts, after it, and only once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const DESCRIPTION: &str = include_str!("firecracker_api/openapi.json");

/// What has been said to one Firecracker so far.
pub struct Conversation {
    description: Value,
    /// Paths that were put.
    known: BTreeSet<String>,
    started: bool,
}

/// What a request that was accepted asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To remember it.
    Configured,
    /// To start the machine.
    Start,
    /// To press Ctrl-Alt-Del.
    CtrlAltDel,
    /// To write metrics.
    FlushMetrics,
}

impl Default for Conversation {
    fn default() -> Conversation {
        Conversation {
            description: serde_json::from_str(DESCRIPTION).expect("the description is JSON"),
            known: BTreeSet::new(),
            started: false,
        }
    }
}

impl Conversation {
    /// Checks a request, and remembers it.
    ///
    /// # Errors
    /// Firecracker would refuse it, for this reason.
    pub fn put(&mut self, path: &str, body: &str) -> Result<Effect, String> {
        let (template, id) = split_id(path)?;
        let name = self.description["paths"][&template].as_str();
        let name = name.ok_or_else(|| format!("PUT {path}: no such path"))?;
        let body: Value =
            serde_json::from_str(body).map_err(|error| format!("PUT {path}: {error}"))?;
        self.check(name, &body)
            .map_err(|error| format!("PUT {path}: {error}"))?;
        if let Some((field, id)) = id
            && body[&field] != id.as_str()
        {
            return Err(format!("PUT {path}: {field} is {}", body[&field]));
        }
        if name == "InstanceActionInfo" {
            return self.act(body["action_type"].as_str().unwrap_or_default());
        }
        if self.started {
            return Err(format!("PUT {path}: not after the start"));
        }
        if !self.known.insert(path.into()) && name == "Metrics" {
            return Err("PUT /metrics: not twice".into());
        }
        Ok(Effect::Configured)
    }

    fn act(&mut self, action: &str) -> Result<Effect, String> {
        match (action, self.started) {
            ("InstanceStart", false) if !self.known.contains("/boot-source") => {
                Err("InstanceStart: no boot source".into())
            }
            ("InstanceStart", false) => {
                self.started = true;
                Ok(Effect::Start)
            }
            ("SendCtrlAltDel", true) => Ok(Effect::CtrlAltDel),
            ("FlushMetrics", true) => Ok(Effect::FlushMetrics),
            _ => Err(format!("{action}: not now")),
        }
    }

    fn check(&self, definition: &str, body: &Value) -> Result<(), String> {
        let schema = &self.description["definitions"][definition];
        let body = body
            .as_object()
            .ok_or_else(|| format!("{definition} is no object"))?;
        let required = schema["required"].as_array().into_iter().flatten();
        for field in required.filter_map(Value::as_str) {
            if !body.contains_key(field) {
                return Err(format!("{definition} without {field}"));
            }
        }
        self.check_fields(definition, &schema["properties"], body)
    }

    fn check_fields(
        &self,
        definition: &str,
        properties: &Value,
        body: &Map<String, Value>,
    ) -> Result<(), String> {
        for (field, value) in body {
            let Some(property) = properties.get(field) else {
                return Err(format!("{definition} has no field {field}"));
            };
            match property["$ref"].as_str() {
                Some(nested) => self.check(nested, value)?,
                None => check_value(property, value)
                    .map_err(|error| format!("{definition}.{field}: {error}"))?,
            }
        }
        Ok(())
    }
}

/// `/drives/disk0` as `/drives/{drive_id}` and the id with its field's name.
fn split_id(path: &str) -> Result<(String, Option<(String, String)>), String> {
    for (prefix, field) in [
        ("/drives/", "drive_id"),
        ("/network-interfaces/", "iface_id"),
    ] {
        let Some(id) = path.strip_prefix(prefix) else {
            continue;
        };
        let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if id.is_empty() || !id.chars().all(is_valid) {
            return Err(format!("PUT {path}: '{id}' is no id"));
        }
        let template = format!("{prefix}{{{field}}}");
        return Ok((template, Some((field.into(), id.into()))));
    }
    Ok((path.into(), None))
}

fn check_value(property: &Value, value: &Value) -> Result<(), String> {
    let fits = match property["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("object") => value.is_object(),
        other => return Err(format!("the description has the type {other:?}")),
    };
    if !fits {
        return Err(format!("{value} is no {}", property["type"]));
    }
    if let Some(allowed) = property["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{value} is none of {allowed:?}"));
    }
    let number = value.as_i64();
    let below = number < property["minimum"].as_i64() && property["minimum"].is_i64();
    let above = property["maximum"].is_i64() && number > property["maximum"].as_i64();
    match below || above {
        true => Err(format!("{value} is out of range")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, body: &str) -> String {
        Conversation::default()
            .put(path, body)
            .expect_err("it is wrong")
    }

    #[test]
    fn wrong_requests_are_refused() {
        for (path, body, reason) in [
            ("/nothing", "{}", "no such path"),
            ("/boot-source", "{", "EOF"),
            ("/boot-source", "[]", "no object"),
            ("/boot-source", "{}", "without kernel_image_path"),
            (
                "/boot-source",
                r#"{"kernel_image_path":"k","x":1}"#,
                "no field x",
            ),
            (
                "/boot-source",
                r#"{"kernel_image_path":1}"#,
                "is no \"string\"",
            ),
            (
                "/machine-config",
                r#"{"mem_size_mib":1,"vcpu_count":33}"#,
                "range",
            ),
            (
                "/machine-config",
                r#"{"mem_size_mib":1,"vcpu_count":0}"#,
                "range",
            ),
            (
                "/drives/a",
                r#"{"drive_id":"b","is_root_device":false}"#,
                "drive_id is",
            ),
            ("/drives/a-b", "{}", "no id"),
            ("/logger", r#"{"level":"Loud"}"#, "none of"),
            (
                "/entropy",
                r#"{"rate_limiter":{"ops":{"size":1}}}"#,
                "refill_time",
            ),
            ("/actions", r#"{"action_type":"Explode"}"#, "none of"),
            ("/actions", r#"{"action_type":"SendCtrlAltDel"}"#, "not now"),
            (
                "/actions",
                r#"{"action_type":"InstanceStart"}"#,
                "no boot source",
            ),
        ] {
            let error = refused(path, body);
            assert!(error.contains(reason), "{path} {body}: {error}");
        }
    }

    #[test]
    fn the_order_matters() {
        let mut conversation = Conversation::default();
        let metrics = r#"{"metrics_path":"m"}"#;
        assert!(conversation.put("/metrics", metrics).is_ok());
        assert!(conversation.put("/metrics", metrics).is_err());
        let boot = r#"{"kernel_image_path":"k"}"#;
        assert_eq!(
            conversation.put("/boot-source", boot),
            Ok(Effect::Configured)
        );
        let start = r#"{"action_type":"InstanceStart"}"#;
        assert_eq!(conversation.put("/actions", start), Ok(Effect::Start));
        assert!(conversation.put("/actions", start).is_err());
        assert!(conversation.put("/boot-source", boot).is_err());
        let stop = r#"{"action_type":"SendCtrlAltDel"}"#;
        assert_eq!(conversation.put("/actions", stop), Ok(Effect::CtrlAltDel));
    }
}
