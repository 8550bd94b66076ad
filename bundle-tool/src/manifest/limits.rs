//! `[limits]`: what a build may not exceed.

use std::num::NonZeroU32;

use serde::Deserialize;

/// What a build may not exceed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LimitsTable {
    /// The most that `build/vmlinux` may need in memory, code and data, in KiB. Default: no limit.
    pub vmlinux_kb: Option<NonZeroU32>,
    /// The most that the bundle's files may have together, in KiB. Default: no limit.
    pub bundle_kb: Option<NonZeroU32>,
}
