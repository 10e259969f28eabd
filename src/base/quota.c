/* The control group's limit on processor time, in whole processors.
 *
 * Version 2 keeps "QUOTA PERIOD" in cpu.max, version 1 the two numbers in cpu.cfs_quota_us and cpu.cfs_period_us. A limit can stand at
 * any level from the process's group up to the root, and the smallest counts. These are files of the kernel, not of the user, so they
 * are read past base/io.h and its fault injection; what cannot be read sets no limit. */
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"

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

/* Processors allowed in one group's folder; infinite without a limit. */
static double folder_quota(const char *folder, bool version2) {
    double values[2] = {0.0, 0.0};
    double period[2] = {0.0, 0.0};
    if (version2) {
        return read_numbers(folder, "cpu.max", values) == 2 && values[0] > 0.0 && values[1] > 0.0 ? values[0] / values[1] : INFINITY;
    }
    const bool known = read_numbers(folder, "cpu.cfs_quota_us", values) >= 1 && read_numbers(folder, "cpu.cfs_period_us", period) >= 1;
    return known && values[0] > 0.0 && period[0] > 0.0 ? values[0] / period[0] : INFINITY;
}

/* Smallest limit from root/group up to root itself. Inside a container the group's own path may not be visible; its root is. */
static double tree_quota(const char *root, const char *group, bool version2) {
    char folder[PATH_BYTES];
    const size_t root_length = strlen(root);
    double quota = INFINITY;
    if (snprintf(folder, sizeof folder, "%s%s", root, group) >= (int)sizeof folder) {
        return INFINITY;
    }
    for (;;) {
        quota = fmin(quota, folder_quota(folder, version2));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root_length) {
            return quota;
        }
        *slash = '\0';
    }
}

/* Whether a comma-separated list has the name "cpu". */
static bool lists_cpu(const char *list) {
    for (const char *p = list; *p != '\0';) {
        const size_t length = strcspn(p, ",");
        if (length == 3 && strncmp(p, "cpu", 3) == 0) {
            return true;
        }
        p += length;
        p += *p == ',' ? 1 : 0;
    }
    return false;
}

/* One line of the group list, "ID:CONTROLLERS:/PATH"; controllers are empty in version 2. */
static double line_quota(char *line, const char *system_root) {
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
        return tree_quota(system_root, group, true);
    }
    if (!lists_cpu(controllers)) {
        return INFINITY;
    }
    if (snprintf(root, sizeof root, "%s/%s", system_root, controllers) >= (int)sizeof root) {
        return INFINITY;
    }
    return tree_quota(root, group, false);
}

unsigned fov_cpu_quota(const char *group_list, const char *system_root) {
    char line[PATH_BYTES];
    double quota = INFINITY;
    FILE *file = fopen(group_list, "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        quota = fmin(quota, line_quota(line, system_root));
    }
    (void)fclose(file);
    return quota < (double)INT_MAX ? (unsigned)ceil(quota) : 0;
}
