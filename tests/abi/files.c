/* io_open and what is done to what it opens: the console, and a disk where there is one ("disk:0", which is
 * overwritten). */
#include "tap.h"

static handle_t open_path(const char *path, u32 flags)
{
    handle_t handle = 0;
    OKAY(io_open(P(path), flags, &handle));
    return handle;
}

/* A disk's handle, from its start on; 0: there is none, and the test is skipped. */
static handle_t open_disk(u32 flags)
{
    handle_t disk = 0;
    result_t result = io_open(P("disk:0"), flags, &disk);
    if (result != OK) {
        GIVES(ERR_NOENT, result);
        skip_rest("there is no disk");
    }
    return disk;
}

static io_info_t info_of(handle_t handle)
{
    io_info_t info = {~0ull, 0, ~0u};
    OKAY(io_info(handle, &info));
    return info;
}

static u64 seek_to(handle_t disk, i64 offset, u32 whence)
{
    u64 position = ~0ull;
    OKAY(io_seek(disk, offset, whence, &position));
    return position;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static void paths_name_what_there_is(void)
{
    static const char *const nothing[] = {"",       "nothing", "serial ", "seria",  "disk",    "disk:",
                                          "disk:9999", "disk:-1", "disk:x",  "disk:0x", "disk:99999999999999999999"};
    handle_t handle = 77;
    u32 at;
    for (at = 0; at < COUNT(nothing); at++) {
        note_about(nothing[at]);
        FAILS(ERR_NOENT, 1, io_open(P(nothing[at]), 0, &handle));
    }
    EQUAL(handle, 77);
    EQUAL(open_path("serial", 0) >> 56, HANDLE_IO);
}

static void paths_have_an_end_and_a_limit(void)
{
    static char path[300];
    handle_t handle = 77;
    fill(path, 'a', sizeof(path));
    FAILS(ERR_INVALID, 1, io_open(P(path), 0, &handle));
    path[256] = 0;
    FAILS(ERR_INVALID, 1, io_open(P(path), 0, &handle));
    path[255] = 0;
    FAILS(ERR_NOENT, 1, io_open(P(path), 0, &handle));
    path[3] = (char)0xff; /* no UTF-8 */
    FAILS(ERR_NOENT, 1, io_open(P(path), 0, &handle));
    FAILS(ERR_INVALID, 1, io_open(0, 0, &handle));
    FAILS(ERR_INVALID, 1, io_open(NOWHERE, 0, &handle));
    FAILS(ERR_INVALID, 2, io_open(P("serial"), 1 << 3, &handle));
    FAILS(ERR_INVALID, 2, io_open(P("serial"), 1u << 31, &handle));
    FAILS(ERR_INVALID, 3, io_open(P("serial"), 0, 0));
    EQUAL(handle, 77);
}

/* --- the console --------------------------------------------------------------------------------------------- */

static void the_console_is_written(void)
{
    static const char first[] = "# a line ", second[] = "of two pieces\n";
    io_vec_t pieces[2] = {{P(first), sizeof(first) - 1}, {P(second), sizeof(second) - 1}};
    handle_t console = open_path("serial", IO_OPEN_WRITE);
    size_t wrote = 77;
    OKAY(io_writev(console, pieces, 2, &wrote));
    CHECK(wrote > 0 && wrote <= sizeof(first) + sizeof(second) - 2);
    OKAY(io_write(console, P("# a line\n"), 9, 0));
    OKAY(io_write(console, NOWHERE, 0, &wrote));
    EQUAL(wrote, 0);
    OKAY(io_sync(console));
    EQUAL(ready_within(console, IO_WRITABLE, PATIENCE), IO_WRITABLE);
}

static void the_console_may_be_told_not_to_wait(void)
{
    static const char line[] = "# not waiting\n";
    handle_t console = open_path("serial", IO_OPEN_WRITE | IO_NONBLOCK);
    size_t wrote = 0;
    u32 round;
    result_t result = OK;
    EQUAL(info_of(console).flags, IO_OPEN_WRITE | IO_NONBLOCK);
    EQUAL(ready_within(console, IO_WRITABLE, PATIENCE), IO_WRITABLE);
    for (round = 0; round < 3 && result == OK; round++) {
        result = io_write(console, P(line), sizeof(line) - 1, &wrote);
        CHECK(result == ERR_WOULD_BLOCK || (result == OK && wrote > 0));
    }
}

static void the_console_is_no_disk(void)
{
    handle_t console = open_path("serial", 0);
    io_info_t info = info_of(console);
    u64 position = 77;
    size_t len = 77;
    u8 byte = 0;
    EQUAL(info.size, 0);
    EQUAL(info.block, 1);
    EQUAL(info.flags & IO_OPEN_WRITE, IO_OPEN_WRITE);
    FAILS(ERR_UNSUPPORTED, 1, io_seek(console, 0, IO_SEEK_SET, &position));
    FAILS(ERR_PERMISSION, 1, io_read(console, P(&byte), 1, &len));
    EQUAL(position, 77);
    EQUAL(len, 77);
    FAILS(ERR_INVALID, 2, io_info(console, 0));
    FAILS(ERR_INVALID, 2, io_info(console, (io_info_t *)NOWHERE));
}

static void places_are_looked_at(void)
{
    static const io_vec_t wrong = {NOWHERE, 8}, empty = {NOWHERE, 0};
    handle_t console = open_path("serial", 0);
    size_t wrote = 77;
    FAILS(ERR_INVALID, 2, io_write(console, 0, 1, &wrote));
    FAILS(ERR_INVALID, 2, io_write(console, NOWHERE, 1, &wrote));
    FAILS(ERR_INVALID, 2, io_write(console, P(&wrote), 1ull << 63, &wrote));
    FAILS(ERR_INVALID, 4, io_write(console, P("#\n"), 2, (size_t *)NOWHERE));
    FAILS(ERR_INVALID, 2, io_writev(console, 0, 1, &wrote));
    FAILS(ERR_INVALID, 2, io_writev(console, &wrong, 1, &wrote));
    FAILS(ERR_INVALID, 3, io_writev(console, &empty, 65, &wrote));
    FAILS(ERR_INVALID, 4, io_readv(console, &empty, 1, 0));
    FAILS(ERR_INVALID, 4, io_read(console, P(&wrote), 1, 0));
    EQUAL(wrote, 77);
    OKAY(io_writev(console, &empty, 1, &wrote));
    EQUAL(wrote, 0);
    OKAY(io_writev(console, 0, 0, 0));
}

/* --- a disk -------------------------------------------------------------------------------------------------- */

#define AREA_BYTES 65536

static u8 written[AREA_BYTES], read_back[AREA_BYTES];

/* Other bytes for each test, so that none can live on what another wrote. */
static void make_content(u8 seed)
{
    u32 at;
    for (at = 0; at < AREA_BYTES; at++)
        written[at] = (u8)(at * 13 + at / 251 + seed);
    fill(read_back, 0, AREA_BYTES);
}

static void write_all(handle_t disk, const u8 *bytes, size_t len)
{
    while (len > 0) {
        size_t wrote = 0;
        if (!OKAY(io_write(disk, P(bytes), len, &wrote)) || !CHECK(wrote > 0 && wrote <= len))
            return;
        bytes += wrote;
        len -= wrote;
    }
}

static void read_all(handle_t disk, u8 *bytes, size_t len)
{
    while (len > 0) {
        size_t read = 0;
        if (!OKAY(io_read(disk, P(bytes), len, &read)) || !CHECK(read > 0 && read <= len))
            return;
        bytes += read;
        len -= read;
    }
}

static void what_is_written_is_read(void)
{
    handle_t disk = open_disk(0);
    if (disk == 0)
        return;
    CHECK(info_of(disk).size >= AREA_BYTES);
    make_content(1);
    write_all(disk, written, AREA_BYTES);
    OKAY(io_sync(disk));
    EQUAL(seek_to(disk, 0, IO_SEEK_CUR), AREA_BYTES);
    seek_to(disk, 0, IO_SEEK_SET);
    read_all(disk, read_back, AREA_BYTES);
    CHECK(same(written, read_back, AREA_BYTES));
    /* Through another handle too. */
    fill(read_back, 0, AREA_BYTES);
    read_all(open_path("disk:0", IO_OPEN_READ), read_back, AREA_BYTES);
    CHECK(same(written, read_back, AREA_BYTES));
}

static void any_part_can_be_read(void)
{
    static const u32 parts[][2] = {{0, 1}, {1, 1}, {511, 2}, {512, 512}, {100, 5000}, {4095, 4098}, {60000, 5536}};
    handle_t disk = open_disk(0);
    u32 at;
    if (disk == 0)
        return;
    make_content(2);
    write_all(disk, written, AREA_BYTES);
    for (at = 0; at < COUNT(parts); at++) {
        seek_to(disk, parts[at][0], IO_SEEK_SET);
        fill(read_back, 0, AREA_BYTES);
        read_all(disk, read_back + 1, parts[at][1]);
        CHECK(same(read_back + 1, written + parts[at][0], parts[at][1]));
        EQUAL(read_back[0], 0);
        EQUAL(read_back[parts[at][1] + 1], 0);
    }
}

static void a_handle_stands_somewhere(void)
{
    handle_t disk = open_disk(0), other;
    u64 size;
    u8 byte;
    size_t len = 77;
    if (disk == 0)
        return;
    size = info_of(disk).size;
    other = open_path("disk:0", 0);
    EQUAL(seek_to(disk, 100, IO_SEEK_SET), 100);
    EQUAL(seek_to(disk, 23, IO_SEEK_CUR), 123);
    EQUAL(seek_to(disk, -122, IO_SEEK_CUR), 1);
    EQUAL(seek_to(disk, -1, IO_SEEK_END), size - 1);
    EQUAL(seek_to(other, 0, IO_SEEK_CUR), 0); /* each has its own place */
    OKAY(io_read(disk, P(&byte), 1, &len));
    EQUAL(len, 1);
    OKAY(io_read(disk, P(&byte), 1, &len));
    EQUAL(len, 0);
    EQUAL(seek_to(disk, 5000, IO_SEEK_END), size + 5000);
    OKAY(io_read(disk, P(&byte), 1, &len));
    EQUAL(len, 0);
    seek_to(disk, 77, IO_SEEK_SET);
    FAILS(ERR_INVALID, 2, io_seek(disk, -78, IO_SEEK_CUR, 0));
    FAILS(ERR_INVALID, 2, io_seek(disk, -1, IO_SEEK_SET, 0));
    FAILS(ERR_INVALID, 2, io_seek(disk, -(i64)size - 1, IO_SEEK_END, 0));
    FAILS(ERR_INVALID, 3, io_seek(disk, 0, 3, 0));
    FAILS(ERR_INVALID, 4, io_seek(disk, 0, IO_SEEK_SET, (u64 *)NOWHERE));
    EQUAL(seek_to(disk, 0, IO_SEEK_CUR), 77);
    OKAY(io_seek(disk, 5, IO_SEEK_SET, 0));
    EQUAL(seek_to(disk, 0, IO_SEEK_CUR), 5);
}

static void whole_blocks_are_written(void)
{
    handle_t disk = open_disk(0);
    u32 block;
    size_t wrote = 77;
    if (disk == 0)
        return;
    block = info_of(disk).block;
    CHECK(block > 1 && block <= 4096);
    make_content(3);
    GIVES(ERR_INVALID, io_write(disk, P(written), 1, &wrote));
    GIVES(ERR_INVALID, io_write(disk, P(written), block - 1, &wrote));
    GIVES(ERR_INVALID, io_write(disk, P(written), block + 1, &wrote));
    seek_to(disk, 1, IO_SEEK_SET);
    GIVES(ERR_INVALID, io_write(disk, P(written), block, &wrote));
    EQUAL(wrote, 77);
    EQUAL(seek_to(disk, 0, IO_SEEK_CUR), 1);
}

static void a_disk_has_an_end(void)
{
    handle_t disk = open_disk(0);
    io_info_t info;
    size_t wrote = 0;
    if (disk == 0)
        return;
    info = info_of(disk);
    EQUAL(info.size % info.block, 0);
    make_content(4);
    seek_to(disk, -(i64)info.block, IO_SEEK_END);
    OKAY(io_write(disk, P(written), 4 * info.block, &wrote));
    EQUAL(wrote, info.block);
    GIVES(ERR_NOMEM, io_write(disk, P(written), info.block, &wrote));
    seek_to(disk, -(i64)info.block, IO_SEEK_END);
    OKAY(io_read(disk, P(read_back), AREA_BYTES, &wrote));
    EQUAL(wrote, info.block);
    CHECK(same(read_back, written, info.block));
}

static void pieces_are_filled_one_after_the_other(void)
{
    handle_t disk = open_disk(0);
    io_vec_t pieces[64];
    u32 at, block, total = 0;
    size_t len = 0;
    if (disk == 0)
        return;
    block = info_of(disk).block;
    make_content(5);
    for (at = 0; at < 64; at++) {
        pieces[at].ptr = P(written + at * block);
        pieces[at].len = block;
    }
    OKAY(io_writev(disk, pieces, 64, &len));
    EQUAL(len, 64 * block);
    seek_to(disk, 0, IO_SEEK_SET);
    for (at = 0; at < 64; at++) {
        pieces[at].ptr = P(read_back + total);
        pieces[at].len = at * 3;
        total += at * 3;
    }
    OKAY(io_readv(disk, pieces, 64, &len));
    EQUAL(len, total);
    CHECK(same(read_back, written, total));
    EQUAL(read_back[total], 0);
    FAILS(ERR_INVALID, 3, io_readv(disk, pieces, 65, &len));
}

static void a_disk_is_opened_for_what_is_asked(void)
{
    handle_t reader = open_disk(IO_OPEN_READ), writer;
    size_t len = 77;
    if (reader == 0)
        return;
    writer = open_path("disk:0", IO_OPEN_WRITE);
    EQUAL(info_of(reader).flags, IO_OPEN_READ);
    EQUAL(info_of(writer).flags, IO_OPEN_WRITE);
    FAILS(ERR_PERMISSION, 1, io_write(reader, P(written), 512, &len));
    FAILS(ERR_PERMISSION, 1, io_read(writer, P(read_back), 512, &len));
    EQUAL(len, 77);
    EQUAL(ready_within(reader, IO_READABLE, 0), IO_READABLE);
    EQUAL(ready_within(writer, IO_WRITABLE, 0), IO_WRITABLE);
}

static void a_disk_that_is_read_only_stays_as_it_is(void)
{
    handle_t disk = 77;
    size_t len = 77;
    if (io_open(P("disk:1"), 0, &disk) != OK) {
        skip_rest("there is no second disk");
        return;
    }
    EQUAL(info_of(disk).flags, IO_OPEN_READ);
    FAILS(ERR_PERMISSION, 1, io_write(disk, P(written), 512, &len));
    FAILS(ERR_PERMISSION, 1, io_open(P("disk:1"), IO_OPEN_WRITE, &disk));
    OKAY(io_read(disk, P(read_back), 512, &len));
    EQUAL(len, 512);
}

/* A task that reads a good deal from a disk. */
struct reader {
    handle_t disk;
    result_t result;
    size_t len;
};

static i32 reads_all(ptr_t argument)
{
    struct reader *reader = (struct reader *)argument;
    reader->result = io_read(reader->disk, P(read_back), AREA_BYTES, &reader->len);
    return 0;
}

static void one_task_at_a_time_reads_through_a_handle(void)
{
    struct reader reader = {open_disk(0), OK, 0};
    handle_t task;
    u8 byte;
    size_t len = 77;
    if (reader.disk == 0)
        return;
    task = start(reads_all, &reader);
    OKAY(task_yield());
    GIVES(ERR_BUSY, io_read(reader.disk, P(&byte), 1, &len));
    EQUAL(finish(task), 0);
    GIVES(OK, reader.result);
    CHECK(reader.len > 0);
    OKAY(io_read(reader.disk, P(&byte), 1, &len));
}

static void closing_ends_a_read(void)
{
    struct reader reader = {open_disk(0), OK, 77};
    handle_t task;
    if (reader.disk == 0)
        return;
    task = start(reads_all, &reader);
    OKAY(task_yield());
    OKAY(io_close(reader.disk));
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, reader.result);
    EQUAL(reader.len, 77);
}

static i32 reads_in_a_circle(ptr_t argument)
{
    static u8 bytes[4][4096];
    u32 round, which = (u32)argument;
    handle_t disk = open_path("disk:0", IO_OPEN_READ);
    for (round = 0; round < 50; round++) {
        u32 at = (round * 7 + which) % 16 * 4096;
        seek_to(disk, at, IO_SEEK_SET);
        read_all(disk, bytes[which], 4096);
        if (!CHECK(same(bytes[which], written + at, 4096)))
            return 1;
    }
    return 0;
}

static void several_tasks_read_through_their_own_handles(void)
{
    handle_t disk = open_disk(0), tasks[4];
    u32 at;
    if (disk == 0)
        return;
    make_content(6);
    write_all(disk, written, AREA_BYTES);
    for (at = 0; at < 4; at++)
        tasks[at] = start(reads_in_a_circle, (void *)(ptr_t)at);
    for (at = 0; at < 4; at++)
        EQUAL(finish(tasks[at]), 0);
}

static const struct test files_tests[] = {
    TEST(paths_name_what_there_is),
    TEST(paths_have_an_end_and_a_limit),
    TEST(the_console_is_written),
    TEST(the_console_may_be_told_not_to_wait),
    TEST(the_console_is_no_disk),
    TEST(places_are_looked_at),
    TEST(what_is_written_is_read),
    TEST(any_part_can_be_read),
    TEST(a_handle_stands_somewhere),
    TEST(whole_blocks_are_written),
    TEST(a_disk_has_an_end),
    TEST(pieces_are_filled_one_after_the_other),
    TEST(a_disk_is_opened_for_what_is_asked),
    TEST(a_disk_that_is_read_only_stays_as_it_is),
    TEST(one_task_at_a_time_reads_through_a_handle),
    TEST(closing_ends_a_read),
    TEST(several_tasks_read_through_their_own_handles),
};
AREA(files);
