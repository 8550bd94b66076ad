/*
 * Counts what a guest does: instructions, and those among them that would leave a virtual machine with
 * hardware support (MMIO and port accesses, HLT, MSR accesses; CPUID apart). A plugin for QEMU's TCG, so
 * that the guest needs no change and the numbers do not depend on the host's speed.
 *
 *   -plugin file=gauge.so,start=ADDRESS,mark=ADDRESS[,mark=ADDRESS]...
 *
 * Counting begins at the first execution of `start`. At each execution of a `mark` a line goes to
 * standard error, for the first MAX_LINES of them:
 *
 *   gauge: mark=0x103420 insns=51234 mmio=61 pio=120 hlt=0 msr=9 cpuid=4 iret=2
 *
 * The instruction at a mark is counted, a repeated string instruction once per repetition.
 *
 * QEMU 7.2 as Debian ships it has plugins but no header for them, so the part of the interface that is
 * used here is declared here (QEMU's docs/devel/tcg-plugins.rst, version 1).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_MARKS = 16, MAX_LINES = 1024 };

/* --- QEMU's interface ---------------------------------------------------------------------------- */

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

enum { NO_REGISTERS = 0 };      /* enum qemu_plugin_cb_flags */
enum { READS_AND_WRITES = 3 };  /* enum qemu_plugin_mem_rw */
enum { ADD_U64 = 0 };           /* enum qemu_plugin_op */

typedef void (*translated_fn)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed_fn)(unsigned int vcpu, void *data);
typedef void (*accessed_fn)(unsigned int vcpu, qemu_plugin_meminfo_t, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed_fn, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *counter, uint64_t);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, accessed_fn, int flags, int rw, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *);

EXPORT int qemu_plugin_version = 1;

/* --- counting ------------------------------------------------------------------------------------ */

struct counts {
    uint64_t insns, mmio, pio, hlt, msr, cpuid, iret;
};

struct mark {
    uint64_t address;
};

/* One processor, one thread that runs it: no locks. */
static struct counts total, at_start;
static bool started;
static unsigned line_count;
static uint64_t start_address;
static struct mark marks[MAX_MARKS];
static size_t mark_count;

static void on_start(unsigned int vcpu, void *data)
{
    (void)vcpu, (void)data;
    if (!started) {
        started = true;
        at_start = total;
        at_start.insns -= 1; /* this one counts */
    }
}

static void on_mark(unsigned int vcpu, void *data)
{
    const struct mark *mark = data;

    (void)vcpu;
    if (line_count == MAX_LINES)
        return;
    line_count += 1;
    fprintf(stderr,
            "gauge: mark=0x%" PRIx64 " insns=%" PRIu64 " mmio=%" PRIu64 " pio=%" PRIu64
            " hlt=%" PRIu64 " msr=%" PRIu64 " cpuid=%" PRIu64 " iret=%" PRIu64 "\n",
            mark->address, total.insns - at_start.insns, total.mmio - at_start.mmio,
            total.pio - at_start.pio, total.hlt - at_start.hlt, total.msr - at_start.msr,
            total.cpuid - at_start.cpuid, total.iret - at_start.iret);
    fflush(stderr);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    const struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, address);

    (void)vcpu, (void)data;
    if (where && qemu_plugin_hwaddr_is_io(where))
        total.mmio += 1;
}

/* Legacy and REX prefixes (AMD64 manual volume 3, 1.2). */
static bool is_prefix(uint8_t byte)
{
    static const uint8_t legacy[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};

    return (byte & 0xf0) == 0x40 || memchr(legacy, byte, sizeof legacy);
}

/* The counter for an instruction that leaves the machine by itself, or NULL. */
static uint64_t *counter_of(const uint8_t *code, size_t size)
{
    size_t at = 0;

    while (at < size && is_prefix(code[at]))
        at++;
    if (at == size)
        return NULL;
    switch (code[at]) {
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* INS, OUTS */
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* IN, OUT with a constant port */
    case 0xec: case 0xed: case 0xee: case 0xef: /* IN, OUT with DX */
        return &total.pio;
    case 0xcf: /* IRET, the end of an interrupt or exception */
        return &total.iret;
    case 0xf4:
        return &total.hlt;
    case 0x0f:
        if (at + 1 == size)
            return NULL;
        if (code[at + 1] == 0x30 || code[at + 1] == 0x32) /* WRMSR, RDMSR */
            return &total.msr;
        return code[at + 1] == 0xa2 ? &total.cpuid : NULL;
    default:
        return NULL;
    }
}

static void watch(struct qemu_plugin_insn *insn)
{
    uint64_t address = qemu_plugin_insn_vaddr(insn);
    uint64_t *counter = counter_of(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));

    qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &total.insns, 1);
    if (counter)
        qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, counter, 1);
    qemu_plugin_register_vcpu_mem_cb(insn, on_access, NO_REGISTERS, READS_AND_WRITES, NULL);
    if (address == start_address)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, NO_REGISTERS, NULL);
    for (size_t i = 0; i < mark_count; i++)
        if (address == marks[i].address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGISTERS, &marks[i]);
}

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);

    (void)id;
    for (size_t i = 0; i < count; i++)
        watch(qemu_plugin_tb_get_insn(block, i));
}

static bool read_option(const char *option)
{
    const char *value = strchr(option, '=');
    char *end;

    if (!value)
        return false;
    uint64_t address = strtoull(value + 1, &end, 0);
    if (*end || end == value + 1)
        return false;
    if (!strncmp(option, "start=", 6)) {
        start_address = address;
        return true;
    }
    if (strncmp(option, "mark=", 5) || mark_count == MAX_MARKS)
        return false;
    marks[mark_count++].address = address;
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!read_option(argv[i])) {
            fprintf(stderr, "gauge: cannot use option %s\n", argv[i]);
            return -1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    return 0;
}
