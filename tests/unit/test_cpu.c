/* Instruction sets, the table of kernels, processor counts and control-group quotas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"

static void test_isa(void **state) {
    (void)state;
    const fov_isa best = fov_cpu_best();
    (void)unsetenv("FOVEA_ISA");
    assert_int_equal(fov_cpu_isa(), best);
    assert_int_equal(fov_cpu_check(), FOV_OK);
    for (int isa = 0; isa < FOV_ISA_COUNT; isa++) {
        (void)setenv("FOVEA_ISA", fov_isa_name((fov_isa)isa), 1);
        assert_int_equal(fov_cpu_isa(), isa < (int)best ? isa : (int)best);
        assert_int_equal(fov_cpu_check(), isa <= (int)best ? FOV_OK : FOV_E_INVALID);
    }
    (void)setenv("FOVEA_ISA", "sse9", 1);
    assert_int_equal(fov_cpu_isa(), best);
    assert_int_equal(fov_cpu_check(), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "FOVEA_ISA is \"sse9\"; it can be c, avx2, avx512, avx512vnni or avx512bf16, or unset");
    (void)setenv("FOVEA_ISA", "", 1);
    assert_int_equal(fov_cpu_check(), FOV_OK);
    (void)unsetenv("FOVEA_ISA");
}

static void test_tables(void **state) {
    (void)state;
    for (int isa = 0; isa < FOV_ISA_COUNT; isa++) {
        const fov_kernels *table = fov_kernels_named(fov_isa_name((fov_isa)isa));
        if (isa > (int)fov_cpu_best() || isa == FOV_ISA_AVX512VNNI) { /* the last: a set for loops over pixels alone */
            assert_null(table);
            continue;
        }
        assert_non_null(table);
        assert_string_equal(table->name, fov_isa_name((fov_isa)isa));
        const fov_real a[3] = {1, 2, 3};
        const fov_real b[3] = {4, 5, 6};
        assert_true(table->dot(a, b, 3) == 32.0);
    }
    assert_null(fov_kernels_named("sse9"));
    (void)unsetenv("FOVEA_ISA");
    const fov_isa best = fov_cpu_best();
    assert_ptr_equal(fov_kernels_get(), fov_kernels_named(fov_isa_name(best == FOV_ISA_AVX512VNNI ? FOV_ISA_AVX512 : best)));
    assert_ptr_equal(fov_kernels_get(), fov_kernels_get());
}

static void test_affinity(void **state) {
    (void)state;
    cpu_set_t before;
    cpu_set_t one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(fov_cpu_count(), 1, (unsigned)CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(fov_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* ---- quotas, in folders laid out like the kernel's ---- */

static char root[512];

static void put(const char *name, const char *content) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static unsigned quota(void) {
    char list[600];
    (void)snprintf(list, sizeof list, "%s/cgroup", root);
    return fov_cpu_quota(list, root);
}

static int make_root(void **state) {
    (void)state;
    (void)snprintf(root, sizeof root, "%s/cpu-XXXXXX", FOV_TEST_TEMP);
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state) {
    char command[600];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void test_quota_v2(void **state) {
    (void)state;
    assert_int_equal(quota(), 0); /* no list of groups */
    put("cgroup", "0::/job/step\n");
    assert_int_equal(quota(), 0); /* no groups */
    put("cpu.max", "max 100000\n");
    put("job/step/cpu.max", "max 100000\n");
    assert_int_equal(quota(), 0);
    put("job/step/cpu.max", "200000 100000\n");
    assert_int_equal(quota(), 2);
    put("job/step/cpu.max", "250000 100000\n");
    assert_int_equal(quota(), 3);
    put("job/step/cpu.max", "10000 100000\n");
    assert_int_equal(quota(), 1);
    put("job/step/cpu.max", "800000 100000\n");
    put("job/cpu.max", "400000 100000\n");
    assert_int_equal(quota(), 4);
    put("cpu.max", "300000 100000\n");
    assert_int_equal(quota(), 3);
    put("cgroup", "0::/\n");
    assert_int_equal(quota(), 3);
    put("cgroup", "0::/not/visible/here\n");
    assert_int_equal(quota(), 3);
    put("cpu.max", "nonsense\n");
    assert_int_equal(quota(), 0);
}

static void test_quota_v1(void **state) {
    (void)state;
    put("cgroup", "12:cpuset:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n");
    put("cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
    put("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    put("cpuset/job/cpu.cfs_quota_us", "100000\n");
    put("cpuset/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 0);
    put("cpu,cpuacct/job/cpu.cfs_quota_us", "500000\n");
    assert_int_equal(quota(), 5);
    put("cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    put("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 2);
    put("cgroup", "garbage\n\n:\n");
    assert_int_equal(quota(), 0);
}

/* ---- memory ---- */

static size_t available(void) {
    char list[600], proc[600];
    (void)snprintf(list, sizeof list, "%s/cgroup", root);
    (void)snprintf(proc, sizeof proc, "%s/proc", root);
    return fov_mem_available_by(proc, list, root);
}

static void test_memory_v2(void **state) {
    (void)state;
    assert_int_equal(available(), 0); /* nobody says */
    put("proc/meminfo", "MemTotal:       9000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\nBuffers: 7 kB\n");
    assert_int_equal(available(), 5000 * 1024);
    put("cgroup", "0::/job/step\n");
    assert_int_equal(available(), 5000 * 1024);
    put("job/step/memory.max", "max\n");
    put("job/step/memory.current", "1000\n");
    assert_int_equal(available(), 5000 * 1024);
    put("job/memory.max", "300000\n");
    put("job/memory.current", "200000\n");
    assert_int_equal(available(), 100000);
    put("job/memory.stat", "anon 5\ninactive_file 40000\nactive_file 99999\n");
    assert_int_equal(available(), 140000);
    put("job/memory.current", "400000\n");
    assert_int_equal(available(), 0);
}

static void test_memory_v1(void **state) {
    (void)state;
    put("proc/meminfo", "MemAvailable:    5000 kB\n");
    put("cgroup", "7:memory:/job\n4:cpu,cpuacct:/job\n");
    put("memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/job/memory.usage_in_bytes", "1000\n");
    assert_int_equal(available(), 5000 * 1024);
    put("memory/job/memory.limit_in_bytes", "4000\n");
    assert_int_equal(available(), 3000);
    put("memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    assert_int_equal(available(), 3500);
    assert_true(fov_mem_available() > 0); /* of this machine */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test_setup_teardown(test_quota_v2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_quota_v1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_memory_v2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_memory_v1, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
