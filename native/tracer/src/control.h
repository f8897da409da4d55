/*
 * The control socket: newline-delimited JSON (docs/tracer-protocol.md), served by a thread of its own that takes none of
 * QEMU's locks, so that it answers even while the main loop waits for the log.
 *
 * Requests that touch the VM run one after the other in the main loop as bottom halves; the rest runs here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_CONTROL_H
#define TRMIG_CONTROL_H

#include "qemu.h"

typedef struct Request Request;

typedef struct {
    const char *name;
    void (*run)(Request *request);
    bool in_main_loop;
    void (*after)(void); /* in the control thread once the reply is out; NULL for none */
} Command;

struct Request {
    uint64_t client; /* serial of the client, 0 for the tracer itself */
    int64_t id;
    const Command *command;
    QObject *root;                  /* owned; NULL for the tracer's own */
    const QDict *arguments;         /* inside root; NULL when there were none */
    GString *reply;                 /* JSON members without the braces; owned */
    const char *error_class;        /* NULL on success */
    char *error;                    /* owned */
    void (*then)(Request *request); /* run in the main loop at `then_ns` before the reply goes out; NULL for none */
    uint64_t then_ns, begun_ns, begun_busy_ns, begun_instructions;
};

/* Binds the socket and starts the thread. Returns NULL or why it could not. Main thread, at load. */
const char *control_start(const char *socket_path);

/* The machine is complete and the main loop runs: requests that came earlier are served from now on. Any thread. */
void control_open(void);

/* --- for commands.c --- */
extern const Command control_commands[]; /* ends with a NULL name */

/* The line that answers it, newline included; the caller's to free. */
char *request_line(const Request *request);
/* The request itself, or NULL when it is no JSON object. */
const QDict *request_root(const Request *request);
void request_fail(Request *request, const char *error_class, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Reads an integer argument; fails the request and returns false when it is missing (and has no default, which is
 * `fallback` < min) or out of bounds. */
bool request_int(Request *request, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value);
const char *request_str(Request *request, const char *name);
bool request_number(Request *request, const char *name, double min, double max, double *value);
bool request_bool(const Request *request, const char *name);
/* Appends `"name":` and a formatted value to the reply. */
void request_reply(Request *request, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Sends `{"event": name, "data": {data}}` to all clients. Any thread; `data` is JSON members without braces, copied. */
void control_event(const char *name, const char *data);
/* Runs a command on the tracer's own behalf, after those that are queued. Control thread. */
void control_run(const Command *command);
/* What happens between requests; returns the ms until it wants to be called again. Control thread. */
int commands_tick(void);
/* A client has gone, or had when its request was done. Control thread. */
void commands_client_gone(uint64_t client);

#endif
