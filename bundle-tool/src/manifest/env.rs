//! `[env]`: the program's variables.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::RelativePath;

/// Longest name or value, in bytes: what a line of a bundle's index has room for.
const MAX_LENGTH: usize = 1024;

/// Variables that the program finds in its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EnvTable {
    /// A file of lines `NAME=VALUE`, such as `env/ukernel.env`.
    pub base: Option<RelativePath>,
    /// Variables and their values; they come before those of `base`.
    pub variables: BTreeMap<EnvName, EnvValue>,
}

/// A variable's name: a letter or an underscore, then letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct EnvName(String);

impl EnvName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EnvName {
    type Error = String;

    fn try_from(name: String) -> Result<EnvName, String> {
        let first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        let other = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !name.starts_with(first) || !name.chars().all(other) || name.len() > MAX_LENGTH {
            return Err(format!(
                "'{name}' is no name of a variable: letters, digits and underscores"
            ));
        }
        Ok(EnvName(name))
    }
}

/// A variable's value: one line of text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct EnvValue(String);

impl EnvValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EnvValue {
    type Error = String;

    fn try_from(value: String) -> Result<EnvValue, String> {
        if value.contains(char::is_control) {
            return Err("the value of a variable is one line, without control characters".into());
        }
        if value.len() > MAX_LENGTH {
            return Err(format!(
                "the value of a variable has at most {MAX_LENGTH} bytes"
            ));
        }
        Ok(EnvValue(value))
    }
}
