/*
 * What the tracer knows of QEMU's inside: declarations of the functions and variables that the distribution's
 * qemu-system-* binaries export to their modules, and the offsets of the few private fields it touches.
 *
 * Every symbol is weak: one that is missing resolves to NULL, and abi.c refuses to load with one sentence instead of
 * letting the dynamic linker fail. Every offset is checked against live values in abi.c before it is used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TRMIG_QEMU_H
#define TRMIG_QEMU_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define QEMU_WEAK __attribute__((weak))

typedef struct CPUState CPUState;
typedef struct QEMUTimerList QEMUTimerList;
typedef struct Chardev Chardev;
typedef struct AioContext AioContext;
typedef struct Error Error;
typedef struct NetClientState NetClientState;
typedef struct QEMUFile QEMUFile;
typedef struct QIOChannelFile QIOChannelFile;
typedef struct QIOChannel QIOChannel;
typedef struct QemuOpts QemuOpts;
typedef struct QemuOptsList QemuOptsList;
typedef struct RAMBlock RAMBlock;
typedef struct QObject QObject;
typedef struct QDict QDict;
typedef struct Object Object;
typedef struct VirtIODevice VirtIODevice;
typedef struct VirtQueue VirtQueue;

typedef union {
    int host_int;
    unsigned long host_ulong;
    void *host_ptr;
    uint64_t target_ptr;
} run_on_cpu_data;

typedef void (*run_on_cpu_func)(CPUState *cpu, run_on_cpu_data data);
typedef int (*RAMBlockIterFunc)(RAMBlock *block, void *opaque);
typedef int (*ObjectFunc)(Object *object, void *opaque);
typedef void (*QEMUBHFunc)(void *opaque);

/* include/qemu/notify.h */
typedef struct Notifier {
    void (*notify)(struct Notifier *notifier, void *data);
    struct {
        struct Notifier *le_next;
        struct Notifier **le_prev;
    } node;
} Notifier;

/* include/qemu/main-loop.h */
enum { MAIN_LOOP_POLL_FILL = 0 };
typedef struct {
    int state;
    uint32_t timeout;
    GArray *pollfds;
} MainLoopPoll;

/* qapi/machine.json: VersionInfo */
typedef struct {
    int64_t major, minor, micro;
} VersionTriple;
typedef struct {
    VersionTriple *qemu;
    char *package;
} VersionInfo;

/* qapi/yank.json: the migration member of the union carries nothing. */
typedef struct {
    int type;
    void *id;
} YankInstance;
enum { YANK_INSTANCE_TYPE_MIGRATION = 2 };

/* include/qapi/util.h */
typedef struct {
    const char *const *array;
    const uint64_t *features;
    const int size;
} QEnumLookup;

enum { REPLAY_MODE_NONE = 0, REPLAY_MODE_RECORD = 1, REPLAY_MODE_PLAY = 2 };
enum { CF_USE_ICOUNT = 0x2000 };
enum { QEMU_CHAR_FEATURE_REPLAY = 2 };
enum { QEMU_CLOCK_VIRTUAL = 1, QEMU_CLOCK_HOST = 2, QEMU_CLOCK_VIRTUAL_RT = 3, QEMU_CLOCK_MAX = 4 };
/* Of a timer that the guest does not see. */
enum { QEMU_TIMER_ATTR_EXTERNAL = 1, QEMU_TIMER_ATTR_ALL = -1 };

/* replay/replay-internal.h: struct ReplayState of 10.0. */
typedef struct {
    int64_t cached_clock[2];
    uint64_t current_icount;
    int instruction_count;
    unsigned int current_event;
    unsigned int data_kind;
    bool has_unread_data;
    uint64_t file_offset;
    uint64_t block_request_id;
    uint64_t read_event_id;
} ReplayState;

