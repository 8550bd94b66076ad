//! `[network]`: addresses of the first interface.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// Most name servers of an interface: the kernel's limit.
const MAX_NAME_SERVERS: usize = 3;

/// How the machine's first network interface gets its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkTable {
    /// `dhcp` asks a server, `static` takes the addresses below, `off` leaves the interface alone.
    pub mode: NetworkMode,
    /// The machine's address and its network's prefix, such as `10.0.2.15/24`. For `static`.
    pub address: Option<Ipv4Network>,
    /// The router. For `static`.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers, at most three. For `static`.
    pub dns: Vec<Ipv4Addr>,
    /// `auto` (what routers announce), `off`, or an address and prefix such as `fd00::2/64`. Default: `auto`.
    pub ipv6: Option<Ipv6Setting>,
    /// The router for IPv6. With an address in `ipv6`.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// The name that a DHCP server is told: at most 63 letters, digits and hyphens. Default: none.
    pub hostname: Option<HostName>,
}

/// Where addresses come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A DHCP server.
    #[default]
    Dhcp,
    /// The manifest.
    Static,
    /// Nowhere: the interface is not used.
    Off,
}

impl NetworkTable {
    /// Which keys go together.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_static = self.mode == NetworkMode::Static;
        let only_static = self.address.is_some() || self.gateway.is_some() || !self.dns.is_empty();
        if only_static && !is_static {
            return Err("`address`, `gateway` and `dns` need mode = \"static\"".into());
        }
        if is_static && self.address.is_none() {
            return Err("mode = \"static\" needs an `address`, such as \"10.0.2.15/24\"".into());
        }
        if self.dns.len() > MAX_NAME_SERVERS {
            return Err(format!("`dns` has at most {MAX_NAME_SERVERS} servers"));
        }
        if self.ipv6_gateway.is_some() && !matches!(self.ipv6, Some(Ipv6Setting::Static { .. })) {
            return Err("`ipv6_gateway` needs an address in `ipv6`".into());
        }
        Ok(())
    }

    /// The kernel's word for it; `None` where it does by itself what is asked for.
    pub(super) fn option(&self) -> Option<String> {
        if self.mode == NetworkMode::Dhcp && self.ipv6.is_none() {
            return None;
        }
        let mut word = match (self.mode, &self.address) {
            (NetworkMode::Off, _) => return Some("net=off".into()),
            (NetworkMode::Static, Some(address)) => format!("net={address}"),
            (NetworkMode::Static | NetworkMode::Dhcp, _) => "net=dhcp".into(),
        };
        let gateway = self.gateway.iter().map(|address| format!(",gw={address}"));
        let dns = self.dns.iter().map(|address| format!(",dns={address}"));
        let ipv6 = self.ipv6.iter().map(|setting| format!(",ip6={setting}"));
        let ipv6_gateway = self
            .ipv6_gateway
            .iter()
            .map(|address| format!(",gw6={address}"));
        word.extend(gateway.chain(dns).chain(ipv6).chain(ipv6_gateway));
        Some(word)
    }
}

/// An IPv4 address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct Ipv4Network {
    /// The machine's address.
    pub address: Ipv4Addr,
    /// 0 to 32.
    pub prefix: u8,
}

impl TryFrom<String> for Ipv4Network {
    type Error = String;

    fn try_from(text: String) -> Result<Ipv4Network, String> {
        let parsed = address_and_prefix(&text, 32);
        let (address, prefix) = parsed.ok_or(format!("'{text}' is not like 10.0.2.15/24"))?;
        Ok(Ipv4Network { address, prefix })
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// IPv6 of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
#[cfg_attr(test, schemars(!try_from, with = "String"))]
pub enum Ipv6Setting {
    /// What routers announce.
    Auto,
    /// None.
    Off,
    /// A fixed address.
    Static {
        /// The machine's address.
        address: Ipv6Addr,
        /// 0 to 128.
        prefix: u8,
    },
}

impl TryFrom<String> for Ipv6Setting {
    type Error = String;

    fn try_from(text: String) -> Result<Ipv6Setting, String> {
        match text.as_str() {
            "auto" => Ok(Ipv6Setting::Auto),
            "off" => Ok(Ipv6Setting::Off),
            text => {
                let parsed = address_and_prefix(text, 128);
                let (address, prefix) =
                    parsed.ok_or(format!("'{text}' is not auto, off or like fd00::2/64"))?;
                Ok(Ipv6Setting::Static { address, prefix })
            }
        }
    }
}

impl fmt::Display for Ipv6Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ipv6Setting::Auto => f.write_str("auto"),
            Ipv6Setting::Off => f.write_str("off"),
            Ipv6Setting::Static { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

fn address_and_prefix<A: FromStr>(text: &str, longest: u8) -> Option<(A, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= longest)?;
    Some((address.parse().ok()?, prefix))
}

/// A host name of one label (RFC 1123, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct HostName(String);

impl HostName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(name: String) -> Result<HostName, String> {
        let valid = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if name.is_empty() || name.len() > 63 || !name.chars().all(valid) {
            return Err(format!(
                "'{name}' is no host name: 1 to 63 letters, digits and hyphens"
            ));
        }
        Ok(HostName(name))
    }
}
