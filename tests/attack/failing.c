/* Preloaded into a process: lets the n-th call to the system that concerns a folder fail, once.

   failing_watch(prefix)     whose paths, and descriptors opened below it, count
   failing_arm(n, variant)   the n-th from now on fails, with the call's first or second error (variants 0 and 1);
                             or the process is killed at it (2); or every seventh from there on fails (3);
                             n = 0: only count
   failing_calls()           how many there were since
   failing_what()            the call that failed and its path or descriptor; "" before */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FDS 65536
static char prefix[4096];
static size_t prefix_length;
static atomic_long calls, fatal;
static int variant;
static char what[512];
static atomic_char watched[MOST_FDS];

void failing_watch(const char *path) {
    snprintf(prefix, sizeof prefix, "%s", path);
    prefix_length = strlen(prefix);
}

void failing_arm(long n, int which) {
    what[0] = 0;
    variant = which;
    atomic_store(&calls, 0);
    atomic_store(&fatal, n);
}

long failing_calls(void) { return atomic_load(&calls); }
const char *failing_what(void) { return what; }

static int concerns(const char *path) {
    return prefix_length && path && strncmp(path, prefix, prefix_length) == 0;
}

static int concerns_fd(int fd) { return fd >= 0 && fd < MOST_FDS && atomic_load(&watched[fd]); }

