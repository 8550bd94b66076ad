/* What the tests' checks leave for the reporter in main.c. */
#ifndef REPORT_H
#define REPORT_H

#include "tap.h"

/* Bytes of notes of one test; what is beyond is lost, the failures are counted all the same. */
#define MAX_NOTES 4096

struct report {
    u32 policy;
    u32 failures;
    const char *skipped;
    const char *about;
    u32 noted;
    char notes[MAX_NOTES + 1];
};

extern struct report report;

#endif /* REPORT_H */
