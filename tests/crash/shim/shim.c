/*
 * A layer between a program and its files: it records every call that changes a file below one directory, and makes
 * chosen calls fail. Loaded by LD_PRELOAD into the real server; the crash suite compiles it.
 *
 *   ANNALS_SHIM_ROOT    the directory that is watched: an absolute path without links
 *   ANNALS_SHIM_TRACE   file outside of it that the calls are appended to; see trace.rs for its form
 *   ANNALS_SHIM_FAULTS  rules OP:NTH:ACTION[:COUNT][@PART], separated by `;`
 *       OP      write, sync (fsync and fdatasync), range (sync_file_range), or any (every call recorded)
 *       NTH     the first call that is met, counted from 1 among the calls of this kind
 *       ACTION  eio, enospc, edquot: the call fails and changes nothing;
 *               short: half of the bytes are written and said to be, what follows within COUNT fails with ENOSPC;
 *               kill: the process ends by SIGKILL before the call
 *       COUNT   how many calls in a row are met, 1 unless given
 *       PART    only calls on paths that hold this text count
 *
 * One lock is held over each call and its record: the order in the trace is the order in which calls took effect, and
 * a call that returned is in the trace. Paths come from /proc/self/fd, so that renames and duplicates need no table.
 *
 * Covered: open with O_CREAT or O_TRUNC, creat, write, writev, pwrite, pwritev, ftruncate, truncate, fallocate, fsync,
 * fdatasync, sync_file_range, rename, unlink, mkdir, rmdir and their *at and *64 forms.
 * Met and marked in the trace, so that a replay refuses it: shared writable mmap, copy_file_range, sendfile, link,
 * symlink, msync.
 * Not seen: io_uring, direct system calls, statically linked programs, splice, aio, changes of mode and owner (no part
 * of the store depends on them), sync and syncfs (nothing here calls them).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    START = 1, CREATE, WRITE, TRUNCATE, FSYNC, FDATASYNC, RANGE, RENAME, UNLINK, MKDIR, RMDIR, EXTEND, UNSUPPORTED
};

struct __attribute__((packed)) head {
    uint8_t kind;
    uint8_t fault; /* 1 when the call was met by a rule */
    uint16_t path_len;
    int32_t error; /* 0, or the errno that the program saw */
    uint64_t offset;
    uint64_t data_len;
};

enum action { NONE, FAIL, SHORT, KILL };

struct rule {
    char op[8], part[64];
    long nth, count, seen;
    enum action action;
    int error;
};

#define PATH_BYTES 4096
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_BYTES];
static size_t root_len;
static int trace = -1;
static struct rule rules[16];
static int rule_count;

#define REAL(ret, name, ...)                                                                                          \
    static ret (*real_##name)(__VA_ARGS__);                                                                           \
    static void load_##name(void) {                                                                                   \
        if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name);                                           \
    }
REAL(int, open64, const char *, int, ...)
REAL(int, openat64, int, const char *, int, ...)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t)
REAL(int, ftruncate64, int, off64_t)
REAL(int, truncate64, const char *, off64_t)
REAL(int, fallocate64, int, int, off64_t, off64_t)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, sync_file_range, int, off64_t, off64_t, unsigned)
REAL(int, renameat2, int, const char *, int, const char *, unsigned)
REAL(int, unlinkat, int, const char *, int)
REAL(int, mkdirat, int, const char *, mode_t)
REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)
REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)
REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)
REAL(int, linkat, int, const char *, int, const char *, int)

static void fatal(const char *why) {
    dprintf(2, "shim: %s\n", why);
    _exit(125);
}

static void add_rule(char *text) {
    if (rule_count == 16) fatal("too many rules");
    struct rule *rule = &rules[rule_count++];
    char action[8] = "";
    rule->count = 1;
    char *part = strchr(text, '@');
    if (part) {
        *part = 0;
        snprintf(rule->part, sizeof rule->part, "%s", part + 1);
    }
    if (sscanf(text, "%7[^:]:%ld:%7[^:]:%ld", rule->op, &rule->nth, action, &rule->count) < 3) fatal("a rule is malformed");
    rule->action = !strcmp(action, "kill") ? KILL : !strcmp(action, "short") ? SHORT : FAIL;
    rule->error = !strcmp(action, "eio") ? EIO : !strcmp(action, "edquot") ? EDQUOT : ENOSPC;
    if (rule->action == FAIL && rule->error == ENOSPC && strcmp(action, "enospc")) fatal("unknown action");
}

