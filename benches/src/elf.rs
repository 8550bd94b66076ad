//! Addresses in a guest's ELF: where it is entered, and where its symbols are.

use std::io;
use std::path::Path;

use object::elf::NoteType;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};

/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const PVH_ENTRY_NOTE: NoteType = NoteType(18);

/// An ELF, read whole.
pub(crate) struct Elf(Vec<u8>);

impl Elf {
    pub(crate) fn read(path: &Path) -> io::Result<Elf> {
        let elf = Elf(std::fs::read(path)?);
        elf.parse()?;
        Ok(elf)
    }

    /// The address of the 32-bit entry that the PVH note names.
    pub(crate) fn pvh_entry(&self) -> io::Result<u64> {
        let file = self.parse()?;
        let endian = Endianness::Little;
        for header in file.elf_program_headers() {
            let Ok(Some(mut notes)) = header.notes(endian, self.0.as_slice()) else {
                continue;
            };
            while let Ok(Some(note)) = notes.next() {
                if note.n_type(endian) == PVH_ENTRY_NOTE
                    && let Some(entry) = note.desc().first_chunk::<4>()
                {
                    return Ok(u32::from_le_bytes(*entry).into());
                }
            }
        }
        Err(io::Error::other("the ELF has no PVH note"))
    }

    /// The address of a function, by its path, such as `ukernel::runtime::start`.
    pub(crate) fn symbol(&self, name: &str) -> io::Result<u64> {
        let file = self.parse()?;
        let found = file.symbols().find(|symbol| {
            let mangled = symbol.name().unwrap_or_default();
            format!("{:#}", rustc_demangle::demangle(mangled)) == name
        });
        let address = found.map(|symbol| symbol.address());
        address.ok_or_else(|| io::Error::other(format!("the ELF has no symbol {name}")))
    }

    fn parse(&self) -> io::Result<ElfFile64<'_>> {
        ElfFile64::parse(self.0.as_slice()).map_err(io::Error::other)
    }
}
