//! `[capabilities]`: the kernel's policy. The words are those of `allow=`, and read by the kernel's own code.

use policy::Policy;
use serde::Deserialize;

/// What the program may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CapabilitiesTable {
    /// All that the program may do: items such as `log`, `net:listen:tcp:8080`, `net:connect:tcp:10.0.0.0/8:443`,
    /// `net:resolve`, `io:disk:1:ro` or `none`. Disk 0 is the bundle's; volumes follow in the order of their names.
    pub allow: Vec<AllowItem>,
}

/// One item of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct AllowItem(String);

impl AllowItem {
    /// The item.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AllowItem {
    type Error = String;

    fn try_from(item: String) -> Result<AllowItem, String> {
        if item.is_empty() || item.contains([',', ' ']) || item.contains(char::is_control) {
            return Err(format!(
                "'{item}' is not one item: each stands in quotes of its own"
            ));
        }
        match Policy::default().allow(&item) {
            Ok(()) => Ok(AllowItem(item)),
            Err(problem) => Err(format!("'{item}' allows nothing: {problem}")),
        }
    }
}