static void mark(enum kind kind, int fault, const char *path, uint64_t offset, const struct iovec *data, int parts,
                 uint64_t data_len, int error);

__attribute__((constructor)) static void begin(void) {
    load_open64(), load_openat64(), load_write(), load_writev(), load_pwrite64(), load_pwritev64();
    load_ftruncate64(), load_truncate64(), load_fallocate64(), load_fsync(), load_fdatasync(), load_sync_file_range();
    load_renameat2(), load_unlinkat(), load_mkdirat(), load_mmap64(), load_copy_file_range(), load_sendfile64();
    load_linkat();
    const char *directory = getenv("ANNALS_SHIM_ROOT"), *file = getenv("ANNALS_SHIM_TRACE");
    if (!directory || !file) return;
    snprintf(root, sizeof root, "%s", directory);
    root_len = strlen(root);
    trace = real_open64(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) fatal("the trace cannot be opened");
    char *faults = getenv("ANNALS_SHIM_FAULTS"), *rest = NULL;
    if (faults)
        for (char *one = strtok_r(strdup(faults), ";", &rest); one; one = strtok_r(NULL, ";", &rest)) add_rule(one);
    mark(START, 0, "", 0, NULL, 0, 0, 0);
}

/* Appends one record in one call: a process that is killed leaves no half of one. */
static void mark(enum kind kind, int fault, const char *path, uint64_t offset, const struct iovec *data, int parts,
                 uint64_t data_len, int error) {
    struct head head = {kind, fault, strlen(path), error, offset, data_len};
    struct iovec all[64] = {{&head, sizeof head}, {(void *)path, head.path_len}};
    if (parts > 62) fatal("too many buffers");
    uint64_t left = data_len;
    int used = 2;
    for (int i = 0; i < parts && left; i++) {
        size_t len = data[i].iov_len < left ? data[i].iov_len : left;
        all[used++] = (struct iovec){data[i].iov_base, len};
        left -= len;
    }
    ssize_t want = sizeof head + head.path_len + data_len;
    if (real_writev(trace, all, used) != want) fatal("the trace cannot be written");
}

/* The path below the root, or NULL. "." is the root itself. */
static const char *below(char *path) {
    if (trace < 0 || strncmp(path, root, root_len)) return NULL;
    if (!path[root_len]) return ".";
    return path[root_len] == '/' ? path + root_len + 1 : NULL;
}

static const char *of_fd(int fd, char *buffer) {
    char link[40];
    if (trace < 0 || fd == trace) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, buffer, PATH_BYTES - 1);
    if (len <= 0) return NULL;
    buffer[len] = 0;
    /* What was unlinked has no name any more, and nothing of it can survive. */
    if (len > 10 && !strcmp(buffer + len - 10, " (deleted)")) return NULL;
    return below(buffer);
}

static const char *of_path(int directory, const char *path, char *buffer) {
    if (trace < 0) return NULL;
    if (*path == '/') {
        snprintf(buffer, PATH_BYTES, "%s", path);
    } else {
        char base[PATH_BYTES];
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return NULL;
        } else {
            const char *found = of_fd(directory, base);
            if (!found) return NULL;
        }
        if ((size_t)snprintf(buffer, PATH_BYTES, "%.2000s/%.2000s", base, path) >= PATH_BYTES) return NULL;
    }
    for (size_t len = strlen(buffer); len > 1 && buffer[len - 1] == '/'; len--) buffer[len - 1] = 0;
    return below(buffer);
}

/* Counts the call; gives what is to become of it. */
static enum action judge(const char *op, const char *path, int *error) {
    enum action action = NONE;
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if ((strcmp(rule->op, op) && strcmp(rule->op, "any")) || !strstr(path, rule->part)) continue;
        long at = ++rule->seen - rule->nth;
        if (at < 0 || at >= rule->count) continue;
        if (rule->action == KILL) {
            kill(getpid(), SIGKILL);
            for (;;) pause();
        }
        action = rule->action == SHORT && at > 0 ? FAIL : rule->action;
        *error = rule->error;
    }
    return action;
}

