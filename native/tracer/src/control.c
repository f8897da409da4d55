/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "control.h"

#include "clock.h"
#include "counting.h"
#include "lines.h"
#include "mode.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 32,
    LINE_BYTES_MAX = 16 * 1024 * 1024,
    OUT_BYTES_MAX = 64 * 1024 * 1024, /* a client that reads nothing for so long is dropped */
    QTYPE_QNULL = 1,                  /* qapi/common.json: QType */
};

typedef struct {
    int fd;
    uint64_t serial;
    GByteArray *in;
    GByteArray *out;
} Client;

static int listener = -1, wakeup = -1;
static Client clients[CLIENTS_MAX];
static int client_count;
static uint64_t next_serial = 1;
static GQueue waiting = G_QUEUE_INIT; /* of Request, for the main loop; control thread only */
static Request *running;              /* in the main loop; control thread only */
static Request *parked;               /* `running`, until its second half is due; control thread only */

static GMutex shared_lock; /* guards what follows; never held across a call into QEMU */
static Request *completed;
static GString *events;
static bool is_open;

/* --- requests --- */

static void request_free(Request *request)
{
    /* A line that says null is QEMU's one null object, which is not to be freed. */
    if (request->root && *(const int *)(const void *)request->root != QTYPE_QNULL) {
        ((size_t *)(void *)request->root)[1] = 0; /* QObject.refcnt: never shared, its only reference is ours */
        qobject_destroy(request->root);
    }
    g_string_free(request->reply, TRUE);
    g_free(request->error);
    g_free(request);
}

/* --- clients --- */

static Client *client_by_serial(uint64_t serial)
{
    for (int i = 0; i < client_count; i++) {
        if (clients[i].serial == serial) {
            return &clients[i];
        }
    }
    return NULL;
}

static void client_forget(Client *client, bool close_fd)
{
    const uint64_t serial = client->serial;
    if (close_fd) {
        close(client->fd);
    }
    g_byte_array_unref(client->in);
    g_byte_array_unref(client->out);
    *client = clients[--client_count];
    if (close_fd) {
        commands_client_gone(serial);
    }
}

static void answer(const Request *request)
{
    Client *client = client_by_serial(request->client);
    if (client) {
        char *line = request_line(request);
        g_byte_array_append(client->out, (const uint8_t *)line, (guint)strlen(line));
        g_free(line);
    } else if (request->client) {
        commands_client_gone(request->client);
    }
}

static void wake(void)
{
    const uint64_t one = 1;
    (void)!write(wakeup, &one, sizeof(one));
}

void control_event(const char *name, const char *data)
{
    g_mutex_lock(&shared_lock);
    g_string_append_printf(events, "{\"event\":\"%s\",\"data\":{%s}}\n", name, data);
    g_mutex_unlock(&shared_lock);
    wake();
}

/* The connection becomes a stream: blocking, no longer polled here. */
static void attach_stream(Request *request)
{
    const char *name = request_str(request, "name");
    if (!name) {
        answer(request);
        return;
    }
    Client *client = client_by_serial(request->client);
    if (!stream_put(name, client->fd)) {
        request_fail(request, "Failed", "too many streams");
        answer(request);
        return;
    }
    fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) & ~O_NONBLOCK);
    char *line = g_strdup_printf("{\"return\":{},\"id\":%" PRId64 "}\n", request->id);
    (void)!send(client->fd, line, strlen(line), MSG_NOSIGNAL);
    g_free(line);
    client_forget(client, false);
}

/* --- running commands --- */

/* The main loop, BQL held. */
static void run_in_main_loop(void *opaque)
{
    Request *request = opaque;
    void (*run)(Request *) = request->then ? request->then : request->command->run;
    request->then = NULL;
    counting_end();
    run(request);
    g_mutex_lock(&shared_lock);
    completed = request;
    g_mutex_unlock(&shared_lock);
    wake();
}

static void finish(Request *request)
{
    answer(request);
    if (request->command->after && !request->error_class) {
        request->command->after();
    }
    request_free(request);
}

static void run_next(void)
{
    if (!running && (running = g_queue_pop_head(&waiting))) {
        aio_bh_schedule_oneshot_full(qemu_get_aio_context(), run_in_main_loop, running, "trmig");
    }
}

static void dispatch(Request *request)
{
    if (request->command->in_main_loop) {
        g_queue_push_tail(&waiting, request);
        run_next();
    } else {
        request->command->run(request);
        finish(request);
    }
}

void control_run(const Command *command)
{
    Request *request = g_new0(Request, 1);
    request->command = command;
    request->reply = g_string_new(NULL);
    dispatch(request);
}

