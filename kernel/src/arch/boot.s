# The two ways in. Both end in `kernel_entry(protocol, boot_information)` in 64-bit mode, on the
# boot stack, with interrupts off. AT&T syntax, because a far jump is awkward in LLVM's Intel one.

# PVH (Xen's "x86/HVM direct boot ABI"): the loader finds the 32-bit entry in this note. The name must be
# "Xen\0": QEMU takes others as well, Firecracker does not.
.section .note.Xen, "a", @note
    .balign 4
    .long 4                        # length of the name
    .long 8                        # length of the descriptor
    .long 18                       # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

.section .text.boot, "ax", @progbits
.code32
.global pvh_start
pvh_start:                         # paging off, no stack, EBX = hvm_start_info
    cli
    cld
    rdtsc
    movl %eax, {entry_tsc}
    movl %edx, {entry_tsc} + 4

    # Map the first __boot_pages * 2 MiB where they are; 3 = present, writable; 0x83 = 2 MiB page.
    # The tables lie in .bss, whose other bytes are zero.
    movl $boot_pdpt + 3, boot_pml4
    movl $boot_pd + 3, boot_pdpt
    movl $boot_pd, %edi
    movl $0x83, %eax
    movl $__boot_pages, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    decl %ecx
    jnz 1b

    movl $0x620, %eax              # PAE; OSFXSR, OSXMMEXCPT: SSE instructions do not trap
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx         # EFER
    rdmsr
    orl $0x900, %eax               # LME: long mode; NXE: no-execute bits are honoured
    wrmsr
    movl $0x80010033, %eax         # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    movl %ebx, %esi
    xorl %edi, %edi                # protocol 0: PVH
    lgdt boot_gdt_pointer
    ljmp $8, $enter

.code64
.global linux_start
linux_start:                       # long mode, loader's identity map, RSI = boot_params
    cli
    cld
    rdtsc
    movl %eax, {entry_tsc}
    movl %edx, {entry_tsc} + 4
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x800, %eax               # NXE; the rest is on already
    wrmsr
    movq %cr0, %rax
    orl $0x10022, %eax             # WP, NE, MP
    andl $0xfffffff3, %eax         # clear EM and TS: SSE instructions do not trap
    movq %rax, %cr0
    movq %cr4, %rax
    orl $0x600, %eax               # OSFXSR, OSXMMEXCPT: nor do these
    movq %rax, %cr4
    movl $1, %edi                  # protocol 1: Linux
    movl $boot_stack_top, %esp
    lgdt boot_gdt_pointer
    pushq $8
    pushq $enter
    lretq

enter:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp                # the end of every backtrace
.if {hard_float}
    # What the System V ABI (3.2.1) promises to compiled code. Not for code without SSE: a KVM that has
    # to emulate cannot do it.
    fninit
    ldmxcsr boot_mxcsr
.endif
    call {kernel_entry}
    ud2                            # kernel_entry does not return

# Only until arch::descriptors loads the kernel's own.
.section .rodata.boot, "a", @progbits
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff       # 64-bit code
    .quad 0x00cf93000000ffff       # data
boot_gdt_pointer:
    .word 23
    .quad boot_gdt
.if {hard_float}
    .balign 4
boot_mxcsr:
    .long 0x1f80                   # all exceptions masked, rounding to nearest
.endif

.section .bss.pages, "aw", @nobits
    .balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4096
.global boot_pml4, boot_stack_guard, boot_stack_top
boot_stack_guard: .skip 4096       # unmapped by memory::init
    .skip {boot_stack_size}
boot_stack_top:

# Later assembly continues where this file ends.
.text
