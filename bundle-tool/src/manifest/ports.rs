//! `[run] ports`: forwarded ports.

use serde::Deserialize;

use crate::machine::Forward;

/// A port of the host that leads to one of the guest: `HOST:GUEST`, with `/tcp` or `/udp` behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
#[cfg_attr(test, schemars(!try_from, with = "String"))]
pub struct Port(
    /// As a machine takes it.
    pub Forward,
);

impl TryFrom<String> for Port {
    type Error = String;

    fn try_from(text: String) -> Result<Port, String> {
        text.parse().map(Port)
    }
}
