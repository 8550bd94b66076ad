//! Kernels as files (ELF): without what only people read, and with a bundle inside, so that one file is all a machine
//! needs.
//!
//! A kernel whose workload asks for a bundle has two words for that (`ukernel_embedded_bundle`): where the bundle is in
//! memory, and how long. The bundle becomes one more segment, which every loader of ELF files puts there.

use std::ops::Range;

use object::{Object, ObjectSymbol};

/// What an ELF file begins with.
pub const MAGIC: [u8; 4] = *b"\x7fELF";
/// Most bytes of a bundle in a kernel: the kernel's first tables come behind it in the memory that is mapped when it
/// starts.
pub const MAX_CARRIED: usize = 16 << 20;

/// The symbol of the two words.
const WORDS: &str = "ukernel_embedded_bundle";
/// Their bytes: two numbers of 64 bits.
const WORDS_BYTES: u64 = 16;
/// Bytes of an ELF header, and of a program header (ELF-64 Object File Format, figures 2 and 6).
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// A segment that is loaded.
const LOAD: u64 = 1;
/// What segments are aligned to.
const PAGE: u64 = 4096;

/// Why a kernel cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// It is no kernel that the tool has built, or cut off.
    #[error("it is not a kernel for x86-64 (ELF), or not all of one")]
    Malformed,
    /// Its workload never looks for a bundle.
    #[error("its program does not ask for a bundle, with #[ukernel::main(bundle)]")]
    AsksForNone,
    /// The bundle is too large for it.
    #[error(
        "the bundle has {0} bytes, and a kernel carries at most {MAX_CARRIED}: pack a pair instead of one file"
    )]
    TooLarge(u64),
}

/// A segment, as its program header has it.
struct Segment {
    kind: u64,
    offset: u64,
    virtual_address: u64,
    physical_address: u64,
    file_size: u64,
    memory_size: u64,
}

/// The kernel without symbols and debugging information: what a loader reads, byte for byte, and nothing behind it. A
/// backtrace is made readable with the file that it was made of.
///
/// # Errors
/// [`KernelError::Malformed`].
pub fn stripped(kernel: &[u8]) -> Result<Vec<u8>, KernelError> {
    let segments = segments(kernel).ok_or(KernelError::Malformed)?;
    let ends = segments
        .iter()
        .map(|segment| segment.offset + segment.file_size);
    let end = ends.max().unwrap_or(0).max(HEADER as u64) as usize;
    let mut bytes = kernel.get(..end).ok_or(KernelError::Malformed)?.to_vec();
    // Where sections are described, how many they are, and which has their names: nowhere, none, none.
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    Ok(bytes)
}

/// The kernel, stripped, with a bundle's archive inside.
///
/// # Errors
/// It is no kernel for that, or the archive is too large.
pub fn carrying(kernel: &[u8], archive: &[u8]) -> Result<Vec<u8>, KernelError> {
    if archive.len() > MAX_CARRIED {
        return Err(KernelError::TooLarge(archive.len() as u64));
    }
    let segments = segments(kernel).ok_or(KernelError::Malformed)?;
    let words = words(kernel, &segments)?;
    let count = u16::try_from(segments.len() + 1).map_err(|_| KernelError::Malformed)?;
    let mut bytes = stripped(kernel)?;
    let ends = segments
        .iter()
        .map(|segment| segment.physical_address + segment.memory_size);
    let address = ends.max().unwrap_or(0).next_multiple_of(PAGE);
    // The program headers need room for one more, so they move behind the rest.
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table = bytes.len();
    let old = number(kernel, 0x20, 8).ok_or(KernelError::Malformed)? as usize;
    bytes.extend_from_slice(&kernel[old..old + segments.len() * PROGRAM_HEADER]);
    let offset = (bytes.len() + PROGRAM_HEADER).next_multiple_of(PAGE as usize);
    let length = archive.len() as u64;
    // Type and flags (readable), then the fields of a `Segment`, then the alignment.
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&4u32.to_le_bytes());
    for field in [offset as u64, address, address, length, length, PAGE] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.resize(offset, 0);
    bytes.extend_from_slice(archive);
    bytes[0x20..0x28].copy_from_slice(&(table as u64).to_le_bytes());
    bytes[0x38..0x3a].copy_from_slice(&count.to_le_bytes());
    bytes[words.clone()][..8].copy_from_slice(&address.to_le_bytes());
    bytes[words][8..].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// The archive that a kernel carries, if it does.
