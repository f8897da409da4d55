// SPDX-License-Identifier: GPL-2.0-or-later
// libFuzzer as a Node addon: the engine that makes inputs for the fuzz targets written in TypeScript. libFuzzer runs in a
// thread of its own and hands each input to JavaScript's thread, which answers when the target is done with it; so a target
// may be asynchronous, and one that hangs is noticed by the waiting thread. Coverage comes from counters that instrumented
// JavaScript increments, and comparisons from test/fuzz/engine.ts.
// Invariants: JavaScript and libFuzzer never run at once, so the counters need no lock; what was registered is never freed.
#include <napi.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

extern "C" {
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop);
void __sanitizer_cov_trace_const_cmp8(uint64_t constant, uint64_t value);
void __sanitizer_weak_hook_strcmp(void *caller, const char *left, const char *right, int result);
}

namespace {

enum class Verdict { pending, passed, failed };

std::mutex lock; // guards verdict
std::condition_variable answered;
Verdict verdict;
Napi::ThreadSafeFunction target;
std::chrono::milliseconds patience;

// Aborts, which libFuzzer turns into a file with the input and an exit code of its own. libFuzzer's thread.
[[noreturn]] void give_up(const char *why) {
    std::fprintf(stderr, "fuzz: %s\n", why);
    std::abort();
}

// libFuzzer's thread.
int run_one(const uint8_t *data, size_t size) {
    {
        std::lock_guard<std::mutex> hold(lock);
        verdict = Verdict::pending;
    }
    target.BlockingCall([data, size](Napi::Env env, Napi::Function function) {
        function.Call({Napi::Buffer<uint8_t>::Copy(env, data, size)});
    });
    std::unique_lock<std::mutex> hold(lock);
    // By the time that this process was given: a busy machine makes no target hang. One that waits for ever takes none.
    const std::clock_t begun = std::clock();
    const auto latest = std::chrono::steady_clock::now() + 20 * patience;
    while (!answered.wait_for(hold, patience / 10, [] { return verdict != Verdict::pending; })) {
        const auto used = std::chrono::milliseconds(1000 * (std::clock() - begun) / CLOCKS_PER_SEC);
        if (used > patience || std::chrono::steady_clock::now() > latest) give_up("the target hangs");
    }
    if (verdict == Verdict::failed) give_up("the target failed");
    return 0;
}

// run(arguments, target, patienceMs, ended): begins. `target` gets each input, and `answer` must follow. JavaScript's thread.
Napi::Value run(const Napi::CallbackInfo &info) {
    auto *arguments = new std::vector<std::string>;
    Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); i++) arguments->push_back(given.Get(i).As<Napi::String>());
    target = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "fuzz target", 1, 1);
    patience = std::chrono::milliseconds(info[2].As<Napi::Number>().Int64Value());
    auto ended = Napi::ThreadSafeFunction::New(info.Env(), info[3].As<Napi::Function>(), "fuzz end", 1, 1);
    std::thread([arguments, ended] {
        static std::vector<char *> argv; // libFuzzer keeps pointers into it
        for (std::string &argument : *arguments) argv.push_back(argument.data());
        int argc = static_cast<int>(argv.size());
        char **at = argv.data();
        LLVMFuzzerRunDriver(&argc, &at, run_one);
        ended.BlockingCall();
        ended.Release();
        target.Release();
    }).detach();
    return info.Env().Undefined();
}

// answer(passed): the target is done with its input. JavaScript's thread.
Napi::Value answer(const Napi::CallbackInfo &info) {
    {
        std::lock_guard<std::mutex> hold(lock);
        verdict = info[0].As<Napi::Boolean>() ? Verdict::passed : Verdict::failed;
    }
    answered.notify_one();
    return info.Env().Undefined();
}

// counters(count): one byte for each edge of a module, for as long as the process lives. JavaScript's thread.
Napi::Value counters(const Napi::CallbackInfo &info) {
    const size_t count = info[0].As<Napi::Number>().Uint32Value();
    auto *bytes = new uint8_t[count]();
    __sanitizer_cov_8bit_counters_init(bytes, bytes + count);
    // libFuzzer wants an address and a flag for each counter; it only counts them.
    static uintptr_t address = 1;
    auto *table = new std::vector<uintptr_t>;
    for (size_t i = 0; i < count; i++) table->insert(table->end(), {address++, 0});
    __sanitizer_cov_pcs_init(table->data(), table->data() + table->size());
    return Napi::Buffer<uint8_t>::New(info.Env(), bytes, count);
}

// compared(a, b): two numbers or two strings that were compared; libFuzzer tries one in place of the other.
Napi::Value compared(const Napi::CallbackInfo &info) {
    if (info[0].IsNumber()) {
        __sanitizer_cov_trace_const_cmp8(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()),
                                         static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()));
    } else {
        std::string left = info[0].As<Napi::String>(), right = info[1].As<Napi::String>();
        __sanitizer_weak_hook_strcmp(__builtin_return_address(0), left.c_str(), right.c_str(), 1);
    }
    return info.Env().Undefined();
}

Napi::Object load(Napi::Env env, Napi::Object exports) {
    exports.Set("run", Napi::Function::New(env, run));
    exports.Set("answer", Napi::Function::New(env, answer));
    exports.Set("counters", Napi::Function::New(env, counters));
    exports.Set("compared", Napi::Function::New(env, compared));
    return exports;
}

} // namespace

NODE_API_MODULE(fuzz_engine, load)
