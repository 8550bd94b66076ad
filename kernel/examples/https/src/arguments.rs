//! The arguments of the request: where to, and whom to trust.

use alloc::vec::Vec;
use core::net::IpAddr;

use base64ct::{Base64, Encoding};
use ukernel::Result;

/// What the command line asks for.
pub(crate) struct Arguments<'a> {
    /// The server's name, as its certificate must state it.
    pub(crate) host: &'a str,
    /// The server's port.
    pub(crate) port: u16,
    /// What to ask for, from the slash on.
    pub(crate) path: &'a str,
    /// Where to connect, if not where DNS says.
    pub(crate) address: Option<IpAddr>,
    /// The trusted certificate, in DER.
    pub(crate) authority: Vec<u8>,
}

impl<'a> Arguments<'a> {
    /// Reads `url=`, `ca=` and `address=`.
    pub(crate) fn parse(words: &[&'a str]) -> Result<Self> {
        let value = |name: &str| {
            let mut pairs = words.iter().filter_map(|word| word.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let url = value("url").ok_or("url=https://<name>/ is missing")?;
        let rest = url.strip_prefix("https://").ok_or("the url is not https")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse()?),
            None => (authority, 443),
        };
        let ca = value("ca").ok_or("ca=<base64 of the certificate> is missing")?;
        Ok(Arguments {
            host,
            port,
            path: if path.is_empty() { "/" } else { path },
            address: value("address").map(str::parse).transpose()?,
            authority: Base64::decode_vec(ca).map_err(|_| "ca is not base64")?,
        })
    }
}
