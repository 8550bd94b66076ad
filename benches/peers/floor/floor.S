/* The smallest PVH guest: says that it serves, and halts. What it takes, the VMM takes. */
        .section .note.xen, "a", @note
        .long   4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   _start

        .section .text
        .globl  _start
_start:
        movl    $message, %esi
        movl    $(message_end - message), %ecx
        movw    $0x3f8, %dx             /* COM1 */
        rep outsb
        cli
halt:
        hlt
        jmp     halt
message:
        .ascii  "bench: serving\n"
message_end:
