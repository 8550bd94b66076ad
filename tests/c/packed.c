/* Says what was packed beside it: its arguments, a file of the bundle, the first byte of a volume. tests/vm/bundle.rs has
 * the other side. */
#include "../../kernel/examples/c/example.h"

static const u32 KINDS[] = {CAP_LOG, CAP_IO};

int main(int argc, char **argv) {
    handle_t caps[2], file;
    char text[64];
    size_t count;
    if (take_capabilities(KINDS, 2, caps) != OK) {
        return 1;
    }
    for (int index = 1; index < argc; index++) {
        say(LOG_INFO, argv[index]);
    }
    if (io_open((ptr_t) "bundle:texts/hello.txt", IO_OPEN_READ, &file) != OK) {
        return 2;
    }
    if (io_read(file, (ptr_t)text, sizeof text - 1, &count) != OK) {
        return 3;
    }
    text[count] = 0;
    say(LOG_INFO, text);
    if (io_close(file) != OK || io_open((ptr_t) "bundle:texts/absent.txt", IO_OPEN_READ, &file) != ERR_NOENT) {
        return 4;
    }
    if (io_open((ptr_t) "volume:data", IO_OPEN_READ, &file) != OK) {
        return 5;
    }
    if (io_read(file, (ptr_t)text, 1, &count) != OK || count != 1 || text[0] != 7) {
        return 6;
    }
    return 0;
}
