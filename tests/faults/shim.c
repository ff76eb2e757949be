/* Calls of the C library that change files, counted, and one of them made to fail: see shim.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, LINK = 16, UNLINK = 32, MKDIR = 64, TRUNCATE = 128, MODE = 256,
       LOCK = 512, CLOSE = 1024 };
enum { NOTHING, FAILS, SHORT, SIGNALS };

static int armed, kinds, number, forever, what, error, sent, seen, logging = -1;
static char folder[PATH_MAX];

/* Begin to count. `kinds` is a mask; call number `number` of those is the one, and with `forever` all after it. */
void faults_arm(const char *where, int kinds_, int number_, int forever_, int what_, int error_, int sent_, int log_)
{
    snprintf(folder, sizeof folder, "%s", where);
    kinds = kinds_, number = number_, forever = forever_, what = what_, error = error_, sent = sent_, logging = log_;
    seen = 0, armed = 1;
}

static int is_below(const char *path)
{
    size_t length = strlen(folder);
    return path[0] != '/' || (!strncmp(path, folder, length) && (path[length] == '/' || !path[length]));
}

static int due(int kind, const char *path)
{
    if (!armed || !(kind & kinds) || !is_below(path))
        return NOTHING;
    int now = ++seen;
    if (logging >= 0) {
        char line[PATH_MAX + 32];
        int length = snprintf(line, sizeof line, "%d %s\n", kind, path);
        syscall(SYS_write, logging, line, length);
    }
    if (now != number && !(forever && number && now > number && path[0] != '<'))
        return NOTHING;
    if (what == SIGNALS) {
        if (sent == SIGKILL && kind == WRITE)
            return SHORT; /* which kills once half is written */
        raise(sent);
        return NOTHING;
    }
    errno = error;
    return what == SHORT && kind != WRITE ? NOTHING : what;
}

static int due_of(int kind, int handle)
{
    char link[64], path[PATH_MAX];
    if (!armed)
        return NOTHING;
    if (handle == 1 || handle == 2)
        return due(kind, handle == 1 ? "<stdout>" : "<stderr>");
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return NOTHING;
    path[length] = 0;
    return path[0] == '/' ? due(kind, path) : NOTHING;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILING(kind, path, call) return due(kind, path) == FAILS ? -1 : call

#define OPENS(name)                                                                      \
    int name(const char *path, int flags, ...)                                           \
    {                                                                                    \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = va_arg(rest, mode_t);                                              \
        va_end(rest);                                                                    \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && due(OPEN, path) == FAILS)         \
            return -1;                                                                   \
        return REAL(name)(path, flags, mode);                                            \
    }
#define OPENS_AT(name)                                                                   \
    int name(int base, const char *path, int flags, ...)                                 \
    {                                                                                    \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = va_arg(rest, mode_t);                                              \
        va_end(rest);                                                                    \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && due(OPEN, path) == FAILS)         \
            return -1;                                                                   \
        return REAL(name)(base, path, flags, mode);                                      \
    }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int handle, const void *content, size_t length)
{
    switch (due_of(WRITE, handle)) {
    case FAILS:
        return -1;
    case SHORT: {
        ssize_t done = REAL(write)(handle, content, length > 1 ? length / 2 : length);
        if (what == SIGNALS)
            raise(sent);
        return done;
    }
    default:
        return REAL(write)(handle, content, length);
    }
}

int close(int handle)
{
    int flags = armed ? fcntl(handle, F_GETFL) : -1;
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && due_of(CLOSE, handle) == FAILS) {
        REAL(close)(handle);
        errno = error;
        return -1;
    }
    return REAL(close)(handle);
}

int fsync(int handle) { return due_of(SYNC, handle) == FAILS ? -1 : REAL(fsync)(handle); }
int ftruncate(int handle, off_t length) { return due_of(TRUNCATE, handle) == FAILS ? -1 : REAL(ftruncate)(handle, length); }
int ftruncate64(int handle, off64_t length) { return due_of(TRUNCATE, handle) == FAILS ? -1 : REAL(ftruncate64)(handle, length); }
int fchmod(int handle, mode_t mode) { return due_of(MODE, handle) == FAILS ? -1 : REAL(fchmod)(handle, mode); }
int flock(int handle, int how) { return due_of(LOCK, handle) == FAILS ? -1 : REAL(flock)(handle, how); }
int chmod(const char *path, mode_t mode) { FAILING(MODE, path, REAL(chmod)(path, mode)); }
int rename(const char *from, const char *to) { FAILING(RENAME, to, REAL(rename)(from, to)); }
int link(const char *from, const char *to) { FAILING(LINK, to, REAL(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int flags) { FAILING(LINK, to, REAL(linkat)(a, from, b, to, flags)); }
int unlink(const char *path) { FAILING(UNLINK, path, REAL(unlink)(path)); }
int mkdir(const char *path, mode_t mode) { FAILING(MKDIR, path, REAL(mkdir)(path, mode)); }
