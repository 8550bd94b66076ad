//! What `-p` takes: a forwarded port, and the environment variable by which a person may choose
//! another one. Read once, when the command line is parsed.

use std::env;
use std::str::FromStr;

use crate::machine::Forward;

/// A forwarded port, and where its number on this machine comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publish {
    pub(super) forward: Forward,
    /// The environment variable that overrides the host's port.
    pub(super) variable: Option<String>,
}

impl Publish {
    /// A port that no variable changes.
    pub(super) fn plain(forward: Forward) -> Publish {
        Publish {
            forward,
            variable: None,
        }
    }
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Publish, String> {
        parse(text, |variable| env::var(variable).ok())
    }
}

/// Reads `[VARIABLE=]HOST:GUEST[/tcp|/udp]`. A variable that is empty counts as not set.
fn parse(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Result<Publish, String> {
    let Some((variable, ports)) = text.split_once('=') else {
        return text.parse().map(Publish::plain);
    };
    let mut forward: Forward = ports.parse()?;
    if let Some(value) = value_of(variable).filter(|value| !value.is_empty()) {
        let number = value.parse();
        forward.host_port =
            number.map_err(|_| format!("{variable} is '{value}', which is no port"))?;
    }
    Ok(Publish {
        forward,
        variable: Some(variable.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: Option<&str>) -> Result<Publish, String> {
        parse("PORT=8080:80/udp", |variable| {
            assert_eq!(variable, "PORT");
            value.map(String::from)
        })
    }

    #[test]
    fn a_variable_overrides_the_port() {
        assert_eq!(with(None).unwrap().forward, Forward::udp(8080, 80));
        assert_eq!(with(Some("")).unwrap().forward, Forward::udp(8080, 80));
        let published = with(Some("9000")).unwrap();
        assert_eq!(published.forward, Forward::udp(9000, 80));
        assert_eq!(published.variable.as_deref(), Some("PORT"));
    }

    #[test]
    fn a_variable_that_is_no_port_is_named() {
        for bad in ["x", "-1", "65536", "80 "] {
            let error = with(Some(bad)).unwrap_err();
            assert!(error.contains("PORT") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_port_needs_no_variable() {
        let published = parse("8080:80", |_| panic!("no variable")).unwrap();
        assert_eq!(published.forward, Forward::tcp(8080, 80));
        assert_eq!(published.variable, None);
        assert!(parse("PORT=:80", |_| None).is_err());
    }
}
