/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device state as `restore` gets it, base64 in a request: what is none is refused before QEMU sees it. */
#include "../tracer/src/state-header.h"

#include <glib.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gsize bytes;
    char *text = g_strndup((const char *)data, size);
    guchar *blob = g_base64_decode(text, &bytes);
    if (state_begins(blob, bytes) && (bytes <= STATE_HEADER_BYTES || blob[0] != 'Q' || blob[7] != 3)) {
        abort();
    }
    g_free(blob);
    g_free(text);
    return 0;
}
