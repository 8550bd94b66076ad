//! `[volumes]`: disks for data.

use serde::Deserialize;

/// A disk for data, behind the bundle's. The program finds it by its name; the kernel knows no file system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VolumeTable {
    /// How large the disk is made where it does not exist yet, in MiB: 1 to 1048576.
    pub size_mb: VolumeSize,
    /// Whether the program can only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// A size in MiB: 1 to 1048576, which is a tebibyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "u32")]
pub struct VolumeSize(u32);

impl VolumeSize {
    /// The size in MiB.
    pub fn mib(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for VolumeSize {
    type Error = String;

    fn try_from(mib: u32) -> Result<VolumeSize, String> {
        if !(1..=1 << 20).contains(&mib) {
            return Err(format!("a volume has 1 to {} MiB, not {mib}", 1 << 20));
        }
        Ok(VolumeSize(mib))
    }
}
