// SPDX-License-Identifier: GPL-2.0-or-later
// The digests that both sides of a handover compare: XXH3, seed 0. Any thread; digest_remote blocks, so never the main
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

#include "failure.h"

namespace trmig {

struct RemoteBlock {
    uint64_t address;
    uint64_t bytes;
};

uint64_t xxh3_64(const uint8_t *data, size_t bytes);

// 32 lower-case hex digits, the canonical (big-endian: high half first) form.
std::string xxh3_128_hex(const uint8_t *data, size_t bytes);

// XXH3-128 over all blocks' bytes in their order, as one stream.
Failure digest_remote(pid_t pid, const std::vector<RemoteBlock> &blocks, std::string &hex);

} // namespace trmig
