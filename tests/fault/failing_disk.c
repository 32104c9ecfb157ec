/* Stands between a program and its files: calls fail as a test's rules say, and all that reaches the disk is noted.

   Loaded by LD_PRELOAD. DISK_ROOT is the folder that it looks after, DISK_RULES a file of lines `CALL ERRNO SKIP PATTERN`
   (replaced as a whole when they change), DISK_TRACE a file to append to. See failing_disk.py, which writes the one
   and reads the other. A failed sync writes nothing to the disk: so do kernels, which then take the pages for clean. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define RULES 8

struct rule { char call[16]; int error; int skip; char pattern[PATH_MAX]; };

static struct rule rules[RULES];
static int rule_count;
static struct stat rules_read;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void read_rules(void) {
    const char *name = getenv("DISK_RULES");
    struct stat found;
    if (!name || stat(name, &found) != 0) return;
    if (found.st_ino == rules_read.st_ino && !memcmp(&found.st_ctim, &rules_read.st_ctim, sizeof found.st_ctim)) return;
    FILE *file = fopen(name, "re");
    if (!file) return;
    rules_read = found;
    rule_count = 0;
    while (rule_count < RULES) {
        struct rule *rule = &rules[rule_count];
        if (fscanf(file, "%15s %d %d %4095s", rule->call, &rule->error, &rule->skip, rule->pattern) != 4) break;
        rule_count++;
    }
    fclose(file);
}

static int is_ours(const char *path) {
    const char *root = getenv("DISK_ROOT");
    return root && strncmp(path, root, strlen(root)) == 0;
}

/* Which error this call shall fail with; 0: none. */
static int error_of(const char *call, const char *path) {
    read_rules();
    for (struct rule *rule = rules; rule < rules + rule_count; rule++)
        if (strcmp(rule->call, call) == 0 && fnmatch(rule->pattern, path, 0) == 0)
            if (rule->skip-- <= 0) return rule->error;
    return 0;
}

static void note(const char *what, const char *path, off_t at, const void *data, size_t size) {
    const char *name = getenv("DISK_TRACE");
    if (!name) return;
    int trace = REAL(open64)(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    char head[PATH_MAX + 80];
    int length = snprintf(head, sizeof head, "%s\t%s\t%lld\t%zu\n", what, path, (long long)at, size);
    struct iovec parts[] = {{head, length}, {(void *)data, size}};
    if (trace < 0 || writev(trace, parts, 2) != (ssize_t)(length + size)) abort();
    close(trace);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return is_ours(path);
}

static int path_at(int folder, const char *name, char *path) {
    char base[PATH_MAX] = "";
    if (name[0] != '/' && folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else if (name[0] != '/') {
        path_of(folder, base);
    }
    int length = snprintf(path, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", name);
    return length < PATH_MAX && is_ours(path);
}

/* Do a call on a path of ours, or fail it; what was done is noted. */
#define GUARDED(kind, call, noting)                          \
    pthread_mutex_lock(&lock);                               \
    errno = error_of(kind, path);                            \
    long result = errno ? -1 : (long)(call);                 \
    int error = errno;                                       \
    if (result >= 0) { noting; }                             \
    pthread_mutex_unlock(&lock);                             \
    errno = error;                                           \
    return result;

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    pthread_mutex_lock(&lock);
    int error = error_of("fsync", path);
    int result = error ? -1 : real(fd);
    note(error ? "lost" : "sync", path, 0, "", 0);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(write)(fd, data, size);
    GUARDED("write", REAL(write)(fd, data, size),
            note("write", path, lseek(fd, 0, SEEK_CUR) - result, data, result))
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(pwrite64)(fd, data, size, at);
    GUARDED("write", REAL(pwrite64)(fd, data, size, at), note("write", path, at, data, result))
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(pread64)(fd, data, size, at);
    GUARDED("read", REAL(pread64)(fd, data, size, at), (void)0)
}

ssize_t pread(int fd, void *data, size_t size, off_t at) { return pread64(fd, data, size, at); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate64)(fd, size);
    GUARDED("write", REAL(ftruncate64)(fd, size), note("truncate", path, size, "", 0))
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int openat64(int folder, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    char path[PATH_MAX];
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT)) return REAL(openat64)(folder, name, flags, mode);
    if (!path_at(folder, name, path)) return REAL(openat64)(folder, name, flags, mode);
    int is_new = access(path, F_OK) != 0;
    GUARDED("open", REAL(openat64)(folder, name, flags, mode),
            if (is_new) note("create", path, 0, "", 0); else if (flags & O_TRUNC) note("truncate", path, 0, "", 0))
}

int openat(int folder, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat64(folder, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat64(AT_FDCWD, name, flags, mode);
}

int open(const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat64(AT_FDCWD, name, flags, mode);
}

int renameat(int old_folder, const char *old_name, int new_folder, const char *new_name) {
    char path[PATH_MAX], target[PATH_MAX];
    if (!path_at(old_folder, old_name, path) || !path_at(new_folder, new_name, target))
        return REAL(renameat)(old_folder, old_name, new_folder, new_name);
    GUARDED("rename", REAL(renameat)(old_folder, old_name, new_folder, new_name),
            note("rename", path, 0, target, strlen(target)))
}

int rename(const char *old_name, const char *new_name) { return renameat(AT_FDCWD, old_name, AT_FDCWD, new_name); }

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(mkdirat)(folder, name, mode);
    GUARDED("mkdir", REAL(mkdirat)(folder, name, mode), note("mkdir", path, 0, "", 0))
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(unlinkat)(folder, name, flags);
    GUARDED("unlink", REAL(unlinkat)(folder, name, flags), note("unlink", path, 0, "", 0))
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
