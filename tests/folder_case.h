/* A folder of a test's own, made and removed around its cases. */
#ifndef FOV_TESTS_FOLDER_CASE_H
#define FOV_TESTS_FOLDER_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

static char folder[400];

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/case-%ld", FOV_TEST_TEMP, (long)getpid());
    return fov_io_mkdir(folder, true) == FOV_OK ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

#endif
