// SPDX-License-Identifier: GPL-2.0-or-later
// Which pages of a piece of memory hold anything. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace trmig {

// `bytes` is a multiple of 64, `page` 8-byte aligned.
bool is_zero_page(const uint8_t *page, size_t bytes);

// Moves the non-zero pages of `data` together at its front and returns their indices, ascending.
std::vector<uint32_t> pack_nonzero_pages(uint8_t *data, size_t page_bytes, size_t page_count);

} // namespace trmig
