/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TRMIG_TRACER_H
#define TRMIG_TRACER_H

/* "x86_64" or "aarch64": QEMU's name of the emulated architecture. */
const char *tracer_target(void);

#endif
