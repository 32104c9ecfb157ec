/* Stands in for libnvidia-ml.so.1: answers with what the file named by FAKE_NVML says, a line `key=value` each.

   Names, arguments, structs and error numbers are those of https://docs.nvidia.com/deploy/nvml-api/ ; nvidia-ml-py
   calls it as it calls the real one. Keys of a GPU begin with its index (`0.name`), those of a part of it (MIG) with
   both (`0.1.name`); `0.error.nvmlDeviceGetName` is the error that a call fails with. Without the file there is no
   driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };
enum { GPUS = 16, PARTS = 7, PROCESSES = 32 };

typedef struct { int index, part; } device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process;

static device devices[GPUS][PARTS + 1]; /* place 0 is the whole GPU */

static int is_there(void) {
    const char *path = getenv("FAKE_NVML");
    return path && access(path, R_OK) == 0;
}

/* The value of a key, or NULL; good until the next call. */
static const char *value_of(const char *key) {
    static __thread char line[512];
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = strlen(key);
    const char *found = NULL;
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, key, length) == 0 && line[length] == '=') found = line + length + 1;
    }
    if (file) fclose(file);
    return found;
}

static const char *of(const device *one, const char *what) {
    char key[128];
    if (one->part < 0) snprintf(key, sizeof key, "%d.%s", one->index, what);
    else snprintf(key, sizeof key, "%d.%d.%s", one->index, one->part, what);
    return value_of(key);
}

static int error_of(const device *one, const char *call) {
    char key[128];
    snprintf(key, sizeof key, "error.%s", call);
    const char *said = one ? of(one, key) : value_of(key);
    return said ? atoi(said) : SUCCESS;
}

static int number(const device *one, const char *call, const char *what, unsigned *into) {
    int error = error_of(one, call);
    const char *said = of(one, what);
    if (error) return error;
    if (!said) return NOT_SUPPORTED;
    *into = (unsigned)strtoul(said, NULL, 10);
    return SUCCESS;
}

static int text(const device *one, const char *call, const char *what, char *into, unsigned length) {
    int error = error_of(one, call);
    const char *said = of(one, what);
    if (error) return error;
    if (!said) return NOT_SUPPORTED;
    if (strlen(said) >= length) return INSUFFICIENT_SIZE;
    strcpy(into, said);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return is_there() ? error_of(NULL, "nvmlInitWithFlags") : DRIVER_NOT_LOADED;
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int error) { (void)error; return "as the fake was told"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    while (value_of("hang")) usleep(10000);
    if (!is_there()) return DRIVER_NOT_LOADED;
    const char *said = value_of("count");
    *count = said ? (unsigned)atoi(said) : 0;
    return error_of(NULL, "nvmlDeviceGetCount");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
    if (index >= GPUS) return INVALID_ARGUMENT;
    device *one = &devices[index][0];
    one->index = (int)index;
    one->part = -1;
    *handle = one;
    return error_of(one, "nvmlDeviceGetHandleByIndex");
}

int nvmlDeviceGetName(device *one, char *into, unsigned length) {
    return text(one, "nvmlDeviceGetName", "name", into, length);
}

int nvmlDeviceGetUUID(device *one, char *into, unsigned length) {
    return text(one, "nvmlDeviceGetUUID", "uuid", into, length);
}

int nvmlDeviceGetMemoryInfo(device *one, memory *into) {
    int error = error_of(one, "nvmlDeviceGetMemoryInfo");
    if (error) return error;
    const char *said = of(one, "total");
    if (!said) return NOT_SUPPORTED;
    into->total = strtoull(said, NULL, 10);
    said = of(one, "used");
    into->used = said ? strtoull(said, NULL, 10) : 0;
    into->free = into->total - into->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(device *one, utilization *into) {
    into->memory = 0;
    return number(one, "nvmlDeviceGetUtilizationRates", "utilisation", &into->gpu);
}

int nvmlDeviceGetTemperature(device *one, int sensor, unsigned *into) {
    return sensor ? INVALID_ARGUMENT : number(one, "nvmlDeviceGetTemperature", "temperature", into);
}

int nvmlDeviceGetPowerUsage(device *one, unsigned *milliwatts) {
    return number(one, "nvmlDeviceGetPowerUsage", "power", milliwatts);
}

int nvmlDeviceGetEnforcedPowerLimit(device *one, unsigned *milliwatts) {
    return number(one, "nvmlDeviceGetEnforcedPowerLimit", "power_limit", milliwatts);
}

/* `compute=PID:BYTES,PID:BYTES ...`; bytes that the driver does not know (N/A) are left out: `PID`. */
static int processes(device *one, const char *call, const char *what, unsigned *count, process *into) {
    int error = error_of(one, call);
    if (error) return error;
    char list[512];
    const char *said = of(one, what);
    snprintf(list, sizeof list, "%s", said ? said : "");
    unsigned found = 0, room = into ? *count : 0;
    for (char *rest = list, *word; (word = strsep(&rest, ",")) && found < PROCESSES;) {
        if (!*word) continue;
        if (found < room) {
            char *bytes = strchr(word, ':');
            into[found] = (process){(unsigned)atoi(word), bytes ? strtoull(bytes + 1, NULL, 10) : ~0ULL, ~0U, ~0U};
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *one, unsigned *count, process *into) {
    return processes(one, "nvmlDeviceGetComputeRunningProcesses", "compute", count, into);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device *one, unsigned *count, process *into) {
    return processes(one, "nvmlDeviceGetGraphicsRunningProcesses", "graphics", count, into);
}

int nvmlDeviceGetMigMode(device *one, unsigned *current, unsigned *pending) {
    *pending = 0;
    return number(one, "nvmlDeviceGetMigMode", "mig", current);
}

int nvmlDeviceGetMaxMigDeviceCount(device *one, unsigned *count) {
    (void)one;
    *count = PARTS;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device *whole, unsigned index, device **handle) {
    if (index >= PARTS) return INVALID_ARGUMENT;
    device *one = &devices[whole->index][index + 1];
    one->index = whole->index;
    one->part = (int)index;
    *handle = one;
    return of(one, "uuid") ? SUCCESS : NOT_FOUND;
}
