/* What the programs that are counted have in common: they do the same things in the same order, each by the calls of
 * its kernel, and mark where a phase begins and where it ends.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * Copyright the ukernel authors
 */
#ifndef PHASE_H
#define PHASE_H

#include <stddef.h>

/* Handles that are waited for at a time: the fewest, some, and more than anybody should look at one by one. */
enum { FEW = 1, SOME = 100, MANY = 10000 };

/* Counts a phase: operation is handed how often to do what it does. It is called once more before, to warm up. */
void phase(const char *name, unsigned long repeats, void (*operation)(unsigned long repeats));

/* Counts what lies between two marks: operation calls bench_mark for either. */
void interval(const char *name, void (*operation)(void));
void bench_mark(void);

/* Ends the program, and says why, unless something holds. */
#define MUST(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__))
_Noreturn void fail(const char *file, int line);

/* --- what each kernel's program has ------------------------------------------------------------------------------- */

/* Makes whatever is needed before the first phase. */
void prepare(void);
/* Writes a line to the console, without waiting until it is out. */
void say(const char *line, size_t len);
/* Sleeps until lines are out: they leave now, not among what is counted next. */
void rest(void);
/* Ends the program. */
_Noreturn void finish(int status);

/* Calls that do next to nothing, or look a handle up. */
void count_calls(void);
/* Allocations. */
void count_memory(void);
/* Messages to a task and back. */
void count_messages(void);
/* Tasks that begin, end and take turns. */
void count_tasks(void);
/* A task that is woken while others are busy, by its priority. */
void count_priorities(void);
/* Waiting for one of many. */
void count_waiting(void);
/* Spans of a trace, where the kernel keeps one. */
void count_spans(void);

#endif
