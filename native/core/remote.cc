// SPDX-License-Identifier: GPL-2.0-or-later
#include "remote.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <sys/uio.h>

namespace trmig {

namespace {

// Remote ranges of one call. IOV_MAX of them would be 16 KiB of stack; this many cover a whole call of 4 KiB pages.
constexpr size_t ranges_max = 256;
static_assert(ranges_max <= IOV_MAX);

void *remote_pointer(uint64_t address) {
    return reinterpret_cast<void *>(static_cast<uintptr_t>(address));
}

} // namespace

Failure read_remote(pid_t pid, uint64_t address, void *to, size_t bytes) {
    auto *at = static_cast<uint8_t *>(to);
    while (bytes > 0) {
        size_t wanted = std::min(bytes, remote_call_bytes_max);
        iovec local{at, wanted};
        iovec remote{remote_pointer(address), wanted};
        ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {got < 0 ? errno : EFAULT, "process_vm_readv", address};
        at += got;
        address += static_cast<uint64_t>(got);
        bytes -= static_cast<size_t>(got);
    }
    return {};
}

Failure write_remote_pages(pid_t pid, uint64_t address, size_t page_bytes, const uint32_t *pages, size_t count,
                           const uint8_t *data) {
    const size_t total = count * page_bytes;
    size_t done = 0;
    while (done < total) {
        iovec remote[ranges_max];
        size_t ranges = 0;
        size_t planned = 0;
        while (done + planned < total && planned < remote_call_bytes_max) {
            size_t within = (done + planned) % page_bytes;
            uint64_t start = address + uint64_t{pages[(done + planned) / page_bytes]} * page_bytes + within;
            size_t bytes = page_bytes - within;
            iovec *last = ranges > 0 ? &remote[ranges - 1] : nullptr;
            if (last && reinterpret_cast<uintptr_t>(last->iov_base) + last->iov_len == start) {
                last->iov_len += bytes;
            } else {
                if (ranges == ranges_max) break;
                remote[ranges++] = {remote_pointer(start), bytes};
            }
            planned += bytes;
        }
        iovec local{const_cast<uint8_t *>(data + done), planned};
        ssize_t put = process_vm_writev(pid, &local, 1, remote, ranges, 0);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            uint64_t at = reinterpret_cast<uintptr_t>(remote[0].iov_base);
            return {put < 0 ? errno : EFAULT, "process_vm_writev", at};
        }
        done += static_cast<size_t>(put);
    }
    return {};
}

} // namespace trmig
