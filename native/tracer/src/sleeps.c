/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sleeps.h"

#include "qemu.h"

/* Main thread: a bit for each clock whose next reading is a look. */
static unsigned looks;

static unsigned bit(int clock) { return 1u << clock; }

void sleeps_begin(void)
{
    looks = 0;
    for (int clock = QEMU_CLOCK_HOST; clock <= QEMU_CLOCK_VIRTUAL_RT; clock++) {
        if (timerlist_has_timers(main_loop_tlg[clock])) {
            looks |= bit(clock);
        }
    }
}

void sleeps_end(void) { looks = 0; }

bool sleeps_due(int clock)
{
    looks = bit(clock);
    const bool due = timerlist_expired(main_loop_tlg[clock]);
    looks = 0;
    return due;
}

bool sleeps_warp_begins(void)
{
    static int64_t begun_deadline_ns;
    const int64_t deadline_ns = qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, ~QEMU_TIMER_ATTR_EXTERNAL);
    const bool begun = *timers_i64(TIMERS_WARP_START) != -1;
    if (deadline_ns < 0 || (begun && deadline_ns > 0 && deadline_ns >= begun_deadline_ns)) {
        looks |= bit(QEMU_CLOCK_VIRTUAL_RT);
        return false;
    }
    begun_deadline_ns = deadline_ns;
    return true;
}

bool sleeps_is_look(int clock)
{
    if (qemu_in_vcpu_thread() || !(looks & bit(clock))) {
        return false;
    }
    looks &= ~bit(clock);
    return true;
}