#define WATCH(path_expression)                                                                                        \
    char buffer[PATH_BYTES];                                                                                          \
    int fault_error = EIO;                                                                                            \
    pthread_mutex_lock(&mutex);                                                                                       \
    const char *path = (path_expression);
#define DONE(result)                                                                                                  \
    do {                                                                                                              \
        int kept = errno;                                                                                             \
        pthread_mutex_unlock(&mutex);                                                                                 \
        errno = kept;                                                                                                 \
        return result;                                                                                                \
    } while (0)

static ssize_t write_at(int fd, const struct iovec *data, int parts, off64_t offset, int positioned) {
    WATCH(of_fd(fd, buffer))
    if (!path) {
        pthread_mutex_unlock(&mutex);
        return positioned ? real_pwritev64(fd, data, parts, offset) : real_writev(fd, data, parts);
    }
    if (!positioned) {
        int end = fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR;
        offset = lseek64(fd, 0, end);
    }
    enum action action = judge("write", path, &fault_error);
    ssize_t wrote = -1;
    if (action == FAIL) {
        errno = fault_error;
    } else if (action == SHORT) {
        size_t half = data[0].iov_len > 1 ? data[0].iov_len / 2 : data[0].iov_len;
        wrote = positioned ? real_pwrite64(fd, data[0].iov_base, half, offset) : real_write(fd, data[0].iov_base, half);
    } else {
        wrote = positioned ? real_pwritev64(fd, data, parts, offset) : real_writev(fd, data, parts);
    }
    mark(WRITE, action != NONE, path, offset, data, parts, wrote < 0 ? 0 : wrote, wrote < 0 ? errno : 0);
    DONE(wrote);
}

