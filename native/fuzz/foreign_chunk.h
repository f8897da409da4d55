// SPDX-License-Identifier: GPL-2.0-or-later
// A chunk made of an input's bytes: the indices are such as JavaScript lets through, the rest is the input's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../core/chunk.h"

namespace trmig {

constexpr size_t chunk_bytes_max = chunk_pages_max * image_page_bytes;

struct ForeignChunk {
    ChunkHead head{};
    std::vector<uint32_t> pages;
    const uint8_t *compressed = nullptr;
    uint64_t checksum = 0;

    // u8 pageCount - 1, u8 flags (bit 0: a wrong checksum), bitmap, zstd's bytes. False when the input is too short.
    bool read(const uint8_t *data, size_t size) {
        if (size < 2) return false;
        head.page_count = data[0] + 1u;
        const size_t bitmap_bytes = (head.page_count + 7) / 8;
        if (size <= 2 + bitmap_bytes) return false;
        uint8_t bitmap[chunk_pages_max / 8] = {};
        for (uint32_t page = 0; page < head.page_count; page++) {
            if ((data[2 + page / 8] >> page % 8 & 1) == 0) continue;
            pages.push_back(page);
            bitmap[page / 8] |= static_cast<uint8_t>(1u << page % 8);
        }
        if (pages.empty()) return false;
        compressed = data + 2 + bitmap_bytes;
        head.nonzero_pages = static_cast<uint32_t>(pages.size());
        head.compressed_bytes = static_cast<uint32_t>(size - 2 - bitmap_bytes);
        XXH3_state_t state;
        XXH3_64bits_reset(&state);
        XXH3_64bits_update(&state, &head, sizeof(head));
        XXH3_64bits_update(&state, bitmap, bitmap_bytes);
        XXH3_64bits_update(&state, compressed, head.compressed_bytes);
        checksum = XXH3_64bits_digest(&state) ^ (data[1] & 1u);
        return true;
    }
};

} // namespace trmig
