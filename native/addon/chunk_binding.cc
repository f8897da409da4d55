// SPDX-License-Identifier: GPL-2.0-or-later
#include <vector>

#include "../core/chunk.h"
#include "binding.h"
#include "buffers.h"

namespace trmig {

namespace {

class CaptureWork : public RemoteWork {
public:
    CaptureWork(Napi::Env env, pid_t pid, uint64_t address, int level, const ChunkHead &head)
        : RemoteWork(env), pid_(pid), address_(address), level_(level) {
        chunk_.head = head;
    }

protected:
    Failure Work() override {
        return capture_chunk(pid_, address_, level_, chunk_);
    }

    Napi::Value Result(Napi::Env env) override {
        auto result = Napi::Object::New(env);
        result.Set("pages", to_page_array(env, chunk_.pages));
        result.Set("compressed", to_buffer(env, std::move(chunk_.compressed)));
        result.Set("checksum", Napi::BigInt::New(env, chunk_.checksum));
        return result;
    }

private:
    pid_t pid_;
    uint64_t address_;
    int level_;
    Chunk chunk_;
};

class RestoreWork : public RemoteWork {
public:
    RestoreWork(Napi::Env env, pid_t pid, uint64_t address, const ChunkHead &head, std::vector<uint32_t> pages,
                const Napi::Uint8Array &compressed, uint64_t checksum)
        : RemoteWork(env), pid_(pid), address_(address), head_(head), pages_(std::move(pages)), checksum_(checksum),
          bytes_(compressed.Data()), compressed_(Napi::Persistent(compressed)) {}

protected:
    Failure Work() override {
        return restore_chunk(pid_, address_, head_, pages_.data(), bytes_, checksum_);
    }

    Napi::Value Result(Napi::Env env) override {
        return env.Undefined();
    }

private:
    pid_t pid_;
    uint64_t address_;
    ChunkHead head_;
    std::vector<uint32_t> pages_;
    uint64_t checksum_;
    const uint8_t *bytes_;
    Napi::Reference<Napi::Uint8Array> compressed_; // keeps bytes_ alive
};

// Main thread. captureChunk(pid, address, level, block, firstPage, pageCount): Promise<{pages, compressed, checksum}>
Napi::Value CaptureChunk(const Napi::CallbackInfo &info) {
    ChunkHead head{as_u32(info[3]), as_u32(info[5]), as_u64(info[4]), 0, 0};
    int level = info[2].As<Napi::Number>().Int32Value();
    return (new CaptureWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), level, head))->Start();
}

// Main thread. restoreChunk(pid, address, block, firstPage, pageCount, pages, compressed, checksum): Promise<void>
Napi::Value RestoreChunk(const Napi::CallbackInfo &info) {
    auto compressed = info[6].As<Napi::Uint8Array>();
    std::vector<uint32_t> pages = from_page_array(info[5]);
    ChunkHead head{as_u32(info[2]), as_u32(info[4]), as_u64(info[3]), static_cast<uint32_t>(pages.size()),
                   static_cast<uint32_t>(compressed.ByteLength())};
    bool lossless = false;
    uint64_t checksum = info[7].As<Napi::BigInt>().Uint64Value(&lossless);
    return (new RestoreWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), head, std::move(pages),
                            compressed, checksum))
        ->Start();
}

} // namespace

void export_chunks(Napi::Env env, Napi::Object exports) {
    exports.Set("captureChunk", Napi::Function::New(env, CaptureChunk));
    exports.Set("restoreChunk", Napi::Function::New(env, RestoreChunk));
}

} // namespace trmig
