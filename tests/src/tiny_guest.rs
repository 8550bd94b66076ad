//! Guests of a few dozen machine instructions, to test the starting of machines without a kernel: an
//! ELF put together here, entered by PVH in 32-bit mode without a stack or paging.

use std::io::Write;

use tempfile::NamedTempFile;

/// Where the image is loaded and where code begins in it.
const BASE: u32 = 0x10_0000;
const CODE_OFFSET: u32 = 0x200;

/// What a guest does next, one after the other.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes a text to the serial line.
    Print(String),
    /// Waits for this byte on the serial line.
    AwaitSerial(u8),
    /// Waits for so many bytes from the keyboard.
    AwaitKeyboard(u8),
    /// Resets the machine, which ends it.
    Reset,
    /// Loads an empty interrupt table and faults: a triple fault.
    TripleFault,
    /// Does nothing for ever.
    Hang,
}

/// Writes a guest that takes `steps`, to a file that goes when it is dropped.
///
/// # Panics
/// The file cannot be written.
pub fn tiny_guest(steps: &[Step]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&elf(&code(steps)))
        .expect("a temporary file is writable");
    file
}

/// The bytes of a guest that asks for a bundle: with the two words that `ukernel pack --image` writes to, and their symbol.
pub fn asking_guest(steps: &[Step]) -> Vec<u8> {
    const SYMBOLS: &[u8] = b"\0ukernel_embedded_bundle\0";
    let code = code(steps);
    let words = u64::from(BASE + CODE_OFFSET) + code.len() as u64;
    let mut image = elf(&[code, vec![0xff; 16]].concat());
    let names_at = image.len() as u64;
    image.extend(SYMBOLS);
    image.resize(image.len().next_multiple_of(8), 0);
    let table_at = image.len() as u64;
    image.extend([0; 24]); // the first symbol is none
    image.extend(1u32.to_le_bytes()); // its name
    image.extend([0x11, 0, 1, 0]); // an object, for all, in the first section
    image.extend(words.to_le_bytes());
    image.extend(16u64.to_le_bytes());
    let sections_at = image.len() as u64;
    image.extend([0; 64]); // the first section is none
    section_header(&mut image, 3, names_at, SYMBOLS.len() as u64, 0);
    section_header(&mut image, 2, table_at, 48, 24);
    image[0x28..0x30].copy_from_slice(&sections_at.to_le_bytes());
    image[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
    image
}

/// The header of a section of names, or of symbols whose names are in the section before.
fn section_header(image: &mut Vec<u8>, kind: u32, offset: u64, size: u64, entry_size: u64) {
    image.extend(0u32.to_le_bytes());
    image.extend(kind.to_le_bytes());
    for field in [0, 0, offset, size] {
        image.extend(field.to_le_bytes());
    }
    image.extend(1u32.to_le_bytes()); // the section of the names
    image.extend(1u32.to_le_bytes()); // of the symbols, the first that is for all
    image.extend(1u64.to_le_bytes());
    image.extend(entry_size.to_le_bytes());
}

/// The line that a guest ends with.
pub fn exit_record(status: u8) -> Step {
    Step::Print(format!("{}{status}\n", abi::serial::EXIT_PREFIX))
}

fn code(steps: &[Step]) -> Vec<u8> {
    let mut code = Vec::new();
    for step in steps {
        match step {
            Step::Print(text) => print(&mut code, text.as_bytes()),
            // 1: mov dx,3fd; in al,dx; test al,1; jz 1b; mov dx,3f8; in al,dx; cmp al,B; jne 1b
            Step::AwaitSerial(byte) => code.extend([
                0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, 0x66, 0xba, 0xf8, 0x03, 0xec,
                0x3c, *byte, 0x75, 0xee,
            ]),
            // mov ecx,N; 1: in al,64; test al,1; jz 1b; in al,60; loop 1b
            Step::AwaitKeyboard(count) => code.extend([
                0xb9, *count, 0, 0, 0, 0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4, 0x60, 0xe2, 0xf6,
            ]),
            // mov al,fe; out 64,al
            Step::Reset => code.extend([0xb0, 0xfe, 0xe6, 0x64]),
            // ud2: the table that PVH leaves is not one.
            Step::TripleFault => code.extend([0x0f, 0x0b]),
            // 1: jmp 1b
            Step::Hang => code.extend([0xeb, 0xfe]),
        }
    }
    // Whatever a guest forgets, it does not run into data.
    code.extend([0xeb, 0xfe]);
    code
}

/// The text stands behind the code that prints it: call pushes nothing, as there is no stack.
fn print(code: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("a short text");
    // mov esi,TEXT; mov ecx,N; mov edx,3f8; rep outsb; jmp over the text (rel32): 22 bytes
    let text_at = BASE + CODE_OFFSET + u32::try_from(code.len()).expect("short code") + 22;
    code.push(0xbe);
    code.extend(text_at.to_le_bytes());
    code.push(0xb9);
    code.extend(length.to_le_bytes());
    code.extend([0xba, 0xf8, 0x03, 0, 0]);
    code.extend([0xf3, 0x6e]);
    code.push(0xe9);
    code.extend(length.to_le_bytes());
    code.extend(text);
}

/// An ELF with one segment for everything, and the PVH note (Xen's `XEN_ELFNOTE_PHYS32_ENTRY`).
fn elf(code: &[u8]) -> Vec<u8> {
    const NOTE_OFFSET: u32 = 0x100;
    let entry = BASE + CODE_OFFSET;
    let size = u64::from(CODE_OFFSET) + code.len() as u64;
    let mut image = Vec::new();
    image.extend(b"\x7fELF\x02\x01\x01");
    image.resize(16, 0);
    image.extend(2u16.to_le_bytes()); // ET_EXEC
    image.extend(62u16.to_le_bytes()); // EM_X86_64
    image.extend(1u32.to_le_bytes());
    image.extend(u64::from(entry).to_le_bytes());
    image.extend(64u64.to_le_bytes()); // program headers follow
    image.extend(0u64.to_le_bytes());
    image.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 0, 0, 0] {
        image.extend(half.to_le_bytes());
    }
    let base = u64::from(BASE);
    let note_at = u64::from(NOTE_OFFSET);
    program_header(&mut image, 1, 7, 0, base, size);
    program_header(&mut image, 4, 4, note_at, base + note_at, 20);
    image.resize(NOTE_OFFSET as usize, 0);
    for word in [4u32, 4, 18] {
        image.extend(word.to_le_bytes());
    }
    image.extend(b"Xen\0");
    image.extend(entry.to_le_bytes());
    image.resize(CODE_OFFSET as usize, 0);
    image.extend(code);
    image
}

fn program_header(image: &mut Vec<u8>, kind: u32, flags: u32, offset: u64, at: u64, size: u64) {
    image.extend(kind.to_le_bytes());
    image.extend(flags.to_le_bytes());
    for field in [offset, at, at, size, size, 4] {
        image.extend(field.to_le_bytes());
    }
}