ssize_t write(int fd, const void *data, size_t len) {
    struct iovec one = {(void *)data, len};
    return trace < 0 ? (load_write(), real_write(fd, data, len)) : write_at(fd, &one, 1, 0, 0);
}
ssize_t writev(int fd, const struct iovec *data, int parts) {
    return trace < 0 ? (load_writev(), real_writev(fd, data, parts)) : write_at(fd, data, parts, 0, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
    struct iovec one = {(void *)data, len};
    load_pwritev64();
    return write_at(fd, &one, 1, offset, 1);
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) { return pwrite64(fd, data, len, offset); }
ssize_t pwritev64(int fd, const struct iovec *data, int parts, off64_t offset) {
    return write_at(fd, data, parts, offset, 1);
}
ssize_t pwritev(int fd, const struct iovec *data, int parts, off_t offset) {
    return write_at(fd, data, parts, offset, 1);
}

/* A call that gives 0 or fails, on a path that is known before it. */
#define CALL(op, kind, path_expression, real, offset, data, data_len)                                                 \
    WATCH(path_expression)                                                                                            \
    if (!path) {                                                                                                      \
        pthread_mutex_unlock(&mutex);                                                                                 \
        return real;                                                                                                  \
    }                                                                                                                 \
    int failed = judge(op, path, &fault_error) != NONE;                                                               \
    int result = failed ? (errno = fault_error, -1) : real;                                                           \
    struct iovec more = {(void *)(data), data_len};                                                                   \
    mark(kind, failed, path, offset, &more, data_len ? 1 : 0, data_len, result < 0 ? errno : 0);                      \
    DONE(result)

int fsync(int fd) { CALL("sync", FSYNC, of_fd(fd, buffer), real_fsync(fd), 0, NULL, 0); }
int fdatasync(int fd) { CALL("sync", FDATASYNC, of_fd(fd, buffer), real_fdatasync(fd), 0, NULL, 0); }
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags) {
    CALL("range", RANGE, of_fd(fd, buffer), real_sync_file_range(fd, offset, len, flags), offset, NULL, 0);
}
int ftruncate64(int fd, off64_t len) {
    CALL("write", TRUNCATE, of_fd(fd, buffer), real_ftruncate64(fd, len), len, NULL, 0);
}
int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }
int truncate64(const char *name, off64_t len) {
    CALL("write", TRUNCATE, of_path(AT_FDCWD, name, buffer), real_truncate64(name, len), len, NULL, 0);
}
int truncate(const char *name, off_t len) { return truncate64(name, len); }
int fallocate64(int fd, int mode, off64_t offset, off64_t len) {
    CALL("write", mode ? UNSUPPORTED : EXTEND, of_fd(fd, buffer), real_fallocate64(fd, mode, offset, len), offset + len,
         NULL, 0);
}
int fallocate(int fd, int mode, off_t offset, off_t len) { return fallocate64(fd, mode, offset, len); }
int posix_fallocate64(int fd, off64_t offset, off64_t len) { return fallocate64(fd, 0, offset, len) ? errno : 0; }
int posix_fallocate(int fd, off_t offset, off_t len) { return posix_fallocate64(fd, offset, len); }
int unlinkat(int directory, const char *name, int flags) {
    CALL("name", flags & AT_REMOVEDIR ? RMDIR : UNLINK, of_path(directory, name, buffer),
         real_unlinkat(directory, name, flags), 0, NULL, 0);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int directory, const char *name, mode_t mode) {
    CALL("name", MKDIR, of_path(directory, name, buffer), real_mkdirat(directory, name, mode), 0, NULL, 0);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    char target[PATH_BYTES];
    const char *target_path = of_path(to, new, target);
    if (!target_path) target_path = "";
    CALL("name", *target_path && !flags ? RENAME : UNSUPPORTED, of_path(from, old, buffer),
         real_renameat2(from, old, to, new, flags), 0, target_path, strlen(target_path));
}
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    load_openat64();
    if (trace < 0 || !(flags & (O_CREAT | O_TRUNC))) return real_openat64(directory, name, flags, mode);
    WATCH(of_path(directory, name, buffer))
    struct stat found;
    int is_new = path && fstatat(directory, name, &found, 0) != 0;
    if (path && judge(is_new ? "name" : "open", path, &fault_error) != NONE) {
        errno = fault_error;
        mark(CREATE, 1, path, 0, NULL, 0, 0, errno);
        DONE(-1);
    }
    int fd = real_openat64(directory, name, flags, mode);
    if (path && fd >= 0 && is_new) mark(CREATE, 0, path, 0, NULL, 0, 0, 0);
    if (path && fd >= 0 && !is_new && flags & O_TRUNC) mark(TRUNCATE, 0, path, 0, NULL, 0, 0, 0);
    DONE(fd);
}

#define MODE(last)                                                                                                    \
    mode_t mode = 0;                                                                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                              \
        va_list rest;                                                                                                 \
        va_start(rest, last);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                  \
        va_end(rest);                                                                                                 \
    }
int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int directory, const char *name, int flags, ...) { MODE(flags) return open_at(directory, name, flags, mode); }
int openat64(int directory, const char *name, int flags, ...) { MODE(flags) return open_at(directory, name, flags, mode); }
int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

static void unsupported(int fd) {
    char buffer[PATH_BYTES];
    pthread_mutex_lock(&mutex);
    const char *path = of_fd(fd, buffer);
    if (path) mark(UNSUPPORTED, 0, path, 0, NULL, 0, 0, 0);
    pthread_mutex_unlock(&mutex);
}
void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset) {
    load_mmap64();
    if (trace >= 0 && fd >= 0 && flags & MAP_SHARED && protection & PROT_WRITE) unsupported(fd);
    return real_mmap64(at, len, protection, flags, fd, offset);
}
void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return mmap64(at, len, protection, flags, fd, offset);
}
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags) {
    unsupported(to);
    return real_copy_file_range(from, from_at, to, to_at, len, flags);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t len) {
    unsupported(to);
    return real_sendfile64(to, from, at, len);
}
ssize_t sendfile(int to, int from, off_t *at, size_t len) { return sendfile64(to, from, at, len); }
int linkat(int from, const char *old, int to, const char *new, int flags) {
    CALL("name", UNSUPPORTED, of_path(to, new, buffer), real_linkat(from, old, to, new, flags), 0, NULL, 0);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
