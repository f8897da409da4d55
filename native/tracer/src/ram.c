/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ram.h"

#include "qemu.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FROZEN_MAX = 16 };
static pid_t frozen[FROZEN_MAX];
static uint64_t owners[FROZEN_MAX]; /* serials of clients */

static int describe_block(RAMBlock *block, void *opaque)
{
    GString *json = opaque;
    if (json->str[json->len - 1] != '[') {
        g_string_append_c(json, ',');
    }
    g_string_append_printf(json, "{\"name\":\"%s\",\"address\":%" PRIuPTR ",\"bytes\":%" PRIu64 ",\"pageBytes\":4096}",
                           qemu_ram_get_idstr(block), (uintptr_t)qemu_ram_get_host_addr(block),
                           qemu_ram_get_used_length(block));
    return 0;
}

void ram_describe(GString *json)
{
    g_string_append_c(json, '[');
    qemu_ram_foreach_block(describe_block, json);
    g_string_append_c(json, ']');
}

static int advise_block(RAMBlock *block, void *opaque)
{
    const int advice = *(int *)opaque;
    /* A block that is not page-aligned or not private memory refuses; the fork copies it all the same. */
    (void)!madvise(qemu_ram_get_host_addr(block), qemu_ram_get_used_length(block), advice);
    return 0;
}

/* What the child does: only system calls, since every lock of the parent may be held in its copy. */
static void __attribute__((noreturn)) sleep_frozen(void)
{
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    syscall(SYS_prctl, PR_SET_NAME, "trmig-frozen", 0, 0, 0);
    syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    syscall(SYS_close_range, 0, ~0U, 0);
    for (;;) {
        syscall(SYS_pause);
    }
}

pid_t ram_freeze(void)
{
    size_t slot = 0;
    while (slot < FROZEN_MAX && __atomic_load_n(&frozen[slot], __ATOMIC_ACQUIRE)) {
        slot++;
    }
    if (slot == FROZEN_MAX) {
        errno = EAGAIN;
        return -1;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int advice = MADV_DOFORK;
    qemu_ram_foreach_block(advise_block, &advice);
    /* Not fork(): its handlers take QEMU's RCU locks. No exit signal: QEMU must not meet a child it does not know. */
    const pid_t pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
    if (pid == 0) {
        sleep_frozen();
    }
    advice = MADV_DONTFORK;
    qemu_ram_foreach_block(advise_block, &advice);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid > 0) {
        __atomic_store_n(&frozen[slot], pid, __ATOMIC_RELEASE);
    }
    return pid;
}

void ram_own(pid_t pid, uint64_t client)
{
    for (size_t slot = 0; slot < FROZEN_MAX; slot++) {
        if (pid > 0 && __atomic_load_n(&frozen[slot], __ATOMIC_ACQUIRE) == pid) {
            __atomic_store_n(&owners[slot], client, __ATOMIC_RELEASE);
        }
    }
}

void ram_thaw_of(uint64_t client)
{
    for (size_t slot = 0; slot < FROZEN_MAX; slot++) {
        if (__atomic_load_n(&owners[slot], __ATOMIC_ACQUIRE) == client) {
            ram_thaw(__atomic_load_n(&frozen[slot], __ATOMIC_ACQUIRE));
        }
    }
}

bool ram_thaw(pid_t pid)
{
    for (size_t slot = 0; slot < FROZEN_MAX; slot++) {
        if (pid > 0 && __atomic_load_n(&frozen[slot], __ATOMIC_ACQUIRE) == pid) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, __WALL);
            __atomic_store_n(&owners[slot], 0, __ATOMIC_RELEASE);
            __atomic_store_n(&frozen[slot], 0, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}
