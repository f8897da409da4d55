// SPDX-License-Identifier: GPL-2.0-or-later
// Memory that begins at a page's border and is not cleared first. The kernel copies another process's pages into such a
// buffer about five times as fast as into one that malloc has placed 16 bytes further on. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace trmig {

struct PageBufferFree {
    void operator()(uint8_t *bytes) const {
        std::free(bytes);
    }
};
using PageBuffer = std::unique_ptr<uint8_t[], PageBufferFree>;

inline PageBuffer make_page_buffer(size_t bytes) {
    constexpr size_t border = 4096;
    auto *at = static_cast<uint8_t *>(std::aligned_alloc(border, (bytes + border - 1) / border * border));
    if (!at) throw std::bad_alloc();
    return PageBuffer(at);
}

} // namespace trmig
