// SPDX-License-Identifier: GPL-2.0-or-later
#include "pages.h"

#include <cstring>

namespace trmig {

bool is_zero_page(const uint8_t *page, size_t bytes) {
    // Blocks of 64 bytes without a branch inside: the compiler turns the inner loop into vector ORs, and a page that
    // holds something is left at its first block that does.
    constexpr size_t words = 8;
    for (size_t at = 0; at < bytes; at += words * sizeof(uint64_t)) {
        uint64_t block[words];
        std::memcpy(block, page + at, sizeof(block));
        uint64_t any = 0;
        for (uint64_t word : block) any |= word;
        if (any != 0) return false;
    }
    return true;
}

std::vector<uint32_t> pack_nonzero_pages(uint8_t *data, size_t page_bytes, size_t page_count) {
    std::vector<uint32_t> pages;
    pages.reserve(page_count);
    for (size_t page = 0; page < page_count; page++) {
        const uint8_t *from = data + page * page_bytes;
        if (is_zero_page(from, page_bytes)) continue;
        uint8_t *to = data + pages.size() * page_bytes;
        if (to != from) std::memcpy(to, from, page_bytes);
        pages.push_back(static_cast<uint32_t>(page));
    }
    return pages;
}

} // namespace trmig
