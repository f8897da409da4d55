// SPDX-License-Identifier: GPL-2.0-or-later
#include <string>
#include <vector>

#include "../core/digest.h"
#include "binding.h"

namespace trmig {

namespace {

// Main thread. xxh3(bytes): bigint
Napi::Value Xxh3(const Napi::CallbackInfo &info) {
    auto bytes = info[0].As<Napi::Uint8Array>();
    return Napi::BigInt::New(info.Env(), xxh3_64(bytes.Data(), bytes.ByteLength()));
}

// Main thread. xxh128(bytes): string
Napi::Value Xxh128(const Napi::CallbackInfo &info) {
    auto bytes = info[0].As<Napi::Uint8Array>();
    return Napi::String::New(info.Env(), xxh3_128_hex(bytes.Data(), bytes.ByteLength()));
}

class DigestWork : public RemoteWork {
public:
    DigestWork(Napi::Env env, pid_t pid, std::vector<RemoteBlock> blocks)
        : RemoteWork(env), pid_(pid), blocks_(std::move(blocks)) {}

protected:
    Failure Work() override {
        return digest_remote(pid_, blocks_, hex_);
    }

    Napi::Value Result(Napi::Env env) override {
        return Napi::String::New(env, hex_);
    }

private:
    pid_t pid_;
    std::vector<RemoteBlock> blocks_;
    std::string hex_;
};

// Main thread. digestBlocks(pid, [address, bytes, address, bytes, …]): Promise<string>
Napi::Value DigestBlocks(const Napi::CallbackInfo &info) {
    auto list = info[1].As<Napi::Array>();
    std::vector<RemoteBlock> blocks;
    for (uint32_t i = 0; i + 1 < list.Length(); i += 2) {
        blocks.push_back({as_u64(list.Get(i)), as_u64(list.Get(i + 1))});
    }
    return (new DigestWork(info.Env(), static_cast<pid_t>(as_u32(info[0])), std::move(blocks)))->Start();
}

} // namespace

void export_digests(Napi::Env env, Napi::Object exports) {
    exports.Set("xxh3", Napi::Function::New(env, Xxh3));
    exports.Set("xxh128", Napi::Function::New(env, Xxh128));
    exports.Set("digestBlocks", Napi::Function::New(env, DigestBlocks));
}

} // namespace trmig
