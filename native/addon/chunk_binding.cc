// SPDX-License-Identifier: GPL-2.0-or-later
#include "../core/chunk.h"
#include "chunk_arguments.h"

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
        return chunk_result(env, chunk_);
    }

private:
    pid_t pid_;
    uint64_t address_;
    int level_;
    Chunk chunk_;
};

class RestoreWork : public RemoteWork {
public:
    RestoreWork(Napi::Env env, pid_t pid, uint64_t address, ForeignChunk chunk)
        : RemoteWork(env), pid_(pid), address_(address), chunk_(std::move(chunk)) {}

protected:
    Failure Work() override {
        return restore_chunk(pid_, address_, chunk_.head, chunk_.pages.data(), chunk_.bytes, chunk_.checksum);
    }

    Napi::Value Result(Napi::Env env) override {
        return env.Undefined();
    }

private:
    pid_t pid_;
    uint64_t address_;
    ForeignChunk chunk_;
};

// Main thread. captureChunk(pid, address, level, block, firstPage, pageCount): Promise<{pages, compressed, checksum}>
Napi::Value CaptureChunk(const Napi::CallbackInfo &info) {
    ChunkHead head = wanted_head(info, 3);
    int level = info[2].As<Napi::Number>().Int32Value();
    return (new CaptureWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), level, head))->Start();
}

// Main thread. restoreChunk(pid, address, block, firstPage, pageCount, pages, compressed, checksum): Promise<void>
Napi::Value RestoreChunk(const Napi::CallbackInfo &info) {
    return (new RestoreWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), as_u64(info[1]), ForeignChunk(info, 2)))
        ->Start();
}

} // namespace

void export_chunks(Napi::Env env, Napi::Object exports) {
    exports.Set("captureChunk", Napi::Function::New(env, CaptureChunk));
    exports.Set("restoreChunk", Napi::Function::New(env, RestoreChunk));
}

} // namespace trmig