/* Declared once, so that the list that abi.c checks cannot differ from the declarations. */
#define QEMU_FUNCTIONS(F)                                                                                              \
    F(void, bql_unlock, (void))                                                                                        \
    F(void, bql_lock_impl, (const char *file, int line))                                                               \
    F(void, replay_mutex_init, (void))                                                                                 \
    F(void, replay_mutex_lock, (void))                                                                                 \
    F(void, replay_mutex_unlock, (void))                                                                               \
    F(bool, replay_mutex_locked, (void))                                                                               \
    F(void, replay_init_events, (void))                                                                                \
    F(void, replay_enable_events, (void))                                                                              \
    F(void, replay_finish_events, (void))                                                                              \
    F(bool, replay_has_events, (void))                                                                                 \
    F(void, replay_save_events, (void))                                                                                \
    F(void, replay_read_events, (void))                                                                                \
    F(void, replay_async_events, (void))                                                                               \
    F(bool, replay_checkpoint, (unsigned checkpoint))                                                                  \
    F(void, replay_save_instructions, (void))                                                                          \
    F(void, replay_fetch_data_kind, (void))                                                                            \
    F(bool, replay_next_event_is, (int event))                                                                         \
    F(bool, replay_exception, (void))                                                                                  \
    F(bool, replay_has_exception, (void))                                                                              \
    F(void, replay_finish_event, (void))                                                                               \
    F(void, replay_advance_current_icount, (uint64_t current_icount))                                                  \
    F(void, replay_put_event, (uint8_t event))                                                                         \
    F(void, replay_put_dword, (uint32_t dword))                                                                        \
    F(void, qemu_notify_event, (void))                                                                                 \
    F(void, qemu_clock_notify, (int type))                                                                             \
    F(void, qemu_timer_notify_cb, (void *opaque, int type))                                                            \
    F(int64_t, qemu_clock_deadline_ns_all, (int type, int attributes))                                                 \
    F(bool, qemu_clock_run_timers, (int type))                                                                         \
    F(void, icount_handle_deadline, (void))                                                                            \
    F(void, aio_notify, (AioContext * ctx))                                                                            \
    F(AioContext *, iohandler_get_aio_context, (void))                                                                 \
    F(void, replay_register_char_driver, (Chardev * chr))                                                              \
    F(void, qemu_chr_set_feature, (Chardev * chr, int feature))                                                        \
    F(Chardev *, qemu_chr_find, (const char *name))                                                                    \
    F(int, vm_stop, (int state))                                                                                       \
    F(void, vm_start, (void))                                                                                          \
    F(void, pause_all_vcpus, (void))                                                                                   \
    F(void, resume_all_vcpus, (void))                                                                                  \
    F(void, cpu_disable_ticks, (void))                                                                                 \
    F(void, cpu_enable_ticks, (void))                                                                                  \
    F(bool, runstate_is_running, (void))                                                                               \
    F(void, run_on_cpu, (CPUState * cpu, run_on_cpu_func func, run_on_cpu_data data))                                  \
    F(void, async_run_on_cpu, (CPUState * cpu, run_on_cpu_func func, run_on_cpu_data data))                            \
    F(void, qemu_cpu_kick, (CPUState * cpu))                                                                           \
    F(void, icount_account_warp_timer, (void))                                                                         \
    F(void *, qemu_add_vm_change_state_handler,                                                                        \
      (void (*changed)(void *opaque, bool running, int state), void *opaque))                                          \
    F(void, qemu_register_shutdown_notifier, (Notifier * notifier))                                                    \
    F(CPUState *, qemu_get_cpu, (int index))                                                                           \
    F(bool, qemu_in_vcpu_thread, (void))                                                                               \
    F(bool, cpu_is_stopped, (CPUState * cpu))                                                                          \
    F(bool, all_cpu_threads_idle, (void))                                                                              \
    F(void, tcg_cflags_set, (CPUState * cpu, uint32_t flags))                                                          \
    F(void, tcg_handle_interrupt, (CPUState * cpu, int mask))                                                          \
    F(void, icount_handle_interrupt, (CPUState * cpu, int mask))                                                       \
    F(void, rr_start_vcpu_thread, (CPUState * cpu))                                                                    \
    F(void, rr_kick_vcpu_thread, (CPUState * cpu))                                                                     \
    F(int64_t, icount_get, (void))                                                                                     \
    F(int64_t, icount_get_raw, (void))                                                                                 \
    F(int64_t, icount_to_ns, (int64_t icount))                                                                         \
    F(bool, icount_configure, (QemuOpts * opts, Error * *errp))                                                        \
    F(int64_t, cpu_get_clock, (void))                                                                                  \
    F(int64_t, qemu_clock_get_ns, (int type))                                                                          \
    F(QEMUTimerList *, timerlist_new, (int type, void (*notify)(void *opaque, int type), void *opaque))                \
    F(void, timerlist_free, (QEMUTimerList * list))                                                                    \
    F(bool, timerlist_has_timers, (QEMUTimerList * list))                                                              \
    F(bool, timerlist_expired, (QEMUTimerList * list))                                                                 \
    F(int64_t, replay_save_clock, (int kind, int64_t clock, int64_t raw_icount))                                       \
    F(void, replay_put_qword, (int64_t qword))                                                                         \
    F(void, qemu_clock_enable, (int type, bool enabled))                                                               \
    F(void *, cpus_get_accel, (void))                                                                                  \
    F(QemuOptsList *, qemu_find_opts, (const char *group))                                                             \
    F(QemuOpts *, qemu_opts_create, (QemuOptsList * list, const char *id, int fail_if_exists, Error **errp))           \
    F(bool, qemu_opt_set, (QemuOpts * opts, const char *name, const char *value, Error **errp))                        \
    F(int, qemu_find_net_clients_except, (const char *id, NetClientState **clients, int except, int max))              \
    F(void, qemu_purge_queued_packets, (NetClientState * nc))                                                          \
    F(Object *, object_get_root, (void))                                                                               \
    F(Object *, object_dynamic_cast, (Object * obj, const char *type))                                                 \
    F(int, object_child_foreach_recursive, (Object * obj, ObjectFunc func, void *opaque))                              \
    F(int, virtio_get_num_queues, (VirtIODevice * vdev))                                                               \
    F(VirtQueue *, virtio_get_queue, (VirtIODevice * vdev, int n))                                                     \
    F(void, virtio_queue_set_notification, (VirtQueue * vq, int enable))                                               \
    F(void, virtio_queue_invalidate_signalled_used, (VirtIODevice * vdev, int n))                                      \
    F(int, qemu_ram_foreach_block, (RAMBlockIterFunc func, void *opaque))                                              \
    F(const char *, qemu_ram_get_idstr, (RAMBlock * rb))                                                               \
    F(void *, qemu_ram_get_host_addr, (RAMBlock * rb))                                                                 \
    F(uint64_t, qemu_ram_get_used_length, (RAMBlock * rb))                                                             \
    F(int, qemu_save_device_state, (QEMUFile * f))                                                                     \
    F(int, qemu_load_device_state, (QEMUFile * f))                                                                     \
    F(QEMUFile *, qemu_file_new_output, (QIOChannel * ioc))                                                            \
    F(QEMUFile *, qemu_file_new_input, (QIOChannel * ioc))                                                             \
    F(int, qemu_fflush, (QEMUFile * f))                                                                                \
    F(int, qemu_fclose, (QEMUFile * f))                                                                                \
    F(QIOChannelFile *, qio_channel_file_new_fd, (int fd))                                                             \
    F(void, object_unref, (void *obj))                                                                                 \
    F(bool, yank_register_instance, (const YankInstance *instance, Error **errp))                                      \
    F(void, yank_unregister_instance, (const YankInstance *instance))                                                  \
    F(AioContext *, qemu_get_aio_context, (void))                                                                      \
    F(bool, aio_poll, (AioContext * ctx, bool blocking))                                                               \
    F(void, aio_bh_schedule_oneshot_full, (AioContext * ctx, QEMUBHFunc cb, void *opaque, const char *name))           \
    F(void, main_loop_poll_add_notifier, (Notifier * notify))                                                          \
    F(int, gdb_read_register, (CPUState * cpu, GByteArray * buf, int reg))                                             \
    F(VersionInfo *, qmp_query_version, (Error * *errp))                                                               \
    F(QObject *, qobject_from_json, (const char *string, Error **errp))                                                \
    F(void, qobject_destroy, (QObject * obj))                                                                          \
    F(const char *, qdict_get_try_str, (const QDict *qdict, const char *key))                                          \
    F(int64_t, qdict_get_try_int, (const QDict *qdict, const char *key, int64_t def_value))                            \
    F(bool, qdict_get_try_bool, (const QDict *qdict, const char *key, bool def_value))                                 \
    F(QDict *, qdict_get_qdict, (const QDict *qdict, const char *key))                                                 \
    F(QObject *, qdict_get, (const QDict *qdict, const char *key))                                                     \
    F(int, qdict_haskey, (const QDict *qdict, const char *key))                                                        \
    F(double, qdict_get_double, (const QDict *qdict, const char *key))

