# The way in and the way out (AT&T syntax). In: PVH, 32-bit, paging off, EBX = start info. Out: the
# state in which Firecracker enters a kernel by the Linux 64-bit boot protocol (its regs.rs and
# layout.rs): a GDT at 0x500, page tables at 0x9000 that map the first GiB and no more,
# RSI = 0x7000 (the zero page), RSP = RBP = 0x8ff0.

.section .note.Xen, "a", @note
.align 4
.long 4                        # size of the name
.long 4                        # size of the description
.long 18                       # XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long loader_start

.text
.code32
.global loader_start
loader_start:
    cli
    cld
    movl %ebx, %ebp

    movl $0x9000, %edi         # PML4, PDPT and PD, cleared
    xorl %eax, %eax
    movl $0xc00, %ecx
    rep stosl
    movl $0xa003, 0x9000
    movl $0xb003, 0xa000
    movl $0xb000, %edi         # 512 pages of 2 MiB
    movl $0x83, %eax
    movl $512, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b

    movl $gdt, %esi            # the GDT, to where Firecracker has it
    movl $0x500, %edi
    movl $8, %ecx
    rep movsl

    movl %cr4, %eax
    orl $0x20, %eax            # PAE
    movl %eax, %cr4
    movl $0x9000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx     # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax      # PG, PE
    movl %eax, %cr0
    lgdt gdtr
    ljmp $0x08, $long_mode

.code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $stack_top, %esp
    movl %ebp, %edi
    call load
    movl $0x7000, %esi
    movl $0x8ff0, %esp
    movl $0x8ff0, %ebp
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %edi, %edi
    jmp *%rax

.section .data.gdt, "aw", @progbits
.align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff   # 64-bit code
    .quad 0x00cf93000000ffff   # data
    .quad 0x008f8b000000ffff   # task state, as Firecracker has it; never loaded: a VMM can, LTR refuses it
gdtr:
    .word 31
    .quad 0x500

.section .bss.stack, "aw", @nobits
.align 16
.skip 16384
stack_top:
.text
