// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes another process's memory: the frozen image that the tracer forked off, or a QEMU started with -S.
// Invariant: a call moves all the bytes asked for, or reports a failure; a short transfer is continued, never returned.
// Any thread; blocks for as long as the kernel copies, so never the main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

#include "failure.h"

namespace trmig {

// One system call's bytes: long enough that the call's price vanishes, short enough that data stays in the cache.
constexpr size_t remote_call_bytes_max = 1024 * 1024;

Failure read_remote(pid_t pid, uint64_t address, void *to, size_t bytes);

// Writes `count` pages that lie one after the other at `data` to the pages `pages[i]` counted from `address`.
Failure write_remote_pages(pid_t pid, uint64_t address, size_t page_bytes, const uint32_t *pages, size_t count,
                           const uint8_t *data);

} // namespace trmig
