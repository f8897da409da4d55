// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes and page numbers between the core's vectors and JavaScript's typed arrays. Main thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <napi.h>
#include <utility>
#include <vector>

#include "../core/chunk.h"
#include "../core/page_buffer.h"

namespace trmig {

// Hands `bytes` at `data` to JavaScript without a copy; what owns them dies with the Buffer.
template <typename Owner>
Napi::Value to_buffer(Napi::Env env, uint8_t *data, size_t bytes, Owner owner) {
    auto kept = std::make_unique<Owner>(std::move(owner));
    auto buffer = Napi::Buffer<uint8_t>::New(
        env, data, bytes, [](Napi::Env, uint8_t *, Owner *gone) { delete gone; }, kept.get());
    (void)kept.release();
    return buffer;
}

inline Napi::Value to_buffer(Napi::Env env, std::vector<uint8_t> bytes) {
    uint8_t *data = bytes.data(); // Stays where it is when the vector moves.
    size_t size = bytes.size();
    return to_buffer(env, data, size, std::move(bytes));
}

// The first `bytes` of a page buffer; the pages behind them are given back.
inline Napi::Value to_buffer(Napi::Env env, PageBuffer pages, size_t bytes) {
    size_t &mapped = pages.get_deleter().bytes;
    size_t used = (bytes + image_page_bytes - 1) / image_page_bytes * image_page_bytes;
    if (bytes == 0) return Napi::Buffer<uint8_t>::New(env, 0);
    if (used < mapped) {
        munmap(pages.get() + used, mapped - used);
        mapped = used;
    }
    uint8_t *data = pages.get();
    return to_buffer(env, data, bytes, std::move(pages));
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
