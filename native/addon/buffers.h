// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes and page numbers between the core's vectors and JavaScript's typed arrays. Main thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <napi.h>
#include <vector>

#include "../core/page_buffer.h"

namespace trmig {

// Hands the first `bytes` of a buffer to JavaScript without a copy. What lies behind them is given back.
inline Napi::Value to_buffer(Napi::Env env, PageBuffer data, size_t bytes) {
    if (bytes == 0) return Napi::Buffer<uint8_t>::New(env, 0);
    if (auto *shrunk = static_cast<uint8_t *>(std::realloc(data.get(), bytes))) {
        (void)data.release();
        data.reset(shrunk);
    }
    auto buffer = Napi::Buffer<uint8_t>::New(env, data.get(), bytes, [](Napi::Env, uint8_t *gone) { std::free(gone); });
    (void)data.release();
    return buffer;
}

inline Napi::Value to_page_array(Napi::Env env, const std::vector<uint32_t> &pages) {
    auto array = Napi::Uint32Array::New(env, pages.size());
    std::copy(pages.begin(), pages.end(), array.Data());
    return array;
}

// A copy, so that what was checked in JavaScript cannot change before a worker uses it.
inline std::vector<uint32_t> from_page_array(const Napi::Value &value) {
    auto array = value.As<Napi::Uint32Array>();
    return std::vector<uint32_t>(array.Data(), array.Data() + array.ElementLength());
}

} // namespace trmig
