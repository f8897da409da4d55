// SPDX-License-Identifier: GPL-2.0-or-later
#include "../core/events.h"
#include "binding.h"

namespace trmig {

namespace {

// Main thread. scanEvents(payload): {events, instructions, counts, bytes, error}
Napi::Value ScanEvents(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    auto payload = info[0].As<Napi::Uint8Array>();
    trmig_event_scanner scanner;
    trmig_event_scanner_init(&scanner);
    const char *error = nullptr;
    for (size_t at = 0; at < payload.ByteLength() && !error; at++) {
        if (at == scanner.bytes && payload.Data()[at] == TRMIG_EVENT_END) {
            error = "an END event, which no segment holds";
        } else if (trmig_event_scan_byte(&scanner, payload.Data()[at]) == TRMIG_SCAN_ERROR) {
            error = scanner.error;
        }
    }
    auto counts = Napi::Uint32Array::New(env, TRMIG_EVENT_COUNT);
    for (size_t kind = 0; kind < TRMIG_EVENT_COUNT; kind++) counts[kind] = static_cast<uint32_t>(scanner.counts[kind]);
    auto result = Napi::Object::New(env);
    result.Set("events", Napi::Number::New(env, static_cast<double>(scanner.events)));
    result.Set("instructions", Napi::Number::New(env, static_cast<double>(scanner.instructions)));
    result.Set("counts", counts);
    result.Set("bytes", Napi::Number::New(env, static_cast<double>(scanner.bytes)));
    result.Set("error", error ? Napi::Value(Napi::String::New(env, error)) : env.Null());
    return result;
}

} // namespace

void export_events(Napi::Env env, Napi::Object exports) {
    exports.Set("scanEvents", Napi::Function::New(env, ScanEvents));
}

} // namespace trmig
