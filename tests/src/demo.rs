//! The demo worker in a machine, ready to be asked.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;

use bundle_tool::machine::{Forward, Nic, Qemu, VmConfig};

use crate::http::{self, Response};
use crate::vm::{TestVm, boot, config};

/// Where the demo listens, in the guest.
const HTTP: u16 = 8080;
const ECHO: u16 = 7;

/// A demo worker that has an address and listens.
pub struct Demo {
    vm: TestVm,
    /// Its HTTP server, as seen from here.
    pub http: SocketAddr,
    /// Its TCP echo.
    pub echo: SocketAddr,
    /// Its UDP echo.
    pub udp_echo: SocketAddr,
}

/// A machine with the demo and a network that leads to it.
///
/// # Panics
/// The demo has not been built.
pub fn demo_config() -> VmConfig {
    config("demo").nic(forwarding_nic()).options("log=info")
}

/// An interface on the user-mode network that leads to the demo's ports.
pub fn forwarding_nic() -> Nic {
    Nic::user([
        Forward::tcp(0, HTTP),
        Forward::tcp(0, ECHO),
        Forward::udp(0, ECHO),
    ])
}

impl Demo {
    /// Boots `config`, which comes from [`demo_config`], and waits until it listens.
    ///
    /// # Panics
    /// It does not come up.
    #[track_caller]
    pub fn boot(config: VmConfig) -> Demo {
        Demo::on(boot(Qemu::new(config)))
    }

    /// Waits until the demo in `vm` listens.
    ///
    /// # Panics
    /// It does not come up.
    #[track_caller]
    pub fn on(vm: TestVm) -> Demo {
        vm.expect_line("net: address assigned addr=10.0.2.15/24");
        vm.expect_line("http: listening");
        let tcp = |port| vm.forwarded(port).expect("the demo's ports are forwarded");
        let udp_echo = vm
            .forwarded_udp(ECHO)
            .expect("the demo's ports are forwarded");
        Demo {
            http: tcp(HTTP),
            echo: tcp(ECHO),
            udp_echo,
            vm,
        }
    }

    /// Gets `path` over a connection of its own.
    ///
    /// # Errors
    /// The connection failed, or what came is not HTTP.
    pub fn get(&self, path: &str) -> io::Result<Response> {
        http::get(self.http, path)
    }

    /// Gets `path` and checks that all is well.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn get_ok(&self, path: &str) -> Response {
        let response = self
            .get(path)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response
    }

    /// A number from `/metrics`, summed over its labels.
    ///
    /// # Panics
    /// There is none of this name.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        metric(self.get_ok("/metrics").text(), name)
    }

    /// Checks that the demo answers.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn expect_healthy(&self) {
        assert_eq!(self.get_ok("/healthz").text(), "ok\n");
    }
}

impl Deref for Demo {
    type Target = TestVm;

    fn deref(&self) -> &TestVm {
        &self.vm
    }
}

/// Reads a number from Prometheus' text format, summed over its labels.
///
/// # Panics
/// There is none of this name.
#[track_caller]
pub fn metric(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let values: Vec<f64> = samples
        .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
        .filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'))
        .map(|(_, value)| value.parse().expect("a number"))
        .collect();
    assert!(!values.is_empty(), "no metric {name}");
    values.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# HELP a_total x\na_total 3\na_totals 5\nb{net=\"0\"} 1\nb{net=\"1\"} 2.5\n";
        assert_eq!(metric(text, "a_total").to_bits(), 3f64.to_bits());
        assert_eq!(metric(text, "b").to_bits(), 3.5f64.to_bits());
    }
}
