/* The control groups' limits on processor time and memory.
 *
 * Processor time: version 2 keeps "QUOTA PERIOD" in cpu.max, version 1 the two numbers in cpu.cfs_quota_us and cpu.cfs_period_us. Memory:
 * limit and use stand in memory.max and memory.current, or memory.limit_in_bytes and memory.usage_in_bytes; what the use counts of files
 * that nobody reads any more (inactive_file) is free as well. A limit can stand at any level from the process's group up to the root, and
 * the smallest counts. These are files of the kernel, not of the user, so they are read past base/io.h and its fault injection; what cannot
 * be read sets no limit. */
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"

enum { PATH_BYTES = 4096 };

/* The numbers in a small file, into at most two values; how many there were. */
static int read_numbers(const char *folder, const char *name, double values[2]) {
    char path[PATH_BYTES + 64];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        return 0;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    const int count = fscanf(file, "%lf %lf", &values[0], &values[1]);
    (void)fclose(file);
    return count > 0 ? count : 0;
}

/* A limit of one group, by its folder; infinite without one. */
typedef double (*group_limit)(const char *folder, bool version2);

/* Processors. */
static double cpu_limit(const char *folder, bool version2) {
    double values[2] = {0.0, 0.0};
    double period[2] = {0.0, 0.0};
    if (version2) {
        return read_numbers(folder, "cpu.max", values) == 2 && values[0] > 0.0 && values[1] > 0.0 ? values[0] / values[1] : INFINITY;
    }
    const bool known = read_numbers(folder, "cpu.cfs_quota_us", values) >= 1 && read_numbers(folder, "cpu.cfs_period_us", period) >= 1;
    return known && values[0] > 0.0 && period[0] > 0.0 ? values[0] / period[0] : INFINITY;
}

/* The number after `name` in a file of "NAME NUMBER ..." lines; 0 when it is not there. */
static double read_named(const char *folder, const char *file_name, const char *name) {
    char path[PATH_BYTES + 64], line[256], key[64];
    double value = 0.0, found = 0.0;
    if (snprintf(path, sizeof path, "%s/%s", folder, file_name) >= (int)sizeof path) {
        return 0.0;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0.0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%63s %lf", key, &value) == 2 && strcmp(key, name) == 0) {
            found = value;
        }
    }
    (void)fclose(file);
    return found;
}

/* Bytes that may still be taken. Version 1 writes a huge number where there is no limit. */
static double memory_limit(const char *folder, bool version2) {
    double most[2] = {0.0, 0.0}, used[2] = {0.0, 0.0};
    if (read_numbers(folder, version2 ? "memory.max" : "memory.limit_in_bytes", most) < 1 ||
        read_numbers(folder, version2 ? "memory.current" : "memory.usage_in_bytes", used) < 1) {
        return INFINITY;
    }
    const double idle = read_named(folder, "memory.stat", version2 ? "inactive_file" : "total_inactive_file");
    return fmax(0.0, most[0] - fmax(0.0, used[0] - idle));
}

/* Smallest limit from root/group up to root itself. Inside a container the group's own path may not be visible; its root is. */
static double tree_limit(const char *root, const char *group, bool version2, group_limit limit) {
    char folder[PATH_BYTES];
    const size_t root_length = strlen(root);
    double quota = INFINITY;
    if (snprintf(folder, sizeof folder, "%s%s", root, group) >= (int)sizeof folder) {
        return INFINITY;
    }
    for (;;) {
        quota = fmin(quota, limit(folder, version2));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root_length) {
            return quota;
        }
        *slash = '\0';
    }
}

/* Whether a comma-separated list has a name. */
static bool lists(const char *list, const char *name) {
    for (const char *p = list; *p != '\0';) {
        const size_t length = strcspn(p, ",");
        if (length == strlen(name) && strncmp(p, name, length) == 0) {
            return true;
        }
        p += length;
        p += *p == ',' ? 1 : 0;
    }
    return false;
}

/* One line of the group list, "ID:CONTROLLERS:/PATH"; controllers are empty in version 2. */
static double line_limit(char *line, const char *system_root, const char *controller, group_limit limit) {
    char root[PATH_BYTES];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) {
        return INFINITY;
    }
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0') {
        return tree_limit(system_root, group, true, limit);
    }
    if (!lists(controllers, controller)) {
        return INFINITY;
    }
    if (snprintf(root, sizeof root, "%s/%s", system_root, controllers) >= (int)sizeof root) {
        return INFINITY;
    }
    return tree_limit(root, group, false, limit);
}

/* Smallest limit of all groups in the list. */
static double list_limit(const char *group_list, const char *system_root, const char *controller, group_limit limit) {
    char line[PATH_BYTES];
    double least = INFINITY;
    FILE *file = fopen(group_list, "re");
    if (file == NULL) {
        return INFINITY;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        least = fmin(least, line_limit(line, system_root, controller, limit));
    }
    (void)fclose(file);
    return least;
}

unsigned fov_cpu_quota(const char *group_list, const char *system_root) {
    const double quota = list_limit(group_list, system_root, "cpu", cpu_limit);
    return quota < (double)INT_MAX ? (unsigned)ceil(quota) : 0;
}

size_t fov_mem_available_by(const char *proc, const char *group_list, const char *system_root) {
    const double machine = 1024.0 * read_named(proc, "meminfo", "MemAvailable:");
    const double bytes = fmin(machine, list_limit(group_list, system_root, "memory", memory_limit));
    return bytes < 0x1p62 ? (size_t)bytes : (size_t)1 << 62;
}

size_t fov_mem_available(void) { return fov_mem_available_by("/proc", "/proc/self/cgroup", "/sys/fs/cgroup"); }
