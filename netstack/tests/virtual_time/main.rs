//! Whole stacks on a wire, in virtual time: deterministic, and hours take milliseconds.
#![allow(clippy::unwrap_used, reason = "tests; their helpers are tests too")]

mod bound;
mod datagrams;
mod dhcp;
mod dns;
mod ends;
mod entropy;
mod hostile;
mod io_traits;
mod ipv6;
mod link;
mod listening;
mod loss;
mod memory;
mod pair;
mod path_mtu;
mod policy;
mod raw;
mod ring;
mod scale;
mod segmentation;
mod streams;
mod syn;
mod syn_flood;