#define DECLARE(type, name, arguments) extern QEMU_WEAK type name arguments;
QEMU_FUNCTIONS(DECLARE)
#undef DECLARE

extern QEMU_WEAK int replay_mode;
extern QEMU_WEAK FILE *replay_file;
extern QEMU_WEAK ReplayState replay_state;
extern QEMU_WEAK uint8_t timers_state[];
extern QEMU_WEAK int use_icount;
extern QEMU_WEAK QEMUTimerList *main_loop_tlg[];
extern QEMU_WEAK const QEnumLookup RunState_lookup;
extern QEMU_WEAK const QEnumLookup ShutdownCause_lookup;

#define bql_lock() bql_lock_impl(__FILE__, __LINE__)

/* struct TimersState (include/system/cpu-timers-internal.h) of 10.0. */
enum {
    TIMERS_CPU_TICKS_OFFSET = 0x08,
    TIMERS_ICOUNT_SHIFT = 0x1a,
    TIMERS_ICOUNT_BIAS = 0x28,
    TIMERS_WARP_START = 0x30,
    TIMERS_CPU_CLOCK_OFFSET = 0x38,
    TIMERS_ICOUNT = 0x40,
    TIMERS_WARP_TIMER = 0x58,
};
static inline int64_t *timers_i64(size_t offset) { return (int64_t *)(timers_state + offset); }
static inline int16_t *timers_shift(void) { return (int16_t *)(timers_state + TIMERS_ICOUNT_SHIFT); }