pub fn carried(kernel: &[u8]) -> Option<&[u8]> {
    let segments = segments(kernel)?;
    // `carrying` puts it last.
    let last = segments.last().filter(|segment| segment.kind == LOAD)?;
    let bytes = kernel
        .get(last.offset as usize..)?
        .get(..last.file_size as usize)?;
    bundle::Verifier::recognizes(bytes.first_chunk()?).then_some(bytes)
}

/// How much memory a kernel's code and data need, in bytes.
///
/// # Errors
/// [`KernelError::Malformed`].
pub fn loaded_size(kernel: &[u8]) -> Result<u64, KernelError> {
    let segments = segments(kernel).ok_or(KernelError::Malformed)?;
    let loaded = segments.iter().filter(|segment| segment.kind == LOAD);
    Ok(loaded.map(|segment| segment.memory_size).sum())
}

/// Whether a kernel's workload asks for a bundle; `None`: the file does not tell, as one without symbols.
pub fn asks_for_bundle(kernel: &[u8]) -> Option<bool> {
    let file = object::File::parse(kernel).ok()?;
    let mut symbols = file.symbols().peekable();
    symbols.peek()?;
    Some(symbols.any(|symbol| symbol.name() == Ok(WORDS)))
}

/// Where the two words are in the file.
fn words(kernel: &[u8], segments: &[Segment]) -> Result<Range<usize>, KernelError> {
    let file = object::File::parse(kernel).map_err(|_| KernelError::Malformed)?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(WORDS));
    let address = symbol.ok_or(KernelError::AsksForNone)?.address();
    let holds = |segment: &&Segment| {
        let end = segment.virtual_address + segment.file_size;
        // Where both words are.
        let starts = segment.virtual_address..end.saturating_sub(WORDS_BYTES - 1);
        segment.kind == LOAD && starts.contains(&address)
    };
    let segment = segments.iter().find(holds).ok_or(KernelError::Malformed)?;
    let at = (segment.offset + address - segment.virtual_address) as usize;
    Ok(at..at + WORDS_BYTES as usize)
}

/// The segments of an ELF file, checked so that their places and sizes can be added up.
fn segments(kernel: &[u8]) -> Option<Vec<Segment>> {
    // 64 bits, little-endian, for x86-64.
    if !kernel.starts_with(&MAGIC) || kernel.get(4..6)? != [2, 1] || number(kernel, 0x12, 2)? != 62
    {
        return None;
    }
    let (table, count) = (number(kernel, 0x20, 8)?, number(kernel, 0x38, 2)?);
    if number(kernel, 0x36, 2)? != PROGRAM_HEADER as u64 || table > kernel.len() as u64 {
        return None;
    }
    let segment = |index: u64| {
        let at = table as usize + index as usize * PROGRAM_HEADER;
        let field = |offset: usize| number(kernel, at + offset, 8).filter(|&value| value < 1 << 48);
        let segment = Segment {
            kind: number(kernel, at, 4)?,
            offset: field(8)?,
            virtual_address: field(16)?,
            physical_address: field(24)?,
            file_size: field(32)?,
            memory_size: field(40)?,
        };
        (segment.offset + segment.file_size <= kernel.len() as u64).then_some(segment)
    };
    (0..count).map(segment).collect()
}

/// A little-endian number of that many bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..size].copy_from_slice(bytes.get(at..)?.get(..size)?);
    Some(u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests;
