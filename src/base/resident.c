/* Memory that the process really holds, from /proc/self/status: VmRSS and VmHWM. getrusage(2) would be shorter, but its peak outlives exec:
 * a program started by a large one would report its parent. A file of the kernel, not of the user, so it is read past base/io.h. */
#include <stdio.h>

#include "base/memory.h"

fov_mem_resident fov_mem_resident_now(void) {
    fov_mem_resident found = {0};
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) {
        return found;
    }
    char line[256];
    unsigned long long kilobytes = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1) {
            found.peak_bytes = (size_t)kilobytes * 1024;
        } else if (sscanf(line, "VmRSS: %llu kB", &kilobytes) == 1) {
            found.now_bytes = (size_t)kilobytes * 1024;
        }
    }
    (void)fclose(file);
    return found;
}