/* struct AccelOpsClass (include/system/accel-ops.h) of 10.0. */
enum {
    OPS_CREATE_VCPU_THREAD = 0x78,
    OPS_KICK_VCPU_THREAD = 0x80,
    OPS_HANDLE_INTERRUPT = 0xb8,
    OPS_GET_VIRTUAL_CLOCK = 0xc0,
    OPS_GET_ELAPSED_TICKS = 0xd0,
};
static inline void **accel_op(size_t offset) { return (void **)((uint8_t *)cpus_get_accel() + offset); }

/* struct Chardev (include/chardev/char.h) of 10.0. */
enum { CHARDEV_LABEL = 0x60, CHARDEV_LOGFD = 0x70 };

/* struct CPUState: cflags_next_tb of 10.0; tcg_cflags is found at load by abi.c. */
enum { CPU_CFLAGS_NEXT_TB = 0xcc };

/* Checks version, symbols and what can be checked before a vCPU exists. Returns NULL, or one sentence. Main thread. */
const char *abi_check_at_load(void);

/* Checks the layouts that need a vCPU and returns NULL or one sentence. vCPU thread, BQL held. */
const char *abi_check_vcpu(CPUState *cpu);

/* Checks that `chr` is laid out as assumed: its label must be `name`. */
bool abi_check_chardev(const Chardev *chr, const char *name);

/* CPUState.tcg_cflags. Valid after abi_check_at_load. */
uint32_t *cpu_tcg_cflags(CPUState *cpu);
/* CPUState.cflags_next_tb. */
uint32_t *cpu_cflags_next_tb(CPUState *cpu);

/* The value of a RunState by name. Valid after abi_check_at_load. */
int run_state(const char *name);

/* "10.0.2 (Debian 1:10.0.2+ds-2…)". Owned by the tracer. */
const char *qemu_version_string(void);

#endif
