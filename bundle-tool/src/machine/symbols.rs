//! Turns the addresses of a guest's backtrace into functions and lines, from the ELF's DWARF. Used by
//! whatever shows a serial log to a person; never changes the log itself.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use abi::serial;
use addr2line::{Loader, demangle_auto};

/// The functions of one ELF, read when the first address is asked for.
pub struct Symbols {
    elf: PathBuf,
    /// `None`: not read yet. An ELF that cannot be read is not tried again.
    loader: Mutex<Option<Result<Loader, SymbolsError>>>,
}

/// The ELF has no symbols to offer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read symbols from {}: {reason}", elf.display())]
pub struct SymbolsError {
    elf: PathBuf,
    reason: String,
}

impl Symbols {
    /// The symbols of `elf`. Reads nothing yet.
    pub fn new(elf: impl Into<PathBuf>) -> Symbols {
        Symbols {
            elf: elf.into(),
            loader: Mutex::new(None),
        }
    }

    /// What to show below `line`, if it is a frame of a backtrace: the function and its place, after those
    /// that the compiler inlined there, innermost first. Nothing for any other line.
    ///
    /// # Errors
    /// The line is a frame, but the ELF cannot be read.
    pub fn explain(&self, line: &str) -> Result<Vec<String>, SymbolsError> {
        match serial::frame_address(line) {
            Some(address) => self.at(address),
            None => Ok(Vec::new()),
        }
    }

    /// The functions at `address`, innermost first, each as `function at file:line`.
    ///
    /// # Errors
    /// The ELF cannot be read.
    pub fn at(&self, address: u64) -> Result<Vec<String>, SymbolsError> {
        self.with_loader(|loader| {
            let frames = inlined_frames(loader, address);
            if !frames.is_empty() {
                return frames;
            }
            let symbol = loader.find_symbol(address);
            symbol
                .map(|name| demangle_auto(name.into(), None).into_owned())
                .into_iter()
                .collect()
        })
    }

    fn with_loader<T>(&self, read: impl FnOnce(&Loader) -> T) -> Result<T, SymbolsError> {
        let mut slot = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        let loader = slot.get_or_insert_with(|| {
            Loader::new(&self.elf).map_err(|error| SymbolsError {
                elf: self.elf.clone(),
                reason: error.to_string(),
            })
        });
        loader.as_ref().map(read).map_err(SymbolsError::clone)
    }
}

/// Empty where the ELF has no line table for the address.
fn inlined_frames(loader: &Loader, address: u64) -> Vec<String> {
    let mut shown = Vec::new();
    let Ok(mut frames) = loader.find_frames(address) else {
        return shown;
    };
    while let Ok(Some(frame)) = frames.next() {
        let name = frame
            .function
            .as_ref()
            .and_then(|function| function.demangle().ok());
        let mut text = name.map_or_else(|| "?".to_string(), |name| name.into_owned());
        if let Some(location) = frame.location {
            let file = location.file.map_or("?", relative);
            text.push_str(&format!(" at {file}:{}", location.line.unwrap_or(0)));
        }
        shown.push(text);
    }
    shown
}

/// A path below the working folder is shown from there.
fn relative(file: &str) -> &str {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| {
        Path::new(file)
            .strip_prefix(here)
            .ok()?
            .to_str()
            .map(str::len)
    });
    below.map_or(file, |length| &file[file.len() - length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own executable has DWARF and a function to look up.
    #[inline(never)]
    fn landmark() -> u64 {
        line!().into()
    }

    #[test]
    fn a_line_that_is_no_frame_needs_no_elf() {
        assert_eq!(
            Symbols::new("absent").explain("boot: ready").unwrap(),
            [""; 0]
        );
    }

    #[test]
    fn a_missing_elf_is_named() {
        let error = Symbols::new("absent")
            .explain("  at 0x0000000000001000")
            .unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }

    #[test]
    fn an_address_becomes_a_function_and_its_place() {
        let elf = std::env::current_exe().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mapping = maps
            .lines()
            .find(|line| line.ends_with(elf.to_str().unwrap()))
            .unwrap();
        let base = u64::from_str_radix(mapping.split('-').next().unwrap(), 16).unwrap();
        let address = landmark as fn() -> u64 as usize as u64 - base;
        let shown = Symbols::new(&elf)
            .explain(&format!("  at 0x{address:016x}"))
            .unwrap();
        let last = shown.last().expect("a frame");
        assert!(last.contains("landmark at "), "{last}");
        assert!(last.contains("symbols.rs:"), "{last}");
        assert!(landmark() > 0);
    }
}
