/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A dormant guest whose instructions are counted, without a log: for a moment, to see how fast it is, and just after it went
 * live, with the code that its replay has translated. Main thread, but for what says otherwise. */
#ifndef TRMIG_COUNTING_H
#define TRMIG_COUNTING_H

#include <stdint.h>

/* Begins to count a guest that runs. Returns NULL, or one sentence saying why nothing was done. */
const char *counting_probe(void);
/* Instructions since counting_probe. */
uint64_t counting_probed(void);
/* Ends it; as counting_probed. */
uint64_t counting_probe_end(void);

/* The guest has just gone live and still counts; `now_ns` is host_ns(). */
void counting_begin(uint64_t now_ns);
/* When counting_begin was; 0 for a guest that does not count. Any thread. */
uint64_t counting_since_ns(void);
/* The guest is translated anew as it goes on, and is slow for some ms. Does nothing when it does not count. */
void counting_end(void);

#endif