static int fails(const char *name, const char *path, int fd, int one, int other) {
    long now = atomic_fetch_add(&calls, 1) + 1;
    long from = atomic_load(&fatal);
    if (from == 0 || now < from || (now > from && (variant != 3 || (now - from) % 7))) return 0;
    if (variant == 2) kill(getpid(), SIGKILL);
    snprintf(what, sizeof what, "%s %s (%d) errno %d", name, path ? path : "", fd, variant == 1 ? other : one);
    errno = variant == 1 ? other : one;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void opened(int fd, int yes) {
    if (fd >= 0 && fd < MOST_FDS) atomic_store(&watched[fd], (char)yes);
}

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        REAL(int, #symbol, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int mine = concerns(path); \
        if (mine && fails("open", path, flags, EMFILE, flags & O_CREAT ? ENOSPC : EIO)) return -1; \
        int fd = real(path, flags, mode); \
        opened(fd, mine); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
    int symbol(int at, const char *path, int flags, ...) { \
        REAL(int, #symbol, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int mine = concerns(path) || (at != AT_FDCWD && concerns_fd(at)); \
        if (mine && fails("openat", path, at, EMFILE, flags & O_CREAT ? ENOSPC : EIO)) return -1; \
        int fd = real(at, path, flags, mode); \
        opened(fd, mine); \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(int, "close", int);
    opened(fd, 0);
    return real(fd);
}

#define ON_FD(type, symbol, one, other, parameters, arguments) \
    type symbol parameters { \
        static type (*real) parameters; \
        if (!real) real = (type (*) parameters)dlsym(RTLD_NEXT, #symbol); \
        if (concerns_fd(fd) && fails(#symbol, 0, fd, one, other)) return -1; \
        return real arguments; \
    }
ON_FD(int, fsync, EIO, ENOSPC, (int fd), (fd))
ON_FD(int, fdatasync, EIO, ENOSPC, (int fd), (fd))
ON_FD(int, flock, ENOMEM, EIO, (int fd, int how), (fd, how))
ON_FD(int, ftruncate, EIO, ENOSPC, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, EIO, ENOSPC, (int fd, off64_t size), (fd, size))
ON_FD(ssize_t, write, ENOSPC, EIO, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pwrite, ENOSPC, EIO, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
ON_FD(ssize_t, pwrite64, ENOSPC, EIO, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
ON_FD(ssize_t, read, EIO, ENOMEM, (int fd, void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pread, EIO, ENOMEM, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
ON_FD(ssize_t, pread64, EIO, ENOMEM, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))
ON_FD(int, sync_file_range, EIO, ENOSPC, (int fd, off64_t at, off64_t size, unsigned how), (fd, at, size, how))
ON_FD(int, fstat, EIO, ENOMEM, (int fd, struct stat *out), (fd, out))
ON_FD(int, fstat64, EIO, ENOMEM, (int fd, struct stat64 *out), (fd, out))

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(int, "posix_fallocate64", int, off64_t, off64_t);
    if (concerns_fd(fd) && fails("posix_fallocate", 0, fd, ENOSPC, EIO)) return errno;
    return real(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    if (concerns_fd(fd) && fails("posix_fallocate", 0, fd, ENOSPC, EIO)) return errno;
    return real(fd, at, size);
}

#define MAP(symbol, offset) \
    void *symbol(void *at, size_t size, int protection, int flags, int fd, offset from) { \
        REAL(void *, #symbol, void *, size_t, int, int, int, offset); \
        if (concerns_fd(fd) && fails("mmap", 0, fd, ENOMEM, EACCES)) return MAP_FAILED; \
        return real(at, size, protection, flags, fd, from); \
    }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

#define ON_PATH(symbol, one, other, parameters, arguments) \
    int symbol parameters { \
        static int (*real) parameters; \
        if (!real) real = (int (*) parameters)dlsym(RTLD_NEXT, #symbol); \
        if (concerns(path) && fails(#symbol, path, -1, one, other)) return -1; \
        return real arguments; \
    }
ON_PATH(mkdir, ENOSPC, EIO, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, EIO, EBUSY, (const char *path), (path))
ON_PATH(unlink, EIO, EBUSY, (const char *path), (path))
ON_PATH(rename, EIO, ENOSPC, (const char *path, const char *to), (path, to))
ON_PATH(link, ENOSPC, EMLINK, (const char *path, const char *to), (path, to))
ON_PATH(stat, EIO, ENOMEM, (const char *path, struct stat *out), (path, out))
ON_PATH(lstat, EIO, ENOMEM, (const char *path, struct stat *out), (path, out))
ON_PATH(stat64, EIO, ENOMEM, (const char *path, struct stat64 *out), (path, out))
ON_PATH(lstat64, EIO, ENOMEM, (const char *path, struct stat64 *out), (path, out))
ON_PATH(access, EIO, ENOMEM, (const char *path, int mode), (path, mode))

#define ON_PATH_AT(symbol, one, other, parameters, arguments) \
    int symbol parameters { \
        static int (*real) parameters; \
        if (!real) real = (int (*) parameters)dlsym(RTLD_NEXT, #symbol); \
        if ((concerns(path) || (at != AT_FDCWD && concerns_fd(at))) && fails(#symbol, path, at, one, other)) return -1; \
        return real arguments; \
    }
ON_PATH_AT(unlinkat, EIO, EBUSY, (int at, const char *path, int flags), (at, path, flags))
ON_PATH_AT(mkdirat, ENOSPC, EIO, (int at, const char *path, mode_t mode), (at, path, mode))
ON_PATH_AT(renameat, EIO, ENOSPC, (int at, const char *path, int to_at, const char *to), (at, path, to_at, to))
ON_PATH_AT(renameat2, EIO, EINVAL, (int at, const char *path, int to_at, const char *to, unsigned flags), (at, path, to_at, to, flags))
ON_PATH_AT(linkat, ENOSPC, EMLINK, (int at, const char *path, int to_at, const char *to, int flags), (at, path, to_at, to, flags))
ON_PATH_AT(fstatat, EIO, ENOMEM, (int at, const char *path, struct stat *out, int flags), (at, path, out, flags))
ON_PATH_AT(fstatat64, EIO, ENOMEM, (int at, const char *path, struct stat64 *out, int flags), (at, path, out, flags))
ON_PATH_AT(faccessat, EIO, ENOMEM, (int at, const char *path, int mode, int flags), (at, path, mode, flags))

DIR *opendir(const char *path) {
    REAL(DIR *, "opendir", const char *);
    if (concerns(path) && fails("opendir", path, -1, EMFILE, EIO)) return 0;
    return real(path);
}
