// SPDX-License-Identifier: GPL-2.0-or-later
// A chunk, of RAM or of a disk's layer, between JavaScript's arguments and the core. Main thread only.
#pragma once

#include <utility>
#include <vector>

#include "binding.h"
#include "buffers.h"

namespace trmig {

// The arguments block (or layer), firstPage, pageCount from `at` on: which pages are asked for.
inline ChunkHead wanted_head(const Napi::CallbackInfo &info, size_t at) {
    return {as_u32(info[at]), as_u32(info[at + 2]), as_u64(info[at + 1]), 0, 0};
}

// The result {pages, compressed, checksum}; takes the chunk's bytes.
inline Napi::Object chunk_result(Napi::Env env, Chunk &chunk) {
    auto result = Napi::Object::New(env);
    result.Set("pages", to_page_array(env, chunk.pages));
    result.Set("compressed", to_buffer(env, std::move(chunk.compressed)));
    result.Set("checksum", Napi::BigInt::New(env, chunk.checksum));
    return result;
}

// A chunk that came from elsewhere: the arguments block (or layer), firstPage, pageCount, pages, compressed, checksum
// from `at` on. Keeps the compressed bytes alive; a worker may read all of it.
class ForeignChunk {
public:
    ForeignChunk(const Napi::CallbackInfo &info, size_t at) : pages(from_page_array(info[at + 3])) {
        auto compressed = info[at + 4].As<Napi::Uint8Array>();
        head = wanted_head(info, at);
        head.nonzero_pages = static_cast<uint32_t>(pages.size());
        head.compressed_bytes = static_cast<uint32_t>(compressed.ByteLength());
        bytes = compressed.Data();
        kept_ = Napi::Persistent(compressed);
        bool lossless = false;
        checksum = info[at + 5].As<Napi::BigInt>().Uint64Value(&lossless);
    }

    ChunkHead head;
    std::vector<uint32_t> pages;
    const uint8_t *bytes; // of kept_
    uint64_t checksum;

private:
    Napi::Reference<Napi::Uint8Array> kept_;
};

} // namespace trmig
