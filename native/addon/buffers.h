// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes and page numbers between the core's vectors and JavaScript's typed arrays. Main thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <napi.h>
#include <vector>

namespace trmig {

// Hands a vector's bytes to JavaScript without a copy; the vector dies with the Buffer.
inline Napi::Value to_buffer(Napi::Env env, std::vector<uint8_t> bytes) {
    auto owned = std::make_unique<std::vector<uint8_t>>(std::move(bytes));
    auto *data = owned.get();
    auto buffer = Napi::Buffer<uint8_t>::New(
        env, data->data(), data->size(), [](Napi::Env, uint8_t *, std::vector<uint8_t> *gone) { delete gone; }, data);
    (void)owned.release();
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