static const Command *command_by_name(const char *name)
{
    for (const Command *command = control_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

/* One line from a client. Returns false when the connection is no longer a control connection. */
static bool handle_line(uint64_t serial, char *line)
{
    Request *request = g_new0(Request, 1);
    request->client = serial;
    request->reply = g_string_new(NULL);
    request->root = qobject_from_json(line, NULL);
    const QDict *root = request_root(request);
    const char *name = root ? qdict_get_try_str(root, "execute") : NULL;
    if (!name) {
        static const Command none = {"none", NULL, false, NULL};
        request->command = &none;
        request_fail(request, "BadRequest", "a request is one JSON object with a member \"execute\"");
        finish(request);
        return true;
    }
    request->id = qdict_get_try_int(root, "id", 0);
    request->arguments = qdict_get_qdict(root, "arguments");
    if (strcmp(name, "stream") == 0) {
        attach_stream(request);
        const bool stays = client_by_serial(serial) != NULL;
        request_free(request);
        return stays;
    }
    request->command = command_by_name(name);
    if (!request->command) {
        static const Command none = {"none", NULL, false, NULL};
        request->command = &none;
        request_fail(request, "UnknownCommand", "there is no such command");
        finish(request);
        return true;
    }
    dispatch(request);
    return true;
}

/* Returns false when the client is gone or has become a stream. */
static bool read_client(uint64_t serial)
{
    Client *client = client_by_serial(serial);
    uint8_t buffer[65536];
    const ssize_t got = recv(client->fd, buffer, sizeof(buffer), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0 || client->in->len + (size_t)got > LINE_BYTES_MAX) {
        client_forget(client, true);
        return false;
    }
    g_byte_array_append(client->in, buffer, (guint)got);
    /* What was taken is removed at the end: bytes that are all newlines would else be moved once for each. */
    guint taken = 0;
    char *line;
    while ((client = client_by_serial(serial)) && (line = line_next(client->in, &taken))) {
        const bool stays = handle_line(serial, line);
        g_free(line);
        if (!stays) {
            return false;
        }
    }
    if (client) {
        g_byte_array_remove_range(client->in, 0, taken);
    }
    return client != NULL;
}

static bool write_client(Client *client)
{
    const ssize_t sent = send(client->fd, client->out->data, client->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    const bool alive = sent >= 0 || errno == EAGAIN || errno == EINTR;
    g_byte_array_remove_range(client->out, 0, (guint)MAX(sent, 0));
    return alive && client->out->len < OUT_BYTES_MAX;
}

static void accept_client(void)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (client_count == CLIENTS_MAX) {
        close(fd);
        return;
    }
    clients[client_count++] = (Client){fd, next_serial++, g_byte_array_new(), g_byte_array_new()};
}

static void take_completed(void)
{
    uint64_t count;
    (void)!read(wakeup, &count, sizeof(count));
    g_mutex_lock(&shared_lock);
    Request *request = completed;
    completed = NULL;
    g_mutex_unlock(&shared_lock);
    if (request && request->then && !request->error_class) {
        parked = request;
    } else if (request) {
        running = NULL;
        finish(request);
        run_next();
    }
}

/* Resumes a parked request when it is due. Returns the ms until then, at most `timeout_ms`. */
static int resume_parked(int timeout_ms)
{
    if (!parked) {
        return timeout_ms;
    }
    const uint64_t now = host_ns();
    if (now < parked->then_ns) {
        return MIN(timeout_ms, (int)((parked->then_ns - now) / 1000000u) + 1);
    }
    aio_bh_schedule_oneshot_full(qemu_get_aio_context(), run_in_main_loop, parked, "trmig");
    parked = NULL;
    return timeout_ms;
}

static void broadcast_events(void)
{
    g_mutex_lock(&shared_lock);
    for (int i = 0; events->len && i < client_count; i++) {
        g_byte_array_append(clients[i].out, (const uint8_t *)events->str, (guint)events->len);
    }
    g_string_truncate(events, 0);
    g_mutex_unlock(&shared_lock);
}

void control_open(void)
{
    if (!__atomic_exchange_n(&is_open, true, __ATOMIC_ACQ_REL)) {
        wake();
    }
}

static gpointer control_thread(gpointer unused)
{
    (void)unused;
    while (!__atomic_load_n(&is_open, __ATOMIC_ACQUIRE)) {
        struct pollfd opened = {wakeup, POLLIN, 0};
        poll(&opened, 1, -1);
    }
    for (;;) {
        const int timeout_ms = resume_parked(commands_tick());
        broadcast_events();
        for (int i = client_count - 1; i >= 0; i--) {
            if (clients[i].out->len > 0 && !write_client(&clients[i])) {
                client_forget(&clients[i], true);
            }
        }
        struct pollfd fds[CLIENTS_MAX + 2] = {{listener, POLLIN, 0}, {wakeup, POLLIN, 0}};
        uint64_t serials[CLIENTS_MAX];
        const int polled = client_count;
        for (int i = 0; i < polled; i++) {
            serials[i] = clients[i].serial;
            fds[i + 2] = (struct pollfd){clients[i].fd, (short)(POLLIN | (clients[i].out->len ? POLLOUT : 0)), 0};
        }
        if (poll(fds, (nfds_t)polled + 2, timeout_ms) < 0) {
            continue;
        }
        if (fds[1].revents) {
            take_completed();
        }
        for (int i = 0; i < polled; i++) {
            if (fds[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) {
                read_client(serials[i]);
            }
        }
        if (fds[0].revents) {
            accept_client();
        }
    }
    return NULL;
}

const char *control_start(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof(address.sun_path)) {
        return "the socket's path is longer than 107 bytes";
    }
    strcpy(address.sun_path, socket_path);
    unlink(socket_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    events = g_string_new(NULL);
    const mode_t mask = umask(0177); /* only the owner may drive the machine */
    const bool bound = listener >= 0 && wakeup >= 0 &&
                       bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 8) == 0;
    umask(mask);
    if (!bound) {
        return g_strdup_printf("cannot listen on %s: %s", socket_path, g_strerror(errno));
    }
    /* Signals are QEMU's main thread's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    g_thread_new("trmig-control", control_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return NULL;
}
