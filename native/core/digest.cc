// SPDX-License-Identifier: GPL-2.0-or-later
#include "digest.h"

#include <algorithm>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "page_buffer.h"
#include "remote.h"

namespace trmig {

namespace {

std::string to_hex(XXH128_hash_t hash) {
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    std::string hex;
    hex.reserve(2 * sizeof(canonical.digest));
    for (unsigned char byte : canonical.digest) {
        hex.push_back(digits[byte >> 4]);
        hex.push_back(digits[byte & 15]);
    }
    return hex;
}

} // namespace

uint64_t xxh3_64(const uint8_t *data, size_t bytes) {
    return XXH3_64bits(data, bytes);
}

std::string xxh3_128_hex(const uint8_t *data, size_t bytes) {
    return to_hex(XXH3_128bits(data, bytes));
}

Failure digest_remote(pid_t pid, const std::vector<RemoteBlock> &blocks, std::string &hex) {
    auto state = std::make_unique<XXH3_state_t>();
    PageBuffer buffer = make_page_buffer(remote_call_bytes_max);
    XXH3_128bits_reset(state.get());
    for (const RemoteBlock &block : blocks) {
        for (uint64_t at = 0; at < block.bytes; at += remote_call_bytes_max) {
            size_t bytes = std::min<uint64_t>(remote_call_bytes_max, block.bytes - at);
            if (Failure failure = read_remote(pid, block.address + at, buffer.get(), bytes)) return failure;
            XXH3_128bits_update(state.get(), buffer.get(), bytes);
        }
    }
    hex = to_hex(XXH3_128bits_digest(state.get()));
    return {};
}

} // namespace trmig
