//! A loader for tests: takes the kernel that QEMU gives as boot module, and enters it by the Linux
//! 64-bit boot protocol exactly as Firecracker before 1.12 does. Booted by PVH; knows the kernel only as
//! an ELF.
//!
//! It must leave nothing behind that Firecracker would not: the kernel may rely on what is there, and
//! must not on anything else.
#![no_std]
#![no_main]
#![allow(
    unsafe_code,
    reason = "places structures at fixed addresses and enters a kernel"
)]

mod memory;

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

use memory::{bytes, copy, read, write, zero};

global_asm!(include_str!("entry.s"), options(att_syntax));

/// Where Firecracker puts the zero page and the command line (its layout.rs).
const ZERO_PAGE: u64 = 0x7000;
const COMMAND_LINE: u64 = 0x2_0000;
const MAX_COMMAND_LINE: u64 = 2048;

/// Firecracker's page tables end here; what is beyond cannot be reached.
const MAPPED_END: u64 = 1 << 30;

/// The most entries that the zero page's memory map holds.
const MAX_E820_ENTRIES: u64 = 128;

/// Places the kernel and its zero page; returns the kernel's entry. Called once by entry.s, with the
/// address of the PVH start info.
#[unsafe(no_mangle)]
extern "C" fn load(start_info: u64) -> u64 {
    assert!(read::<u32>(start_info) == 0x336e_c578, "no PVH start info");
    assert!(
        read::<u32>(start_info + 12) > 0,
        "no boot module: give the kernel as initrd"
    );
    let modules: u64 = read(start_info + 16);
    let kernel: u64 = read(modules);
    let command_line = write_zero_page(start_info);
    let entry = load_elf(kernel);
    await_input(command_line);
    entry
}

/// How long it goes on waiting for the rest of the input, in cycles: a tenth of a second or so.
const MORE_INPUT: u64 = 300_000_000;

/// Where the command line begins with `await=keyboard`, waits for keys and leaves them for the kernel: so
/// they are there before it is.
fn await_input(command_line: &[u8]) {
    const KEYBOARD_STATUS: u16 = 0x64;
    if !command_line.starts_with(b"await=keyboard ") {
        return;
    }
    print("linux-entry: waiting for input\n");
    while port_read(KEYBOARD_STATUS) & 1 == 0 {}
    let first = cycles();
    while cycles() - first < MORE_INPUT {}
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and reading it changes nothing.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Fills in what Firecracker fills in, and nothing else. Returns the command line.
fn write_zero_page(start_info: u64) -> &'static [u8] {
    zero(ZERO_PAGE, 4096);
    write(ZERO_PAGE + 0x070, 0xe_0000u64); // acpi_rsdp_addr
    write(ZERO_PAGE + 0x1fe, 0xaa55u16); // boot_flag
    write(ZERO_PAGE + 0x202, 0x5372_6448u32); // "HdrS"
    write(ZERO_PAGE + 0x210, 0xffu8); // type_of_loader: undefined
    write(ZERO_PAGE + 0x228, COMMAND_LINE as u32); // cmd_line_ptr
    write(ZERO_PAGE + 0x230, 0x100_0000u32); // kernel_alignment
    let length = copy_command_line(read(start_info + 24));
    write(ZERO_PAGE + 0x238, length as u32); // cmdline_size
    let count = copy_memory_map(read(start_info + 40), read::<u32>(start_info + 48).into());
    write(ZERO_PAGE + 0x1e8, count as u8); // e820_entries
    bytes(COMMAND_LINE, length)
}

fn copy_command_line(source: u64) -> u64 {
    let mut length = 0;
    while source != 0 && length < MAX_COMMAND_LINE - 1 && read::<u8>(source + length) != 0 {
        length += 1;
    }
    copy(source, COMMAND_LINE, length);
    write(COMMAND_LINE + length, 0u8);
    length
}

/// PVH's entries of 24 bytes become e820's of 20; the types have the same numbers.
fn copy_memory_map(source: u64, count: u64) -> u64 {
    let count = count.min(MAX_E820_ENTRIES);
    for index in 0..count {
        let (from, to) = (source + index * 24, ZERO_PAGE + 0x2d0 + index * 20);
        write(to, read::<u64>(from));
        write(to + 8, read::<u64>(from + 8));
        write(to + 16, read::<u32>(from + 16));
    }
    count
}

/// Copies the segments as Firecracker does: those with bytes in the file, to their physical addresses,
/// without clearing what the file does not have.
fn load_elf(elf: u64) -> u64 {
    assert!(bytes(elf, 4) == b"\x7fELF", "the boot module is no ELF");
    let entry: u64 = read(elf + 24);
    assert!(
        entry >= 0x10_0000,
        "Firecracker refuses an entry below 1 MiB"
    );
    let headers = elf + read::<u64>(elf + 32);
    for index in 0..u64::from(read::<u16>(elf + 56)) {
        let header = headers + index * 56;
        let is_load = read::<u32>(header) == 1;
        let (offset, to, size): (u64, u64, u64) =
            (read(header + 8), read(header + 24), read(header + 32));
        if is_load && size > 0 {
            assert!(
                to + size <= memory::loader_start(),
                "the kernel reaches into this loader"
            );
            copy(elf + offset, to, size);
        }
    }
    entry
}

/// Says why, and ends the machine without an exit record, which is a failure.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print("linux-entry: ");
    print(info.message().as_str().unwrap_or("failed"));
    print("\n");
    loop {
        port_write(0x64, 0xfe);
    }
}

fn print(text: &str) {
    for byte in text.bytes() {
        port_write(0x3f8, byte);
    }
}

fn port_read(port: u16) -> u8 {
    let value;
    // SAFETY: only the keyboard controller's status is read, which changes nothing.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

fn port_write(port: u16, value: u8) {
    // SAFETY: only COM1's data register and the keyboard controller's command register are written (the
    // callers in this file), which touch no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}
